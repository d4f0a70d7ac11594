"""The app in containers as people run it: the same start with portshim and, as the negative control, without."""

import json
import signal
import tempfile
from pathlib import Path

import containers
import container_images
import kestrel
import portshim_test
from containers import Container, ContainerTest, DockerTest, PodmanTest
from kestrel import PERMISSION_DENIED, UNPRIVILEGED_UID
from portshim_test import Result
from screen import CTRL_C, Screen

# The first process of a PID namespace ignores its own SIGABRT; the abort of .NET goes on to SIGSEGV.
ABORTED_AS_PID_1, ABORTED = 139, 134
PORT_START = "net.ipv4.ip_unprivileged_port_start"
APP = "app"


class ShimTest(ContainerTest):
    """`images.shimmed` starts the app by portshim; its negative control is the same image with another ENTRYPOINT."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = container_images.of(cls.engine)

    def setUp(self):
        super().setUp()
        self.directory = Path(tempfile.mkdtemp(dir=containers.folder()))
        self.directory.chmod(0o755)

    def start_without(self, *arguments, options=(), **how) -> Container:
        return self.start(self.images.shimmed, "aspnetapp.dll", *arguments,
                          options=("--entrypoint", "dotnet", *options), **how)

    def start_with(self, *arguments, env, **how) -> Container:
        return self.start(self.images.shimmed, *arguments, env={"PORTSHIM": "rewrite", **env}, **how)

    def mounted(self, name: str, content: str, target: str) -> tuple[str, str]:
        """Options that show a file of ours in the container."""
        source = self.directory / name
        source.write_text(content)
        source.chmod(0o644)
        return "--volume", f"{source}:{target}:ro"

    def assert_dies_of_permission(self, container: Container, code: int = ABORTED_AS_PID_1):
        result = container.wait()
        self.assertEqual(result.code, code, result)
        self.assertIn(PERMISSION_DENIED, result.stderr)

    def assert_port_80_moves(self, *, low_port_works: bool | None = None, died: int = ABORTED_AS_PID_1,
                             env=None, **how) -> dict:
        """Without portshim the app dies of port 80, or where `low_port_works` listens on it (the default is what the
        engine's sysctl means for a process without the capability); with portshim it answers on 8080."""
        if low_port_works is None:
            low_port_works = self.engine.port_start <= 80
        variables = {"ASPNETCORE_URLS": "http://+:80"} if env is None else env
        without, shimmed = self.start_without(env=variables, **how), self.start_with(env=variables, **how)
        environment = self.assert_answers(shimmed, 8080)
        self.assert_not_listening(shimmed, 80)
        finding = self.assert_finding(shimmed.so_far(), "PS101", "warning")
        self.assertIn("8080", finding.did)
        if low_port_works:
            self.assert_answers(without, 80)
        else:
            self.assert_dies_of_permission(without, died)
        return environment

    def assert_port_80_stays(self, **how) -> dict:
        """With and without portshim the app listens on 80, and portshim has nothing to say."""
        variables = {"ASPNETCORE_URLS": "http://+:80"}
        without, shimmed = self.start_without(env=variables, **how), self.start_with(env=variables, **how)
        environment = self.assert_answers(shimmed, 80)
        self.assertEqual(environment["variables"]["ASPNETCORE_URLS"], "http://+:80")
        self.assertEqual(shimmed.so_far().findings, [])
        self.assert_answers(without, 80)
        return environment


class Startup(ShimTest):
    def published(self, port: int) -> tuple[str, str]:
        return "--publish", f"127.0.0.1:{port}:{port}"

    def test_a_legacy_image_as_user_app_answers_on_the_published_port_8080(self):
        environment = self.assert_port_80_moves(user=APP)
        self.assertEqual(environment["userId"], UNPRIVILEGED_UID)
        self.assertEqual(environment["processId"], 1, "portshim has become the app")
        container = self.start_with(user=APP, env={"ASPNETCORE_URLS": "http://+:80"}, options=self.published(8080))
        self.assert_answers(container, 8080)
        status, _ = containers.get_published(8080, "/Environment")
        self.assertEqual(status, 200)

    def test_three_addresses_and_a_certificate_answer_on_8080_and_8443(self):
        certificate, key = kestrel.self_signed_certificate(self.directory)
        variables = {"ASPNETCORE_URLS": "http://+:80;http://+:8080;https://+:8443",
                     "Kestrel__Certificates__Default__Path": "/certificates/localhost.pem",
                     "Kestrel__Certificates__Default__KeyPath": "/certificates/localhost.key"}
        volume = ("--volume", f"{self.directory}:/certificates:ro")
        without = self.start_without(user=APP, env=variables, options=volume)
        container = self.start_with(user=APP, env=variables,
                                    options=(*volume, *self.published(8080), *self.published(8443)))
        self.assert_answers(container, 8443, certificate)
        environment = self.assert_answers(container, 8080)
        self.assertEqual(environment["variables"]["ASPNETCORE_URLS"], "http://+:8080;https://+:8443")
        self.assert_not_listening(container, 80)
        for port, trusted in ((8080, None), (8443, certificate)):
            status, _ = containers.get_published(port, "/Environment", trusted)
            self.assertEqual(status, 200)
        if self.engine.port_start <= 80:
            self.assert_answers(without, 80)
        else:
            self.assert_dies_of_permission(without)

    def test_keep_listens_on_80_too_where_the_kernel_allows_it(self):
        container = self.start_with(user=APP, env={"ASPNETCORE_URLS": "http://+:80", "PORTSHIM_KEEP": "on"})
        self.assert_answers(container, 8080)
        self.assertEqual(container.network.connects(80), self.engine.port_start <= 80)

    def test_validate_refuses_port_80_and_never_starts_dotnet(self):
        result = self.start_with(user=APP, env={"ASPNETCORE_URLS": "http://+:80", "PORTSHIM": "validate"}).wait()
        self.assertEqual(result.code, 78, result)
        self.assert_finding(result, "PS101", "error")
        self.assertEqual(result.stdout, "")

    def test_explain_names_the_cause_and_changes_nothing(self):
        container = self.start_with(user=APP, env={"ASPNETCORE_URLS": "http://+:80", "PORTSHIM": "explain"})
        if self.engine.port_start <= 80:
            self.assert_answers(container, 80)
        else:
            self.assert_dies_of_permission(container)
        self.assertIn(f"{PORT_START}={self.engine.port_start}", self.assert_finding(container.so_far(), "PS101").why)

    def test_the_image_default_8080_is_silent(self):
        container = self.start_with(user=APP, env={})
        self.assert_answers(container, 8080)
        self.assertEqual(container.so_far().stderr, "")

    def test_stop_ends_the_app_with_exit_code_0(self):
        variables = {"ASPNETCORE_URLS": "http://+:8080"}
        for container in (self.start_without(user=APP, env=variables), self.start_with(user=APP, env=variables)):
            self.assert_answers(container, 8080)
            result = container.stop()
            self.assertEqual(result.code, 0, result)  # after SIGKILL it would be 137
            self.assertIn("Application is shutting down...", result.stdout)

    def test_a_mounted_settings_file_with_port_80_is_overridden(self):
        urls = self.mounted("urls.json", json.dumps({"Urls": "http://+:80"}), "/app/appsettings.json")
        environment = self.assert_port_80_moves(user=APP, env={}, options=urls)
        self.assertEqual(environment["variables"]["URLS"], "http://+:8080")

    def test_a_mounted_kestrel_endpoint_of_port_80_is_overridden(self):
        endpoint = {"Kestrel": {"Endpoints": {"Http": {"Url": "http://+:80"}}}}
        file = self.mounted("endpoint.json", json.dumps(endpoint), "/app/appsettings.Production.json")
        environment = self.assert_port_80_moves(user=APP, env={}, options=file)
        self.assertEqual(environment["variables"]["Kestrel__Endpoints__Http__Url"], "http://+:8080")

    def test_arguments_of_run_go_to_the_app_where_the_entrypoint_names_it(self):
        container = self.start_with("--urls", "http://+:80", user=APP, env={})
        environment = self.assert_answers(container, 8080)
        self.assertEqual(environment["arguments"], ["--urls", "http://+:8080"])

    def test_an_entrypoint_of_portshim_alone_takes_the_app_from_cmd(self):
        image = self.images.app(self.images.chiseled, "command")
        variables = {"ASPNETCORE_URLS": "http://+:80", "PORTSHIM": "rewrite"}
        container = self.start(image, user=APP, env=variables)
        given = self.start(image, "dotnet", "aspnetapp.dll", "--urls=http://+:81", user=APP, env=variables)
        self.assertEqual(self.assert_answers(container, 8080)["processId"], 1)
        self.assertEqual(self.assert_answers(given, 8081)["arguments"], ["--urls=http://+:8081"])

    def test_a_sidecar_that_holds_8080_is_named_and_not_dodged(self):
        sidecar = self.start_without(user=APP, env={"ASPNETCORE_HTTP_PORTS": "8080"})
        self.assert_answers(sidecar, 8080)
        beside = ("--network", f"container:{sidecar.name}")
        variables = {"ASPNETCORE_URLS": "http://+:80"}
        container = self.start_with(user=APP, env=variables, options=beside)
        if self.engine.port_start <= 80:
            self.assert_answers(container, 80)
        else:
            self.assertNotEqual(container.wait().code, 0)
        self.assertIn("8080", self.assert_finding(container.so_far(), "PS102").what)
        mapped = self.start_with(user=APP, env={**variables, "PORTSHIM_MAP": "80:5000"}, options=beside)
        self.assert_answers(mapped, 5000)


class AtATerminal(ShimTest):
    def at_terminal(self, *command: str) -> Screen:
        """`run -it IMAGE COMMAND` behind --init, in an image with a shell."""
        image = self.images.app(self.images.debian, "shimmed")
        screen = self.engine.at_terminal(image, "--init", "--", *command,
                                         options=("--entrypoint", "/portshim", "--env", "PS1=READY> "))
        self.addCleanup(screen.close)
        return screen

    # Not ^Z: catatonit, behind which the engines run here, leaves it blocked for all containers.
    def test_a_shell_has_the_terminal_and_its_exit_code_is_the_containers(self):
        screen = self.at_terminal("bash", "--norc")
        screen.expect("READY> ")
        screen.type("sh -c 'echo here; exec cat'\n")
        screen.expect("here\r\n")
        screen.type("one\n")
        screen.expect("one\r\none\r\n")  # the echo, and cat, which is in the foreground
        screen.type(CTRL_C)
        screen.expect("READY> ")
        screen.type("exit 7\n")
        self.assertEqual(screen.process.wait(60), 7)

    def test_an_interrupt_ends_the_app_with_its_own_code(self):
        screen = self.at_terminal("sh", "-c", "echo here; exec cat")
        screen.expect("here")
        screen.type(CTRL_C)
        self.assertEqual(screen.process.wait(60), 128 + signal.SIGINT)


class Privileges(ShimTest):
    def test_root_keeps_port_80(self):
        self.assertEqual(self.assert_port_80_stays(user="0")["userId"], 0)

    def test_root_without_capabilities_is_moved(self):
        environment = self.assert_port_80_moves(user="0", options=("--cap-drop", "ALL"))
        self.assertEqual(environment["userId"], 0)

    def test_cap_add_for_user_app_counts_where_it_is_effective(self):
        options = ("--cap-add", "NET_BIND_SERVICE")
        if self.engine.adds_ambient:
            self.assert_port_80_stays(user=APP, options=options)
            self.assert_port_80_stays(user=APP, options=("--cap-drop", "ALL", *options))
            self.assert_port_80_stays(user=APP, options=(*options, "--security-opt", "no-new-privileges"))
        else:
            self.assert_port_80_moves(user=APP, options=options)
            self.assert_port_80_moves(user=APP, options=(*options, "--sysctl", f"{PORT_START}=1024"),
                                      low_port_works=False)

    def test_no_new_privileges(self):
        self.assert_port_80_moves(user=APP, options=("--security-opt", "no-new-privileges"))

    def test_a_restricted_container(self):
        self.assert_port_80_moves(user=APP, options=("--cap-drop", "ALL", "--security-opt", "no-new-privileges",
                                                     "--read-only"), env={"ASPNETCORE_URLS": "http://+:80",
                                                                          "DOTNET_EnableDiagnostics": "0"})

    def test_a_random_uid_of_group_0_without_a_passwd_entry(self):
        environment = self.assert_port_80_moves(user="1000670000:0")
        self.assertEqual(environment["userId"], 1000670000)

    def test_below_the_engines_own_init(self):
        environment = self.assert_port_80_moves(user=APP, options=("--init",), died=ABORTED)
        self.assertNotEqual(environment["processId"], 1)

    def test_without_a_network(self):
        self.assert_port_80_moves(user=APP, options=("--network", "none"))

    def test_on_the_hosts_network(self):
        self.assert_port_80_moves(user=APP, options=("--network", "host"), low_port_works=False)

    def test_every_port_start_moves_to_the_same_port(self):
        for start in (0, 80, 1024):
            with self.subTest(port_start=start):
                self.assert_port_80_moves(user=APP, options=("--sysctl", f"{PORT_START}={start}"),
                                          low_port_works=start <= 80)

    def test_floor_kernel_keeps_port_80_where_the_host_allows_it(self):
        for start in (80, 81):
            with self.subTest(port_start=start):
                container = self.start_with(user=APP, options=("--sysctl", f"{PORT_START}={start}"),
                                            env={"ASPNETCORE_URLS": "http://+:80", "PORTSHIM_FLOOR": "kernel"})
                self.assert_answers(container, 80 if start == 80 else 8080)


class Checks(ShimTest):
    """--check in an image before it is used, and in a container that runs: `docker exec`, and `kubectl exec`, which is the
    same call of the container runtime."""

    CONFINED = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges")

    def report_of(self, result: Result, verdict: str) -> dict:
        self.assertEqual(result.stderr, "", result)
        self.assertEqual(result.json["verdict"], verdict, result)
        self.assertEqual(result.code, {"start": 0, "refuse": 78}[verdict], result)
        return result.json

    def check_image(self, mode: str, env: dict[str, str], verdict: str) -> dict:
        """What `docker run --entrypoint /portshim IMAGE --check=json -- dotnet aspnetapp.dll` says."""
        result = self.run_to_end(self.images.shimmed, "--check=json", f"--mode={mode}", "--", "dotnet",
                                 "aspnetapp.dll", user=APP, env=env, options=("--entrypoint", "/portshim",
                                                                              *self.CONFINED))
        return self.report_of(result, verdict)

    def check_running(self, container: Container, *words, verdict: str) -> dict:
        return self.report_of(container.execute("/portshim", "--check=json", *words), verdict)

    def ports(self, predictions: list[dict]) -> set[int]:
        return {one["port"] for prediction in predictions for one in prediction["endpoints"]}

    def test_in_an_image_it_predicts_where_its_app_answers_and_what_is_refused(self):
        variables = {"ASPNETCORE_URLS": "http://+:80"}
        report = self.check_image("rewrite", variables, "start")
        self.assertEqual((self.ports(report["predictions"]), self.ports(report["after"])), ({80}, {8080}))
        self.assertEqual(report["identity"], {"uid": UNPRIVILEGED_UID, "gid": UNPRIVILEGED_UID, "netBindService": False,
                                              "unprivilegedPortStart": self.engine.port_start, "floor": 1024})
        self.assert_answers(self.start_with(user=APP, env=variables, options=self.CONFINED), 8080)
        report = self.check_image("validate", variables, "refuse")
        self.assertEqual(self.ports(report["after"]), {80})
        # As the image is.
        self.assertEqual(self.ports(self.check_image("validate", {}, "start")["predictions"]), {8080})

    def test_in_a_running_container_what_is_predicted_of_its_first_process_listens(self):
        container = self.start_with(user=APP, env={"ASPNETCORE_URLS": "http://+:80"}, options=self.CONFINED)
        self.assert_answers(container, 8080)
        report = self.check_running(container, "--pid=1", verdict="start")
        self.assertEqual((report["pid"], report["listeningIsOwn"]), (1, True))
        self.assertEqual(self.ports(report["predictions"]), {8080})
        self.assertEqual([(one["port"], one["predicted"]) for one in report["listening"]], [(8080, True)])
        self.assertEqual(report["notListening"], [])
        text = container.execute("/portshim", "--check", "--pid=1")
        self.assertEqual((text.code, text.stdout.splitlines()[-1]), (0, "verdict:   start"), text)

    def test_negative_control_the_containers_own_variables_are_those_before_the_edits(self):
        container = self.start_with(user=APP, env={"ASPNETCORE_URLS": "http://+:80"}, options=self.CONFINED)
        self.assert_answers(container, 8080)
        report = self.check_running(container, "--mode=explain", "--", "dotnet", "aspnetapp.dll", verdict="refuse")
        self.assertEqual(self.ports(report["predictions"]), {80})

    def test_another_user_may_not_examine_the_first_process(self):
        container = self.start_with(user=APP, env={}, options=self.CONFINED)
        self.assert_answers(container, 8080)
        result = container.execute("/portshim", "--check=json", "--pid=1", options=("--user", "1655"))
        self.assertNotEqual(result.code, 0, result)
        self.assertEqual([one["severity"] for one in result.json["findings"] if one["id"] == "PS909"], ["error"], result)
        self.assertEqual(result.json["predictions"], [])


class StepDown(ShimTest):
    """A container that starts as root, and portshim that steps down to app, where port 80 takes a privilege."""

    STARTED_AS_ROOT = ("--sysctl", f"{PORT_START}=1024")

    def step_down(self, *, options=(), **env) -> Container:
        variables = {"ASPNETCORE_URLS": "http://+:80", "PORTSHIM_USER": APP, **env}
        return self.start_with(user="0", env=variables, options=(*self.STARTED_AS_ROOT, *options))

    def test_the_app_runs_as_app_and_its_port_moves(self):
        container = self.step_down()
        environment = self.assert_answers(container, 8080)
        self.assertEqual((environment["userId"], environment["processId"]), (UNPRIVILEGED_UID, 1))
        self.assertEqual(environment["variables"]["HOME"], "/home/app")
        self.assert_finding(container.so_far(), "PS101", "warning")
        self.assert_not_listening(container, 80)

    def test_keep_net_bind_serves_port_80_as_app(self):
        for init in "off", "on":
            with self.subTest(init=init):
                container = self.step_down(PORTSHIM_KEEP_NET_BIND="on", PORTSHIM_INIT=init)
                environment = self.assert_answers(container, 80)
                self.assertEqual(environment["userId"], UNPRIVILEGED_UID)
                self.assertEqual(container.so_far().findings, [])

    def test_what_the_runtime_took_away_is_named_and_nothing_started(self):
        result = self.step_down(options=("--cap-drop", "ALL")).wait()
        self.assertEqual((result.code, result.stdout), (78, ""), result)
        self.assertIn("cap-drop ALL", self.assert_finding(result, "PS521", "error").why)
        dropped = self.step_down(options=("--cap-drop", "NET_BIND_SERVICE"), PORTSHIM_KEEP_NET_BIND="on")
        self.assertEqual(self.assert_answers(dropped, 8080)["userId"], UNPRIVILEGED_UID)
        self.assert_finding(dropped.so_far(), "PS522", "warning")


class StepDownOnPodman(StepDown, PodmanTest):
    pass


class StepDownOnDocker(StepDown, DockerTest):
    pass


class StartupOnPodman(Startup, PodmanTest):
    pass


class StartupOnDocker(Startup, DockerTest):
    pass


class PrivilegesOnPodman(Privileges, PodmanTest):
    USER_NAMESPACE = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")

    def test_root_of_a_user_namespace_keeps_port_80(self):
        self.assert_port_80_stays(user="0", options=self.USER_NAMESPACE)

    def test_user_app_in_a_user_namespace(self):
        self.assert_port_80_moves(user=APP, options=self.USER_NAMESPACE)

    def test_root_of_a_user_namespace_on_the_hosts_network_has_the_capability_and_cannot_use_it(self):
        environment = self.assert_port_80_moves(user="0", options=(*self.USER_NAMESPACE, "--network", "host"))
        self.assertEqual(environment["userId"], 0)


class PrivilegesOnDocker(Privileges, DockerTest):
    pass


class AtATerminalOnPodman(AtATerminal, PodmanTest):
    pass


class AtATerminalOnDocker(AtATerminal, DockerTest):
    pass


class ChecksOnPodman(Checks, PodmanTest):
    pass


class ChecksOnDocker(Checks, DockerTest):
    pass


del Startup, Privileges, Checks, StepDown, AtATerminal  # no tests without an engine

if __name__ == "__main__":
    containers.main()
