"""--check --pid of real apps that are running: what was predicted is what they listen on."""

import functools
import json
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import assembly_apps
import portshim_test
from init_case import status_of
from kestrel import UNPRIVILEGED_UID, KestrelTest
from portshim_test import NET_BIND_SERVICE, NetworkNamespace, Process, Result, Stage, as_root, as_uid

LOW_PORTS_DENIED = 1024
LOW_PORTS_ALLOWED = 0

# Arguments, variables and settings files of the published app, and where it listens.
SETTINGS = (
    ((), {}, {}, {5000}),
    ((), {"ASPNETCORE_URLS": "http://+:8080"}, {}, {8080}),
    ((), {"ASPNETCORE_URLS": "http://*:8080;http://localhost:8081"}, {}, {8080, 8081}),
    ((), {"ASPNETCORE_HTTP_PORTS": "8080"}, {}, {8080}),
    ((), {"ASPNETCORE_HTTP_PORTS": "8080;8082", "ASPNETCORE_URLS": ""}, {}, {8080, 8082}),
    ((), {"DOTNET_URLS": "http://127.0.0.1:8083"}, {}, {8083}),
    ((), {"URLS": "http://[::1]:8084"}, {}, {8084}),
    ((), {"ASPNETCORE_URLS": "http://0.0.0.0:8085"}, {}, {8085}),
    ((), {"Kestrel__Endpoints__A__Url": "http://+:8086", "ASPNETCORE_URLS": "http://+:1"}, {}, {8086}),
    (("--urls", "http://+:8087"), {"ASPNETCORE_URLS": "http://+:8080"}, {}, {8087}),
    (("--urls=http://localhost:8088",), {}, {}, {8088}),
    (("--http_ports=8089",), {}, {}, {8089}),
    ((), {"ASPNETCORE_HTTP_PORTS": "8080"}, {"appsettings.json": {"Urls": "http://+:8090"}}, {8090}),
    ((), {}, {"appsettings.json": {"Kestrel": {"Endpoints": {"Http": {"Url": "http://*:8091"}}}}}, {8091}),
    ((), {"DOTNET_ENVIRONMENT": "Staging"},
     {"appsettings.json": {"Urls": "http://+:1"}, "appsettings.Staging.json": {"Urls": "http://+:8092"}}, {8092}),
    ((), {}, {"aspnetapp.settings.json": {"Urls": "http://+:8093"}}, {8093}),
)
# Apps whose code sets the port, and those that only read settings with another builder.
CODE = ("ListenAnyIP", "UseUrls", "RunUrl", "GenericHost", "LegacyHost", "Slim")


@functools.cache
def apps() -> dict[str, assembly_apps.Assembly]:
    return {assembly.name: assembly for assembly in assembly_apps.assemblies()}


class ProcessTest(KestrelTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.denying, cls.allowing = NetworkNamespace(LOW_PORTS_DENIED), NetworkNamespace(LOW_PORTS_ALLOWED)

    def environment(self, **variables) -> dict:
        # What reads no file that changes needs no watcher, of which there are few for one user.
        return super().environment(DOTNET_hostBuilder__reloadConfigOnChange="false", **variables)

    def run_app(self, *arguments: str, stage: Stage | None = None, shim: bool = False, **variables: str) -> Process:
        """aspnetapp, started and ready."""
        app = self.start_app(*arguments, stage=stage or as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.denying),
                             shim=shim, **variables)
        self.await_output(app, "Application started.")
        return app

    def ask(self, pid: int, *options: str, form: str = "json", stage: Stage = Stage(), **variables: str) -> Result:
        """`portshim --check --pid=PID`, from elsewhere."""
        return self.start(self.binary, f"--check={form}", f"--pid={pid}", *options, env=variables, stage=stage,
                          cwd=Path("/")).wait()

    as_predicted = 0  # apps that listened where it was said

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        print(f"{cls.__name__}: {cls.as_predicted} running apps listen where it was predicted", flush=True)

    def assert_as_predicted(self, app: Process, ports: set[int], **how) -> dict:
        result = self.ask(app.pid, **how)
        self.assertSilent(result)
        report = result.json
        self.assertEqual(report["pid"], app.pid)
        self.assertTrue(report["listeningIsOwn"], result)
        self.assertEqual({one["port"] for one in report["listening"]}, ports, result)
        self.assertEqual([one for one in report["listening"] if not one["predicted"]], [], result)
        self.assertEqual(report["notListening"], [], result)
        type(self).as_predicted += 1
        return report


class Prediction(ProcessTest):
    def test_what_is_predicted_listens(self):
        """That of every app of this class is counted."""
        for arguments, variables, files, ports in SETTINGS:
            with self.subTest(arguments=arguments, variables=variables, files=files):
                for name, content in files.items():
                    self.write(name, json.dumps(content))
                app = self.run_app(*arguments, **variables)
                try:
                    report = self.assert_as_predicted(app, ports)
                finally:
                    app.kill()
                    for name in files:
                        (self.directory / name).unlink()
                self.assertEqual(report["verdict"], "start")
                self.assertEqual(sorted(report["files"]), sorted(str(self.directory / name) for name in files))
                self.assertEqual(report["identity"]["uid"], UNPRIVILEGED_UID)
                self.assertEqual(report["identity"]["unprivilegedPortStart"], LOW_PORTS_DENIED)
                [prediction] = report["predictions"]
                self.assertEqual((prediction["builder"], prediction["major"]), ("wab", 10))
                self.assertEqual({one["verdict"] for one in prediction["endpoints"]}, {"ok"})

    def test_ports_that_code_sets_are_as_likely_as_they_were(self):
        stage = as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.allowing)
        for name in CODE:
            with self.subTest(name):
                folder = portshim_test.scratch() / name
                if not folder.exists():
                    shutil.copytree(apps()[name].folder(), folder)
                path = folder / apps()[name].path().name
                app = self.start(self.dotnet, path, argv0="dotnet", stage=stage, cwd=self.directory,
                                 env=self.environment())
                self.await_output(app, "Application started.")
                report = self.ask(app.pid).json
                self.assertEqual([one for one in report["listening"] if not one["predicted"]], [], report)
                self.assertNotEqual(report["listening"], [])
                self.assertEqual(report["notListening"], [])
                type(self).as_predicted += 1
                app.kill()

    def test_an_apphost_is_examined_too(self):
        app = self.start(self.app.with_suffix(""), stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.denying),
                         cwd=self.directory,
                         env=self.environment(ASPNETCORE_URLS="http://+:8080",
                                              DOTNET_ROOT=str(self.dotnet.resolve().parent)))
        self.await_output(app, "Application started.")
        report = self.assert_as_predicted(app, {8080})
        self.assertEqual(report["app"]["kind"], "apphost")

    def test_what_portshim_has_started_is_the_app_with_its_new_port(self):
        app = self.run_app(shim=True, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite")
        report = self.assert_as_predicted(app, {8080})
        self.assertEqual((report["mode"], report["verdict"], report["app"]["kind"]), ("off", "start", "dotnet"))

    def test_a_port_that_nobody_predicted_and_one_that_nobody_listens_on_are_told(self):
        """The negative control: a settings file that appeared after the start."""
        app = self.run_app(ASPNETCORE_HTTP_PORTS="8080")
        self.write("appsettings.json", json.dumps({"Urls": "http://+:8090"}))
        report = self.ask(app.pid).json
        self.assertEqual([(one["port"], one["predicted"]) for one in report["listening"]], [(8080, False)])
        self.assertEqual([one["port"] for one in report["notListening"]], [8090])
        text = self.ask(app.pid, form="text").stdout
        self.assertRegex(text, r"(?m)^  \[::\]:8080 +not predicted$")
        self.assertRegex(text, r"(?m)^  nothing on http ANY:8090, though predicted$")

    def test_its_files_are_those_of_its_mount_namespace(self):
        """A content root that is there for the app alone, as in a container."""
        self.write("root/appsettings.json", json.dumps({"Urls": "http://+:8080"}))
        (self.directory / "mounted").mkdir()
        script = 'mount --bind root mounted && cd mounted && exec "$@"'
        app = self.start(portshim_test.require_program("unshare"), "--mount", "/bin/sh", "-c", script, "sh",
                         self.dotnet, self.app, stage=as_root() | Stage(namespace=self.denying), env=self.environment(),
                         cwd=self.directory)
        self.await_output(app, "Application started.")
        self.assertFalse((self.directory / "mounted/appsettings.json").exists())
        report = self.assert_as_predicted(app, {8080})
        self.assertEqual(report["files"], [f"{self.directory}/mounted/appsettings.json"])

    def test_text_says_it_to_people(self):
        app = self.run_app(ASPNETCORE_URLS="http://+:8080")
        text = self.ask(app.pid, form="text").stdout
        self.assertIn(f"process:   {app.pid}, running already\n", text)
        self.assertIn("  http ANY:8080  ok here  ASPNETCORE_URLS\n", text)
        self.assertIn("it listens on:\n  [::]:8080  as predicted\n", text)
        self.assertTrue(text.endswith("verdict:   start\n"), text)


class Inherited(ProcessTest):
    """Limits and signals of the process, not of portshim."""

    def findings(self, stage: Stage, asker: Stage = Stage()) -> list[tuple[str, str]]:
        app = self.run_app(stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.denying) | stage,
                           ASPNETCORE_URLS="http://+:8080")
        report = self.ask(app.pid, stage=asker).json
        app.kill()
        return [(one["id"], one["severity"]) for one in report["findings"]]

    def test_a_blocked_sigterm_is_its_own(self):
        self.assertEqual(self.findings(Stage(blocked=(signal.SIGTERM,))), [("PS441", "warning")])
        self.assertEqual(self.findings(Stage(), asker=Stage(blocked=(signal.SIGTERM,))), [])

    def test_a_low_limit_is_its_own(self):
        few = Stage(limits=((resource.RLIMIT_NOFILE, (250, 250)),))
        self.assertEqual(self.findings(few), [("PS433", "warning")])
        self.assertEqual(self.findings(Stage(), asker=few), [])


class Identity(ProcessTest):
    def identity(self, report: dict) -> tuple:
        return tuple(report["identity"][name] for name in ("uid", "netBindService", "unprivilegedPortStart", "floor"))

    def test_its_capability_and_its_network_namespace_are_its_own(self):
        for stage, port, expected in (
                (as_uid(UNPRIVILEGED_UID, ambient=NET_BIND_SERVICE) | Stage(namespace=self.denying), 80,
                 (UNPRIVILEGED_UID, True, LOW_PORTS_DENIED, 0)),
                (as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.allowing), 81, (UNPRIVILEGED_UID, False, 0, 1024)),
                (as_root() | Stage(namespace=self.denying), 82, (0, True, LOW_PORTS_DENIED, 0)),
                (as_root(bounding=0) | Stage(namespace=self.denying), 8080, (0, False, LOW_PORTS_DENIED, 1024))):
            with self.subTest(stage=stage):
                app = self.run_app(stage=stage, ASPNETCORE_URLS=f"http://+:{port}")
                report = self.assert_as_predicted(app, {port})
                self.assertEqual(self.identity(report), expected)
                app.kill()

    def test_another_identity_can_be_assumed_for_it(self):
        app = self.run_app(stage=as_root() | Stage(namespace=self.denying), ASPNETCORE_URLS="http://+:80")
        self.assertEqual(self.ask(app.pid).json["verdict"], "start")
        result = self.ask(app.pid, "--assume=uid=1654,caps=none")
        self.assertEqual((result.code, result.json["verdict"]), (78, "refuse"))

    def test_the_same_user_in_the_same_namespace_needs_no_privilege(self):
        stage = as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.denying)
        app = self.run_app(ASPNETCORE_URLS="http://+:8080")
        report = self.assert_as_predicted(app, {8080}, stage=stage)
        self.assertEqual(report["notes"], [])

    def test_the_same_user_elsewhere_judges_binds_by_the_rule(self):
        app = self.run_app(ASPNETCORE_URLS="http://+:8080")
        report = self.assert_as_predicted(app, {8080}, stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.allowing))
        [note] = report["notes"]
        self.assertRegex(note, r"^no bind was tried, since its network namespace cannot be entered \(.*not permitted\)")

    def test_another_user_is_told_what_may_not_be_read(self):
        app = self.run_app(stage=as_root() | Stage(namespace=self.denying), ASPNETCORE_URLS="http://+:8080")
        result = self.ask(app.pid, stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.denying))
        report = result.json
        self.assertEqual((result.code, report["verdict"]), (78, "refuse"))
        self.assertEqual(report["predictions"], [])
        self.assertEqual([one["id"] for one in report["findings"] if one["severity"] == "error"], ["PS909"])
        for what in ("environment", "root directory", "program", "working directory", "open files"):
            self.assertEqual(len([note for note in report["notes"]
                                  if note.startswith(f"not readable: {what}") and "Permission denied" in note]), 1,
                             (what, report["notes"]))
        self.assertFalse(report["listeningIsOwn"])
        self.assertEqual([(one["port"], one["predicted"]) for one in report["listening"]], [(8080, False)])
        self.assertEqual(self.identity(report)[0], 0)
        text = self.ask(app.pid, form="text", stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.denying)).stdout
        self.assertIn("note:      not readable: environment: Permission denied\n", text)
        self.assertIn("in its network namespace somebody listens on:\n  [::]:8080\n", text)


class NoProcess(ProcessTest):
    def assert_not_examined(self, pid: int, what: str) -> None:
        for form in ("text", "json"):
            result = self.ask(pid, form=form)
            self.assertEqual((result.code, result.stdout), (125, ""), result)
            [finding] = result.findings
            self.assertEqual((finding.id, finding.severity, finding.what), ("PS909", "error", what))

    def test_a_number_of_no_process(self):
        ended = subprocess.Popen(["true"])
        ended.wait()
        self.assert_not_examined(ended.pid, f"there is no process {ended.pid}")
        self.assert_not_examined(2**31 - 1, f"there is no process {2**31 - 1}")

    def test_a_process_that_was_not_waited_for(self):
        ended = subprocess.Popen(["true"])
        self.addCleanup(ended.wait)
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        self.assert_not_examined(ended.pid, f"process {ended.pid} has no command line")

    def test_a_thread_of_the_kernel(self):
        processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        threads = [pid for pid in processes if status_of(pid).get("PPid") == "2"]
        for thread in threads[:1]:  # a PID namespace of a container has none
            self.assert_not_examined(thread, f"process {thread} has no command line")

    def test_one_that_ends_meanwhile(self):
        """strace stops portshim where it looks at the process's descriptors; then that is killed."""
        app = self.run_app(ASPNETCORE_URLS="http://+:8080")
        strace = portshim_test.require_program("strace")
        said = self.directory / "strace"
        asked = self.start(strace, "-o", said, "-e", "trace=getdents64", "-e", "inject=getdents64:signal=STOP:when=1",
                           self.binary, "--check=json", f"--pid={app.pid}")
        self._await(lambda: said.exists() and "stopped by SIGSTOP" in said.read_text(), "stopped portshim", asked, 60)
        app.kill()
        [stopped] = Path(f"/proc/{asked.pid}/task/{asked.pid}/children").read_text().split()
        os.kill(int(stopped), signal.SIGCONT)
        result = asked.wait()
        self.assertEqual((result.code, result.stdout), (125, ""), result)
        self.assertEqual(self.assertFinding(result, "PS909", "error").what,
                         f"process {app.pid} ended while it was examined")

    def test_a_program_that_is_not_dotnet_is_examined_as_what_it_is(self):
        other = subprocess.Popen(["sleep", "1000"], env={"ASPNETCORE_URLS": "http://+:8080"})
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        report = self.ask(other.pid).json
        self.assertEqual((report["app"]["kind"], report["listening"]), ("other", []))


if __name__ == "__main__":
    portshim_test.main()
