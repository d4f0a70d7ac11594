"""Endpoints that real Kestrel cannot bind: each is made to happen without portshim, then named before it happens."""

import dataclasses
import os
import re
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import portshim_test
import tally
from kestrel import ABORTED, UNPRIVILEGED_UID, KestrelTest
from portshim_test import NetworkNamespace, Stage, as_root, as_uid
from stages import in_mount_namespace


@dataclasses.dataclass(frozen=True)
class Failure:
    """A start that fails: how it is made (in the test's folder, which the app may write to), what .NET then says
    without portshim, and what portshim says before."""

    name: str
    urls: str  # {} is the folder
    prepare: Callable[[Path], object]
    said: str
    id: str
    what: str
    severity: str = "error"


def leave_socket(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
    """A socket file of the app's own user, on which nobody listens any more."""
    with socket.socket(socket.AF_UNIX, kind) as left_behind:
        left_behind.bind(os.fspath(path))
    os.chown(path, UNPRIVILEGED_UID, UNPRIVILEGED_UID)


def nothing(_: Path) -> None:
    pass


IN_USE = "address already in use"
UNKNOWN = "SocketException (0xFFFDFFFE): Unknown socket error"
FAILURES = (
    Failure("missing folder", "http://unix:{}/none/k.sock", nothing,
            "SocketException (99): Cannot assign requested address", "PS207", "there is no folder '{}/none'"),
    Failure("a file instead of the folder", "http://unix:{}/file/k.sock", lambda folder: (folder / "file").touch(),
            UNKNOWN, "PS207", "there is no folder '{}/file'"),
    Failure("folder of root", "http://unix:{}/root/k.sock", lambda folder: (folder / "root").mkdir(0o755),
            "SocketException (13): Permission denied", "PS207", "uid 1654 may make no file in '{}/root'"),
    Failure("folder that may not be searched", "http://unix:{}/closed/k.sock",
            lambda folder: (folder / "closed").mkdir(0o700),
            "SocketException (13): Permission denied", "PS207", "uid 1654 may make no file in '{}/closed'"),
    Failure("socket that was left behind", "http://unix:{}/k.sock", lambda folder: leave_socket(folder / "k.sock"),
            IN_USE, "PS208", "'{}/k.sock' is a socket file that was left behind"),
    Failure("regular file", "http://unix:{}/k.sock", lambda folder: (folder / "k.sock").write_text("x"),
            IN_USE, "PS208", "'{}/k.sock' is there, and no socket"),
    Failure("directory", "http://unix:{}/k.sock", lambda folder: (folder / "k.sock").mkdir(),
            IN_USE, "PS208", "'{}/k.sock' is there, and no socket"),
    Failure("link that leads nowhere", "http://unix:{}/k.sock",
            lambda folder: (folder / "k.sock").symlink_to("nowhere"),
            IN_USE, "PS208", "'{}/k.sock' is there, and no socket"),
    Failure("the same socket twice", "http://unix:{}/k.sock;http://unix:{}/k.sock", nothing,
            IN_USE, "PS105", "the app binds '{}/k.sock' twice"),
    Failure("path that is too long", "http://unix:{}/" + 100 * "k", nothing,
            "ArgumentOutOfRangeException", "PS201", "ArgumentOutOfRangeException"),
    Failure("address of another host", "http://192.0.2.1:8080", nothing,
            "SocketException (99): Cannot assign requested address", "PS209", "192.0.2.1 is no address of this host"),
    Failure("IPv6 address of another host", "http://[2001:db8::1]:8080", nothing,
            "SocketException (99): Cannot assign requested address", "PS209", "2001:db8::1 is no address of this host"),
    Failure("link-local address without its interface", "http://[fe80::1]:8080", nothing,
            "SocketException (22): Invalid argument", "PS209", "fe80::1 is a link-local address"),
)

tearDownModule = tally.say


class Endpoints(KestrelTest):
    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace()
        self.stage = as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.namespace)
        self.folder = self.new_folder()

    def new_folder(self) -> Path:
        """One that the app may write to, with a short path: sun_path holds 107 bytes."""
        folder = self.directory / f"f{len(list(self.directory.iterdir()))}"
        folder.mkdir()
        os.chown(folder, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        return folder

    def assert_aborts(self, process, said: str) -> None:
        result = process.wait()
        self.assertEqual(result.code, ABORTED, result)
        self.assertIn(said, result.stderr)

    def assert_named(self, failure: Failure, folder: Path) -> None:
        """The failure with and without portshim."""
        variables = {"ASPNETCORE_URLS": failure.urls.replace("{}", str(folder))}
        self.assert_aborts(self.start_app(stage=self.stage, shim=False, **variables), failure.said)

        with tally.failure(failure.name):
            explained = self.start_app(stage=self.stage, PORTSHIM="explain", **variables)
            self.assert_aborts(explained, failure.said)
            finding = self.assertFinding(explained.so_far(), failure.id, failure.severity)
            self.assertIn("ASPNETCORE_URLS=", finding.what + finding.why)
            self.assertIn(failure.what.replace("{}", str(folder)), finding.what)
            for text in re.findall(r"\.NET will report '(.*?)'", finding.why):
                self.assertIn(text, failure.said)

        refused = self.start_app(stage=self.stage, PORTSHIM="validate", **variables).wait()
        self.assertEqual((refused.code, refused.stdout), (78, ""), refused)
        self.assertEqual(self.assertFinding(refused, failure.id, "error").did,
                         "the app was not started (exit code 78)")

    def test_each_failure_is_named_before_it_happens_and_refused(self):
        for failure in FAILURES:
            with self.subTest(failure.name):
                folder = self.new_folder()
                failure.prepare(folder)
                self.assert_named(failure, folder)

    def test_a_folder_on_a_read_only_file_system_is_named(self):
        self.stage = in_mount_namespace(partial(subprocess.run, ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs",
                                                                 self.folder], check=True)) | self.stage
        failure = Failure("read-only", "http://unix:{}/k.sock", nothing, UNKNOWN,
                          "PS207", "uid 1654 may make no file in '{}'")
        self.assert_named(failure, self.folder)

    def assert_starts(self, stage: Stage | None = None, **variables) -> None:
        """The app starts, and portshim has nothing to say in any mode."""
        for mode in "explain", "validate", "rewrite":
            with self.subTest(mode=mode), tally.good_start(self.id()):
                app = self.start_app(stage=stage or self.stage, PORTSHIM=mode, **variables)
                self.await_output(app, "Application started.")
                self.assertSilent(app.so_far())
                app.send(15)
                self.assertEqual(app.wait().code, 0)

    def test_a_socket_that_can_be_made_is_silent(self):
        self.assert_starts(ASPNETCORE_URLS=f"http://unix:{self.folder}/k.sock;http://127.0.0.1:8080;http://[::1]:8081")

    def test_a_socket_on_which_somebody_listens_is_a_warning(self):
        path = self.folder / "k.sock"
        listener = self.enterContext(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o777)
        for mode in "explain", "validate", "rewrite":
            with self.subTest(mode=mode):
                app = self.start_app(stage=self.stage, PORTSHIM=mode, ASPNETCORE_URLS=f"http://unix:{path}")
                self.assert_aborts(app, IN_USE)
                with tally.failure(self.id()):
                    finding = self.assertFinding(app.so_far(), "PS208", "warning")
                    self.assertIn(f"another process listens on '{path}'", finding.what)

    def test_a_socket_of_a_configured_endpoint_is_named_too(self):
        variables = {"Kestrel__Endpoints__A__Url": "http://unix:/none/k.sock"}
        app = self.start_app(stage=self.stage, PORTSHIM="explain", **variables)
        self.assert_aborts(app, "SocketException (99)")
        with tally.failure(self.id()):
            self.assertIn("Kestrel__Endpoints__A__Url=", self.assertFinding(app.so_far(), "PS207", "error").what)

    def test_a_port_of_another_process_is_a_warning_and_no_reason_to_refuse(self):
        with self.namespace.entered():
            self.enterContext(socket.create_server(("127.0.0.1", 8080)))
        holders = {self.stage: "a process of uid 0",
                   as_root() | Stage(namespace=self.namespace): f"(pid {os.getpid()})"}
        for stage, holder in holders.items():
            for mode in "explain", "validate", "rewrite":
                with self.subTest(mode=mode, holder=holder):
                    app = self.start_app(stage=stage, PORTSHIM=mode, ASPNETCORE_URLS="http://+:8080")
                    self.assertIn(IN_USE, app.wait().stderr)
                    with tally.failure(self.id()):
                        finding = self.assertFinding(app.so_far(), "PS110", "warning")
                        self.assertIn("port 8080 of ASPNETCORE_URLS=http://+:8080 is held by another process",
                                      finding.what)
                        self.assertIn(holder, finding.what)

    def test_a_new_port_of_another_process_is_said_once(self):
        with self.namespace.entered():
            self.enterContext(socket.create_server(("127.0.0.1", 8080)))
        app = self.start_app(stage=self.stage, PORTSHIM="rewrite", ASPNETCORE_URLS="http://+:80")
        self.assert_aborts(app, IN_USE)
        with tally.failure(self.id()):
            self.assertEqual([finding.id for finding in app.so_far().findings], ["PS101", "PS102"])

    def test_https_without_a_certificate_is_a_warning(self):
        for variables in {"ASPNETCORE_URLS": "https://+:8443"}, {"ASPNETCORE_HTTPS_PORTS": "8443"}, {
                "Kestrel__Endpoints__A__Url": "https://+:8443"}:
            for mode in "explain", "validate", "rewrite":
                with self.subTest(variables=variables, mode=mode):
                    app = self.start_app(stage=self.stage, PORTSHIM=mode, **variables)
                    self.assert_aborts(app, "Unable to configure HTTPS endpoint. No server certificate was specified")
                    with tally.failure(f"{self.id()} {next(iter(variables))}"):
                        self.assertEqual([finding.id for finding in app.so_far().findings], ["PS320"])
                        finding = self.assertFinding(app.so_far(), "PS320", "warning")
                        self.assertIn("unless its code sets a certificate", finding.what)

    def test_https_with_a_development_certificate_is_silent(self):
        dotnet = portshim_test.require_dotnet(sdk=True)
        home = {"HOME": self.folder, "DOTNET_CLI_HOME": self.folder, "DOTNET_NOLOGO": "1",
                "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false"}
        subprocess.run([dotnet, "dev-certs", "https"], env=os.environ | home, check=True, capture_output=True)
        subprocess.run(["chown", "-R", str(UNPRIVILEGED_UID), self.folder], check=True)
        self.assert_starts(ASPNETCORE_URLS="https://+:8443", HOME=self.folder)


if __name__ == "__main__":
    portshim_test.main()
