"""portshim under the name `dotnet` in a base image: derived images and people who type `dotnet` know nothing of it."""

import shutil

import container_images
import containers
import kestrel
import portshim_test
from containers import Container, ContainerTest, DockerTest, PodmanTest

PORT_80 = {"ASPNETCORE_URLS": "http://+:80"}
REWRITE = {**PORT_80, "PORTSHIM": "rewrite"}


class Link(ContainerTest):
    """`base` and `shell_base` are what docker/aspnet.Dockerfile makes of images without and with a shell."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = container_images.of(cls.engine)
        cls.base = cls.images.with_portshim(cls.images.chiseled)
        cls.shell_base = cls.images.with_portshim(cls.images.debian)

    def assert_moved_once(self, container: Container) -> dict:
        """The app is process 1 and listens on 8080, and that was said once."""
        environment = self.assert_answers(container, 8080)
        self.assertEqual(environment["processId"], 1)
        self.assert_not_listening(container, 80)
        self.assertEqual([finding.id for finding in container.so_far().findings], ["PS101"])
        return environment

    def assert_as_without_portshim(self, container: Container) -> None:
        if self.engine.port_start <= 80:
            self.assert_answers(container, 80)
        else:
            self.assertIn(kestrel.PERMISSION_DENIED, container.wait().stderr)

    def test_a_derived_image_with_its_own_entrypoint_dotnet_is_rescued(self):
        for base in (self.base, self.shell_base):
            with self.subTest(base=base):
                image = self.images.app(base, "plain")
                off = self.start(image, env={**PORT_80, "PORTSHIM": "off"})
                environment = self.assert_moved_once(self.start(image, env=REWRITE))
                self.assertEqual(environment["userId"], container_images.APP_UID)
                self.assert_as_without_portshim(off)
                self.assertNotIn("portshim", off.so_far().stderr)

    def test_the_base_image_explains_and_changes_nothing(self):
        container = self.start(self.images.app(self.base, "plain"), env=PORT_80)
        self.assert_as_without_portshim(container)
        self.assert_finding(container.so_far(), "PS101")

    def test_a_derived_image_inherits_the_entrypoint(self):
        self.assert_moved_once(self.start(self.images.app(self.base, "inherited"), env=REWRITE))

    def test_an_entrypoint_of_portshim_in_front_of_the_link_runs_it_once(self):
        self.assert_moved_once(self.start(self.images.app(self.base, "shimmed"), env=REWRITE))

    def test_two_copies_in_path_run_once_and_find_dotnet(self):
        self.assert_moved_once(self.start(self.images.app(self.images.chiseled, "twice"), env=REWRITE))

    def test_a_shell_script_finds_the_link(self):
        container = self.start(self.images.app(self.shell_base, "plain"), "-c", "exec dotnet aspnetapp.dll",
                               env=REWRITE, options=("--entrypoint", "sh"))
        self.assert_moved_once(container)

    def test_the_rpm_layout_is_found_behind_the_link(self):
        image = self.images.app(self.images.with_portshim(self.images.rpm), "plain")
        self.assert_moved_once(self.start(image, env=REWRITE))

    def test_an_entrypoint_of_usr_bin_dotnet_finds_portshim_in_its_place(self):
        for base in (self.images.chiseled, self.images.rpm):
            with self.subTest(base=base):
                image = self.images.app(self.images.with_portshim(base, "in-place"), "plain")
                self.assert_moved_once(self.start(image, "aspnetapp.dll", env=REWRITE,
                                                  options=("--entrypoint", "/usr/bin/dotnet")))

    def test_the_legacy_base_explains_to_root_what_user_app_will_meet(self):
        image = self.images.app(self.images.with_portshim(self.images.legacy, "legacy"), "legacy")
        as_root = self.start(image)
        rescued = self.start(image, user="app", env={"PORTSHIM": "rewrite"})
        self.assert_moved_once(rescued)
        self.assertEqual(self.assert_answers(as_root, 80)["userId"], 0)
        self.assert_finding(as_root.so_far(), "PS101")

    def test_exec_of_dotnet_info_says_what_dotnet_says(self):
        container = self.start(self.images.app(self.base, "plain"), env={"PORTSHIM": "rewrite"})
        self.assert_answers(container, 8080)
        through, direct = container.execute("dotnet", "--info"), container.execute("/usr/bin/dotnet", "--info")
        self.assertEqual((through.code, through.stderr), (0, ""))
        self.assertIn("Microsoft.AspNetCore.App", through.stdout)
        self.assertEqual(through, direct)

    def test_exec_of_check_examines_the_app(self):
        container = self.start(self.images.app(self.base, "plain"), env={"PORTSHIM": "rewrite"})
        self.assert_answers(container, 8080)
        result = container.execute("/portshim", "--check=json", "dotnet", "aspnetapp.dll")
        self.assertEqual((result.code, result.json["verdict"]), (0, "start"), result)


class LinkOnPodman(Link, PodmanTest):
    def test_an_sdk_image_builds_and_runs_a_project(self):
        sdk = portshim_test.require_dotnet(sdk=True).resolve().parent
        project = containers.folder() / "project"
        shutil.copytree(portshim_test.SOURCE_DIR / "tests/apps/aspnetapp", project)
        container = self.start(self.shell_base, "bash", "-c", "dotnet build --nologo && exec dotnet run --no-build",
                               options=("--volume", f"{sdk}:/usr/share/dotnet:ro", "--volume", f"{project}:/src",
                                        "--workdir", "/src", "--network", "none"),
                               env={"PORTSHIM": "rewrite", "HOME": "/tmp", "DOTNET_NOLOGO": "1",
                                    "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
                                    "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false"})
        self.await_port(container, 8080, timeout=300)
        self.assert_answers(container, 8080)
        result = container.so_far()
        self.assertIn("Build succeeded.", result.stdout)
        self.assertNotIn("portshim", result.stderr)


class LinkOnDocker(Link, DockerTest):
    pass


del Link  # no test without an engine

if __name__ == "__main__":
    containers.main()
