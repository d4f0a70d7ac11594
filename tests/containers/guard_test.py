"""--guard in containers as people run them: an unprivileged user, no capabilities, no new privileges, default profiles."""

import shutil

import containers
import container_images
import kestrel
import portshim_test
import shapes
from containers import Container, ContainerTest, DockerTest, PodmanTest
from kestrel import PERMISSION_DENIED

ABORTED, ABORTED_AS_PID_1 = 134, 139
# Each shape on a port of its own, in one container.
PORTS = {shape: 81 + index for index, shape in enumerate(shapes.SHAPES) if shape != "Run"}
APP = "/bindapp/bindapp.dll"


class Guard(ContainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = container_images.of(cls.engine)
        if not (kestrel.BINDAPP / "bindapp.dll").exists():
            portshim_test.skip(f"needs the published app: ctest -R kestrel.publish makes {kestrel.BINDAPP}")
        cls.bindapp = containers.folder() / "bindapp"
        if not cls.bindapp.exists():
            shutil.copytree(kestrel.BINDAPP, cls.bindapp)

    def start_app(self, *arguments: str, entrypoint: str = "/portshim", **how) -> Container:
        """Restricted, and where low ports are denied also by Docker."""
        options = ("--entrypoint", entrypoint, "--volume", f"{self.bindapp}:/bindapp:ro", "--cap-drop", "ALL",
                   "--security-opt", "no-new-privileges", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024")
        return self.start(self.images.shimmed, *arguments, user="app", options=options, **how)

    def test_every_shape_answers_on_its_new_port(self):
        # One that stays up shows what network the others will have.
        probe = self.start_app(APP, "Run:8080", entrypoint="dotnet")
        ipv6 = shapes.has_ipv6(self.await_port(probe, 8080))
        ports = {shape: port for shape, port in PORTS.items() if ipv6 or not shapes.needs_ipv6(shape)}
        words = [f"{shape}:{port}" for shape, port in ports.items()]
        container = self.start_app("--guard=redirect", "--", "dotnet", APP, *words)
        network = self.await_port(container, ports["ListenAnyIP"] + 8000)
        self.await_port(container, ports["Process"] + 8000)
        for shape, port in ports.items():
            with self.subTest(shape):
                self.assertTrue(shapes.answers(network, shape, port + 8000), container.so_far())
        result = container.so_far()
        self.assertEqual({finding.id for finding in result.findings}, {"PS531"}, result)
        self.assertEqual(container.stop().code, 0)

    def test_without_the_guard_it_dies(self):
        result = self.start_app(APP, "ListenAnyIP:80", entrypoint="dotnet").wait()
        self.assertEqual(result.code, ABORTED_AS_PID_1, result)
        self.assertIn(PERMISSION_DENIED, result.stderr)

    def test_explain_names_what_it_dies_of(self):
        result = self.start_app("--", "dotnet", APP, "TcpListener:25", env={"PORTSHIM_GUARD": "explain"}).wait()
        self.assertEqual(result.code, ABORTED, result)
        self.assertEqual(self.assert_finding(result, "PS530").what, "the app's bind(0.0.0.0:25) is denied")

    def test_where_the_engine_allows_low_ports_portshim_becomes_the_app(self):
        container = self.start(self.images.shimmed, "--guard=redirect", "--log-level=info", "--", "dotnet", APP,
                               "ListenAnyIP:80", user="app",
                               options=("--entrypoint", "/portshim", "--volume", f"{self.bindapp}:/bindapp:ro",
                                        "--sysctl", "net.ipv4.ip_unprivileged_port_start=0"))
        self.await_port(container, 80)
        self.assert_finding(container.so_far(), "PS540", "info")


class GuardOnPodman(Guard, PodmanTest):
    pass


class GuardOnDocker(Guard, DockerTest):
    pass


del Guard  # no tests without an engine

if __name__ == "__main__":
    containers.main()
