"""--guard with real .NET: every way in which code binds a low port. Every promise has its negative control."""

import signal
import subprocess
import time
from pathlib import Path

import kestrel
import portshim_test
import shapes
from kestrel import ABORTED, PERMISSION_DENIED, UNPRIVILEGED_UID, KestrelTest
from portshim_test import NetworkNamespace, Process, Stage, as_uid


class GuardTest(KestrelTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not (kestrel.BINDAPP / "bindapp.dll").exists():
            portshim_test.skip(f"needs the published app: ctest -R kestrel.publish makes {kestrel.BINDAPP}")
        cls.app = portshim_test.readable_copy(kestrel.BINDAPP.parent) / "release" / "bindapp.dll"

    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace(1024)
        self.unprivileged = as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.namespace)

    def environment(self, **variables) -> dict:
        return super().environment(DOTNET_hostBuilder__reloadConfigOnChange="false", **variables)

    def guarded(self, *words: str, guard: str = "redirect", **variables: str) -> Process:
        app = self.start_app(*words, stage=self.unprivileged, PORTSHIM_GUARD=guard, **variables)
        self.await_output(app, "Application started.")
        return app

    def assert_shape_answers(self, app: Process, shape: str, port: int):
        self._await(lambda: shapes.answers(self.namespace, shape, port), f"answered on {port}", app, 60)

    def moves(self, app: Process) -> list[str]:
        return [finding.what for finding in app.so_far().findings]


class Shapes(GuardTest):
    def test_every_shape_dies_without_the_guard_and_answers_on_the_new_port_with_it(self):
        for shape in shapes.SHAPES:
            with self.subTest(shape):
                words = (f"{shape}:80",)
                if shape == "Process":  # the child dies
                    alone = self.start_app(*words, stage=self.unprivileged, shim=False)
                    self._await(lambda: PERMISSION_DENIED in alone.so_far().stderr, "denied its child", alone, 60)
                    alone.kill()
                else:
                    self.assert_dies_of_permission(*words, stage=self.unprivileged)
                app = self.guarded(*words)
                self.assert_shape_answers(app, shape, 8080)
                self.assertFalse(self.namespace.connects(80))
                findings = app.so_far().findings
                self.assertGreaterEqual(len(findings), 1)
                self.assertEqual({finding.id for finding in findings}, {"PS531"}, app.so_far())
                app.send(signal.SIGTERM)
                self.assertEqual(app.wait().code, 0)

    def test_a_wildcard_is_one_call_and_kestrel_logs_the_new_port(self):
        app = self.guarded("ListenAnyIP:80")
        self.assertEqual(self.moves(app), ["the app's bind([::]:80) was changed to port 8080"])
        self.assertIn("Now listening on: http://[::]:8080", app.so_far().stdout)

    def test_localhost_is_two_calls_and_kestrel_goes_on_to_log_port_80(self):
        app = self.guarded("ListenLocalhost:80")
        self.assertEqual(self.moves(app), ["the app's bind(127.0.0.1:80) was changed to port 8080",
                                           "the app's bind([::1]:80) was changed to port 8080"])
        self.assertIn("Now listening on: http://localhost:80\n", app.so_far().stdout)
        self.assertIn("may go on to log port 80", app.so_far().findings[0].next)

    def test_sockets_know_their_new_port(self):
        app = self.guarded("TcpListener:25", "UdpClient:53")
        self.assertIn("TcpListener has 0.0.0.0:8025\nUdpClient has 0.0.0.0:8053\n", app.so_far().stdout)

    def test_two_endpoints_beside_settings_that_have_no_effect(self):
        app = self.guarded("UseUrls:5000", "ListenAnyIP:80", "ListenAnyIP:443")
        for port in (8080, 8443):
            self.assert_shape_answers(app, "ListenAnyIP", port)
        self.assertFalse(self.namespace.connects(5000))

    def test_both_orders_of_80_and_8080_start_and_answer(self):
        for words in (("ListenAnyIP:80", "ListenAnyIP:8080"), ("ListenAnyIP:8080", "ListenAnyIP:80")):
            with self.subTest(words):
                app = self.guarded(*words)
                for port in (8080, 8081):
                    self.assert_shape_answers(app, "ListenAnyIP", port)
                app.kill()

    def test_tcp_and_udp_of_one_port(self):
        app = self.guarded("ListenAnyIP:443", "UdpClient:443")
        self.assert_shape_answers(app, "ListenAnyIP", 8443)
        self.assert_shape_answers(app, "UdpClient", 8443)

    def test_the_apps_own_calls_to_the_old_port_are_refused(self):
        app = self.guarded("ListenAnyIP:80")
        self.assertIn("Connection refused", self.namespace.get(8080, "/call/80")[1])
        self.assertEqual(self.namespace.get(8080, "/call/8080")[1], "Hello")

    def test_an_app_whose_settings_are_moved_too(self):
        app = self.guarded("TcpListener:25", "Run:0", PORTSHIM="rewrite", ASPNETCORE_URLS="http://+:80")
        self.assertIn("TcpListener has 0.0.0.0:8025", app.so_far().stdout)


class Ends(GuardTest):
    def test_explain_names_the_call_of_which_the_app_dies(self):
        result = self.start_app("ListenAnyIP:80", stage=self.unprivileged, PORTSHIM_GUARD="explain").wait()
        self.assertEqual(result.code, 128 + signal.SIGABRT, result)
        self.assertIn(PERMISSION_DENIED, result.stderr)
        self.assertEqual(self.assertFinding(result, "PS530").what, "the app's bind([::]:80) is denied")
        # Kestrel tries this one next.
        self.assertIn("the kernel had denied bind(0.0.0.0:80)", self.assertFinding(result, "PS503", "error").why)

    def test_strict_dies_of_a_conflict_and_names_it(self):
        result = self.start_app("ListenAnyIP:80", "ListenAnyIP:8080", stage=self.unprivileged,
                                PORTSHIM_GUARD="strict").wait()
        self.assertEqual(result.code, 128 + signal.SIGABRT, result)
        self.assertIn("address already in use", result.stderr)
        self.assertIn("by what asked for port 80", self.assertFinding(result, "PS533").why)

    def test_when_the_guard_is_killed_the_app_ends_gracefully(self):
        app = self.guarded("ListenAnyIP:80")
        app.send(signal.SIGKILL)
        app.wait()
        deadline = time.monotonic() + 60
        while "Application is shutting down..." not in app.so_far().stdout:
            self.assertLess(time.monotonic(), deadline, app.so_far())
            time.sleep(0.02)

    def test_a_bind_while_the_app_runs_is_moved_too(self):
        app = self.guarded("ListenAnyIP:80")
        self.assertEqual(self.namespace.get(8080, "/bind/110")[1], "bound")
        self.assert_shape_answers(app, "TcpListener", 8110)


class Diagnostics(GuardTest):
    def dotnet_trace(self) -> Path:
        """The tool, from NuGet."""
        folder = kestrel.ARTIFACTS / "tools"
        if not (folder / "dotnet-trace").exists():
            done = subprocess.run([self.dotnet, "tool", "install", "dotnet-trace", "--tool-path", folder],
                                  env=kestrel.build_environment(), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                portshim_test.skip(f"needs dotnet-trace from NuGet: {done.stdout}{done.stderr}")
        return portshim_test.readable_copy(folder) / "dotnet-trace"

    def test_dotnet_trace_finds_the_app_and_collects(self):
        tool = self.dotnet_trace()
        app = self.guarded("ListenAnyIP:80")
        [child] = Path(f"/proc/{app.pid}/task/{app.pid}/children").read_text().split()
        home = self.directory / "home"
        home.mkdir()
        home.chmod(0o777)
        environment = self.environment(DOTNET_ROOT=str(self.dotnet.resolve().parent)) | {"HOME": str(home)}

        def run(*arguments):
            result = self.start(tool, *arguments, env=environment, stage=self.unprivileged, cwd=home).wait()
            self.assertEqual(result.code, 0, result)
            return result

        self.assertRegex(run("ps").stdout, rf"(?m)^ *{child} +dotnet .*bindapp\.dll")
        run("collect", "--process-id", child, "--duration", "00:00:00:01", "--output", home / "app.nettrace")
        self.assertGreater((home / "app.nettrace").stat().st_size, 0)


if __name__ == "__main__":
    portshim_test.main()
