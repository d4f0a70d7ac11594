"""Tests with real Kestrel: tests/apps/aspnetapp, published once by kestrel/publish_test.py, in a network namespace."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import portshim_test
from portshim_test import NetworkNamespace, PortshimTest, Process, Result, Stage, Text

# The folder that `dotnet publish --artifacts-path` writes to.
ARTIFACTS = Path(os.environ.get("PORTSHIM_ASPNETAPP") or portshim_test.SOURCE_DIR / "build/release/aspnetapp")
PUBLISHED = ARTIFACTS / "publish/aspnetapp/release"
# A single file that extracts all it holds when it starts.
SINGLE_FILE = ARTIFACTS / "single-file/publish/aspnetapp/release/aspnetapp"

# tests/apps/bindapp, whose code binds.
BINDAPP = ARTIFACTS / "publish/bindapp/release"

# The message of an app that may not bind its port, and the exit code of the abort that follows.
PERMISSION_DENIED = "System.Net.Sockets.SocketException (13): Permission denied"
ABORTED = -6  # SIGABRT: 134 in a shell

UNPRIVILEGED_UID = 1654  # user `app` of Microsoft's images


def build_environment() -> dict[str, str]:
    """For the SDK. HOME is a folder of its own, so that nothing of the user's is read or written."""
    home = ARTIFACTS / "home"
    home.mkdir(parents=True, exist_ok=True)
    return os.environ | {"HOME": str(home), "DOTNET_CLI_HOME": str(home), "DOTNET_NOLOGO": "1",
                         "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false"}


def publish() -> None:
    """Publishes the apps to PUBLISHED and BINDAPP, and the first as SINGLE_FILE."""
    dotnet = portshim_test.require_dotnet(sdk=True)
    single_file = ("--use-current-runtime", "--self-contained", "false", "-p:PublishSingleFile=true",
                   "-p:IncludeAllContentForSelfExtract=true")
    for app, artifacts, options in (("aspnetapp", ARTIFACTS, ()), ("bindapp", ARTIFACTS, ()),
                                    ("aspnetapp", ARTIFACTS / "single-file", single_file)):
        # No build servers: they would outlive the test.
        subprocess.run([dotnet, "publish", portshim_test.SOURCE_DIR / "tests/apps" / app, "--nologo",
                        "--disable-build-servers", "--artifacts-path", artifacts, *options], env=build_environment(),
                       check=True)


def self_signed_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key, readable by the app."""
    openssl = portshim_test.require_program("openssl")
    certificate, key = directory / "localhost.pem", directory / "localhost.key"
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    key.chmod(0o644)
    return certificate, key


class KestrelTest(PortshimTest):
    """`app` is the published folder, readable by every user. Commands start with the name `dotnet`."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        portshim_test.require_root("to run as another user in a network namespace")
        cls.dotnet = portshim_test.require_dotnet()
        if not (PUBLISHED / "aspnetapp.dll").exists():
            portshim_test.skip(f"needs the published app: ctest -R kestrel.publish makes {PUBLISHED}")
        cls.app = portshim_test.readable_copy(PUBLISHED) / "aspnetapp.dll"

    def environment(self, **variables: Text) -> dict[str, Text]:
        """As in a container: little else but what the test names. HOME is what runtimes set for a uid without a passwd
        entry; with none at all .NET fails on the first certificate."""
        return {"PATH": f"{self.dotnet.parent}:/usr/bin:/bin", "HOME": "/", **variables}

    def start_app(self, *arguments: Text, stage: Stage, shim: bool = True, options: tuple[Text, ...] = (),
                  **variables: Text) -> Process:
        """`portshim OPTIONS dotnet aspnetapp.dll ARGUMENTS`; without `shim` just dotnet."""
        command = ("dotnet", self.app, *arguments)
        environment = self.environment(**variables)
        if not shim:
            return self.start(self.dotnet, *command[1:], argv0="dotnet", env=environment, stage=stage,
                              cwd=self.directory)
        return self.start(self.binary, *options, *command, env=environment, stage=stage, cwd=self.directory)

    def assert_dies_of_permission(self, *arguments: Text, stage: Stage, shim: bool = False,
                                  **variables: Text) -> Result:
        """The negative control: started like this, the app ends with SocketException (13)."""
        result = self.start_app(*arguments, stage=stage, shim=shim, **variables).wait()
        self.assertEqual(result.code, ABORTED, result)
        self.assertIn(PERMISSION_DENIED, result.stderr)
        return result

    def assert_answers(self, process: Process, namespace: NetworkNamespace, port: int,
                       certificate: Path | None = None) -> dict:
        """What /Environment says on that port, once the app has started."""
        self.await_output(process, "Application started.")
        self.assertTrue(namespace.connects(port), f"nothing listens on {port}\n{process.so_far()}")
        status, body = namespace.get(port, "/Environment", certificate)
        self.assertEqual(status, 200, body)
        return json.loads(body)
