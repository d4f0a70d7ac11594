"""docker/Dockerfile, built as a user builds it: from a plain Debian that has nothing of ours, with packages from where
the apt of this machine gets them."""

import json
import re
import subprocess
from pathlib import Path

import container_images
import containers
import portshim_test
from containers import PodmanTest

# What a Debian needs of this machine's to install packages: who has them, and how they are fetched.
APT_FILES = ("sources.list", "sources.list.d", "auth.conf.d", "keyrings", "trusted.gpg.d")

VERSIONS = ("dpkg-query", "--show", "--showformat=${Package} ${Version}\\n")


def suite_and_mirror() -> tuple[str, str]:
    suite = re.search(r"^VERSION_CODENAME=(\S+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"], check=True,
                             capture_output=True, text=True).stdout
    for line in targets.splitlines():
        release, _, address = line.partition(" ")
        if suite and release == suite[1]:
            return release, address
    return portshim_test.skip("needs an apt that knows a mirror of this machine's Debian")


def plain_debian() -> Path:
    """The archive of a minimal Debian."""
    suite, mirror = suite_and_mirror()
    root, archive = containers.folder() / "debian", containers.folder() / "debian.tar"
    made = subprocess.run([containers.require("debootstrap"), "--variant=minbase", suite, root, mirror],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        portshim_test.skip(f"needs Debian's packages: {(made.stdout + made.stderr).strip().splitlines()[-1]}")
    settings = subprocess.run(["apt-config", "dump", "Acquire"], check=True, capture_output=True, text=True).stdout
    (root / "etc/apt/apt.conf.d/90test").write_text(settings)
    given = [path for name in APT_FILES if (path := Path("/etc/apt") / name).exists()]
    subprocess.run(["cp", "--recursive", *given, root / "etc/apt"], check=True)
    subprocess.run(["tar", "--create", "--one-file-system", "--file", archive, "--directory", root, "."], check=True)
    return archive


def versions(listed: str) -> dict[str, str]:
    """Package to version."""
    return dict(line.split() for line in listed.splitlines())


class Dockerfile(PodmanTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = container_images.of(cls.engine)
        cls.base = cls.engine.import_image("localhost/debian:plain", plain_debian())
        cls.portshim = cls.engine.build("localhost/portshim:built", container_images.DOCKER / "Dockerfile",
                                        portshim_test.SOURCE_DIR, BASE=cls.base, timeout=1200,
                                        options=("--network=host",))

    def test_the_image_is_one_file_and_runs_it_as_a_user_that_is_not_root(self):
        archive = containers.folder() / "built.tar"
        container = self.start(self.portshim, "--version", options=("--network=none",))
        result = container.wait()
        self.assertRegex(result.stdout, r"^portshim \d+\.\d+\.\d+\n$", result)
        self.engine.checked("export", "--output", archive, container.name)
        files = subprocess.run(["tar", "--list", "--file", archive], check=True, capture_output=True, text=True).stdout
        self.assertIn("portshim", files.splitlines())
        self.assertLess(len([name for name in files.splitlines() if not name.endswith("/")]), 10, files)

    def test_its_binary_is_byte_for_byte_the_one_that_was_built_here(self):
        """Another folder on another system, by the same compiler and libraries."""
        container = self.start(self.portshim, "--version", options=("--network=none",))
        binary = containers.folder() / "portshim"
        self.engine.checked("cp", f"{container.name}:/portshim", binary)
        if binary.read_bytes() == portshim_test.built_binary().read_bytes():
            return
        there, here = self.build_packages(), versions(subprocess.check_output(VERSIONS, text=True))
        other = [f"{name} {there[name]} (here {here[name]})" for name in there.keys() & here.keys()
                 if there[name] != here[name]]
        if other:
            portshim_test.skip(f"needs the packages that the mirror has: {', '.join(sorted(other))}")
        self.fail("the same packages made another binary")

    def build_packages(self) -> dict[str, str]:
        """The packages that the image was built with: those of the Dockerfile's first stage, which is there."""
        image = self.engine.build("localhost/portshim:stage", container_images.DOCKER / "Dockerfile",
                                  portshim_test.SOURCE_DIR, target="build", BASE=self.base, timeout=1200,
                                  options=("--network=host",))
        return versions(self.run_to_end(image, *VERSIONS, options=("--network=none",)).stdout)

    def test_the_image_has_its_labels_and_a_numeric_user(self):
        config = json.loads(self.engine.checked("inspect", self.portshim))[0]["Config"]
        self.assertEqual(config["Entrypoint"], ["/portshim"])
        self.assertEqual(config["User"], "1654:1654")
        self.assertEqual(config["Labels"]["org.opencontainers.image.title"], "portshim")

    def test_its_binary_rescues_an_app_without_a_shell(self):
        image = self.engine.build("localhost/aspnetapp:built", container_images.DOCKERFILES / "app.Dockerfile",
                                  container_images.kestrel.PUBLISHED, target="shimmed", BASE=self.images.chiseled,
                                  PORTSHIM=self.portshim)
        container = self.start(image, env={"ASPNETCORE_URLS": "http://+:80", "PORTSHIM": "rewrite"},
                               options=("--network=none",))
        self.assertEqual(self.assert_answers(container, 8080)["userId"], container_images.APP_UID)


if __name__ == "__main__":
    containers.main(host_network=True)
