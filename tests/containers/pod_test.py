"""A restricted Pod, played by Podman: portshim comes by an initContainer."""

from pathlib import Path

import container_images
import containers
import kestrel
from containers import PodmanTest

MANIFEST = Path(__file__).with_name("pod.yaml")
NO_CAPABILITIES = "0000000000000000"


class Pod(PodmanTest):
    def test_an_init_container_installs_portshim_and_the_app_answers_on_8080(self):
        images = container_images.of(self.engine)
        images.app(images.chiseled, "plain")
        self.play(MANIFEST)
        web = self.engine.container_of("restricted", "web")
        environment = self.assert_answers(web, 8080)
        self.assertEqual((environment["userId"], environment["processId"]), (container_images.APP_UID, 1))
        self.assertEqual((web.status("CapBnd"), web.status("NoNewPrivs")), (NO_CAPABILITIES, "1"))
        self.assert_finding(web.so_far(), "PS101")
        status, _ = containers.get_published(8080, "/Environment")
        self.assertEqual(status, 200)
        self.assertIn(kestrel.PERMISSION_DENIED, self.engine.container_of("restricted", "without").wait().stderr)


if __name__ == "__main__":
    containers.main()
