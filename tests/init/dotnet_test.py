"""--init with real .NET: how it ends, stops, and is rid of zombies."""

import os
import signal

import portshim_test
from init_case import InitTest, children_of, state_of
from kestrel import PERMISSION_DENIED, SINGLE_FILE, UNPRIVILEGED_UID, KestrelTest
from portshim_test import Process, as_uid, in_network_namespace


class Dotnet(KestrelTest, InitTest):
    ENVIRONMENT = {"DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false",
                   "DOTNET_DbgEnableMiniDump": "0"}

    def as_pid_1(self, urls: str, *front: object) -> tuple[Process, int]:
        """The app as PID 1, or behind `front`, as a user who may not bind low ports."""
        unshare = portshim_test.require_program("unshare")
        setpriv = portshim_test.require_program("setpriv")
        user = str(UNPRIVILEGED_UID)
        process = self.start(
            unshare, "--pid", "--fork", "--mount-proc", "--kill-child", setpriv, "--reuid", user, "--regid", user,
            "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", *front, self.dotnet, self.app,
            env=self.environment(ASPNETCORE_URLS=urls, **self.ENVIRONMENT), stage=in_network_namespace(1024),
            cwd=self.directory)
        self.until(lambda: children_of(process.pid), "unshare has forked")
        return process, children_of(process.pid)[0]

    def test_an_unhandled_exception_as_pid_1_is_134_and_explained(self):
        result = self.as_pid_1("http://127.0.0.1:80", self.binary, "--init")[0].wait()
        self.assertIn(PERMISSION_DENIED, result.stderr)
        self.assertEqual(result.code, 134)
        self.assertFinding(result, "PS503", "error")

    def test_negative_control_without_a_parent_it_is_139(self):
        result = self.as_pid_1("http://127.0.0.1:80")[0].wait()
        self.assertIn(PERMISSION_DENIED, result.stderr)
        self.assertNotEqual(result.code, 134)

    def test_sigterm_ends_it_gracefully_with_0(self):
        process, first = self.as_pid_1("http://127.0.0.1:8080", self.binary, "--init")
        self.await_output(process, "Application started.")
        os.kill(first, signal.SIGTERM)
        result = process.wait()
        self.assertEqual(result.code, 0, result)
        self.assertIn("Application is shutting down", result.stdout)
        self.assertSilent(result)

    def test_orphans_of_a_hundred_that_were_executed_in_its_container_leave_no_zombies(self):
        nsenter = portshim_test.require_program("nsenter")
        for front, expected in ((self.binary, "--init"), 0), ((), 100):
            with self.subTest(front=front):
                process, first = self.as_pid_1("http://127.0.0.1:8080", *front)
                self.await_output(process, "Application started.")
                # Each leaves one behind, as a probe with a shell in it does.
                script = "for i in $(seq 100); do (sleep 0 & exit); done"
                self.start(nsenter, "--target", str(first), "--pid", "/bin/sh", "-c", script,
                           env={"PATH": "/usr/bin:/bin"}).wait()
                zombies = lambda: sum(state_of(child) == "Z" for child in children_of(first))
                self.until(lambda: zombies() == expected, f"{expected} zombies")
                process.kill()


class Host(KestrelTest, InitTest):
    def test_the_real_host_is_explained_when_it_fails(self):
        (self.directory / "App.dll").write_bytes(self.app.read_bytes())
        (self.directory / "App.deps.json").write_text("{")
        (self.directory / "App.runtimeconfig.json").write_bytes(self.app.with_suffix(".runtimeconfig.json").read_bytes())
        process = self.init(self.dotnet, self.directory / "App.dll", env=self.environment(),
                            stage=as_uid(UNPRIVILEGED_UID))
        result = process.wait()
        self.assertEqual(result.code, 139, result)
        self.assertIn("ResolverInitFailure", self.assertFinding(result, "PS502", "error").why)

    def test_a_single_file_is_known_with_nothing_beside_it(self):
        if not SINGLE_FILE.exists():
            portshim_test.skip(f"needs the published app: ctest -R kestrel.publish makes {SINGLE_FILE}")
        self.write("App", SINGLE_FILE.read_bytes(), 0o755)
        # Neither HOME nor a variable says where it may extract what it holds.
        process = self.init("./App", env={"DOTNET_ROOT": str(self.dotnet.resolve().parent)}, cwd=self.directory,
                            stage=as_uid(UNPRIVILEGED_UID))
        result = process.wait()
        self.assertEqual(result.code, 159, result)
        self.assertIn("BundleExtractionFailure", self.assertFinding(result, "PS502", "error").why)


if __name__ == "__main__":
    portshim_test.main()
