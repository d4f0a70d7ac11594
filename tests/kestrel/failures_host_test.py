"""Start-up failures of .NET's host, and of what the runtime needs around it: each is made to happen with the real
dotnet. Without portshim the app ends as the table says; explain names the cause before; validate does not start it."""

from __future__ import annotations

import dataclasses
import errno
import functools
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import assembly_apps
import good_starts
import portshim_test
import tally
from kestrel import ABORTED, SINGLE_FILE, UNPRIVILEGED_UID, KestrelTest
from portshim_test import NetworkNamespace, Process, Stage, Text, as_root, as_uid
from stages import hide_libraries, in_mount_namespace, in_user_namespace

USER = as_uid(UNPRIVILEGED_UID)
NOBODY_ELSE = as_uid(61654)  # RLIMIT_NPROC counts every process of the user, those of other tests too

# What Microsoft's images set.
IMAGE = {"ASPNETCORE_HTTP_PORTS": "8080", "DOTNET_RUNNING_IN_CONTAINER": "true", "APP_UID": "1654"}


@dataclasses.dataclass(frozen=True)
class Row:
    """A way to fail. `make` changes the copy of the published app in the folder that it is given."""

    name: str
    id: str = ""  # of the finding; empty: none
    code: int | tuple[int, ...] = 0  # of dotnet itself
    text: str = ""  # in what it says
    make: Callable[[Path], object] = lambda folder: None
    command: tuple[Text, ...] = ("dotnet", "aspnetapp.dll")
    variables: Mapping[str, Text | None] = dataclasses.field(default_factory=dict)
    stage: Stage = USER


def unreadable(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).chmod(0o600)


def containing(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def cut_off(folder: Path) -> None:
    path = folder / "aspnetapp.dll"
    os.truncate(path, path.stat().st_size - 100)


def as_directory(folder: Path) -> None:
    (folder / "aspnetapp.deps.json").unlink()
    (folder / "aspnetapp.deps.json").mkdir()


def rename_apphost(folder: Path) -> None:
    (folder / "aspnetapp").rename(folder / "server")
    (folder / "aspnetapp.dll").unlink()


def in_place_of_dll(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(folder: Path) -> None:
        (folder / "aspnetapp.dll").unlink()
        make(folder / "aspnetapp.dll")

    return replace


def small_heap(folder: Path) -> None:
    path = folder / "aspnetapp.runtimeconfig.json"
    config = json.loads(path.read_text())
    config["runtimeOptions"].setdefault("configProperties", {})["System.GC.HeapHardLimit"] = 1_000_000
    path.write_text(json.dumps(config))


MIB = 1 << 20
ROOT = "{dotnet}"  # the folder of the real one
DEPS, CONFIG, DLL = "aspnetapp.deps.json", "aspnetapp.runtimeconfig.json", "aspnetapp.dll"
ASP_NET = '"framework": {"name": "Microsoft.AspNetCore.App", "version": "8.0.0"}'
RESOLVER = "Error initializing the dependency resolver"
HOOK = "System.ArgumentException"

HOST = (
    Row("deps.json unreadable", "PS420", 139, RESOLVER, unreadable(DEPS)),
    Row("deps.json malformed", "PS420", 139, RESOLVER, containing(DEPS, "{ bad")),
    Row("deps.json empty", "PS420", 139, RESOLVER, containing(DEPS, "")),
    Row("deps.json a list", "PS420", 139, RESOLVER, containing(DEPS, "[]")),
    Row("deps.json a directory", "PS420", 139, RESOLVER, as_directory),
    Row("deps.json without target", "PS420", ABORTED, "std::logic_error", containing(DEPS, "{}")),
    Row("deps.json of --depsfile", "PS420", 139, RESOLVER, containing("x.json", "{ bad"),
        ("dotnet", "exec", "--depsfile", "x.json", "aspnetapp.dll")),
    Row("runtimeconfig unreadable", "PS421", 147, "Invalid runtimeconfig.json", unreadable(CONFIG)),
    Row("runtimeconfig malformed", "PS421", 147, "JSON parsing exception", containing(CONFIG, "{ bad")),
    Row("runtimeconfig empty", "PS421", 147, "Invalid runtimeconfig.json", containing(CONFIG, "")),
    Row("runtimeconfig without options", "PS421", 147, "Invalid runtimeconfig.json", containing(CONFIG, "{}")),
    Row("runtimeconfig with a bad policy", "PS421", 147, "Unrecognized roll forward setting",
        containing(CONFIG, '{"runtimeOptions": {"rollForward": "x", ' + ASP_NET + "}}")),
    Row("DOTNET_ROLL_FORWARD", "PS422", 147, "DOTNET_ROLL_FORWARD", variables={"DOTNET_ROLL_FORWARD": "nope"}),
    Row("--roll-forward", "PS422", 129, "--roll-forward", command=("dotnet", "--roll-forward", "nope", DLL)),
    Row("no framework named", "PS426", 131, "libhostpolicy.so", containing(CONFIG, '{"runtimeOptions": {}}')),
    Row("framework not installed", "PS413", 150, "You must install or update .NET",
        containing(CONFIG, '{"runtimeOptions": {' + ASP_NET.replace("8.0.0", "99.0.0") + "}}")),
    Row("apphost without a runtime", "PS423", 131, "You must install .NET", command=("./aspnetapp",),
        variables={"DOTNET_ROOT": "/proc"}),
    Row("dll unreadable", "PS425", ABORTED, "System.IO.FileLoadException", unreadable(DLL)),
    Row("dll empty", "PS425", ABORTED, "System.BadImageFormatException", containing(DLL, "")),
    Row("dll no PE file", "PS425", ABORTED, "System.BadImageFormatException", containing(DLL, "hello")),
    Row("dll cut off", "PS425", ABORTED, "System.BadImageFormatException", cut_off),
    Row("dll a directory", "PS425", ABORTED, "Access is denied", in_place_of_dll(Path.mkdir)),
    Row("apphost without its dll", "PS411", 154, "does not exist", in_place_of_dll(lambda dll: None), ("./aspnetapp",),
        variables={"DOTNET_ROOT": ROOT}),
    Row("renamed apphost without its dll", "PS411", 154, "does not exist", rename_apphost, ("./server",),
        variables={"DOTNET_ROOT": ROOT}),
    Row("additional deps.json malformed", "PS420", 139, RESOLVER, containing("more.deps.json", "{ bad"),
        variables={"DOTNET_ADDITIONAL_DEPS": "/nope.deps.json:more.deps.json"}),
    Row("reload switch", "PS442", ABORTED, "Failed to convert configuration value",
        variables={"DOTNET_hostBuilder__reloadConfigOnChange": "maybe"}),
    Row("hook missing", "PS428", ABORTED, HOOK, variables={"DOTNET_STARTUP_HOOKS": "/nope.dll"}),
    Row("hook relative", "PS428", ABORTED, HOOK, variables={"DOTNET_STARTUP_HOOKS": "nope.dll"}),
    Row("hook by name", "PS428", ABORTED, HOOK, variables={"DOTNET_STARTUP_HOOKS": "No.Such.Assembly"}),
    Row("dotnet alone", "PS424", 129, command=("dotnet",)),
    Row("a heap of a megabyte", "PS448", 137, "GC heap initialization failed",
        variables={"DOTNET_GCHeapHardLimit": "100000"}),
    Row("a heap of a megabyte, by the runtimeconfig", "PS448", 137, "GC heap initialization failed", small_heap),
    Row("hook no assembly", "PS428", ABORTED, HOOK, variables={"DOTNET_STARTUP_HOOKS": "/etc/passwd"}),
)

# Without an SDK beside it.
RUNTIME_ONLY = (
    Row("a word that is no dll", "PS424", 155, "The command could not be loaded", command=("dotnet", "aspnetapp")),
    Row("dll a link loop", "PS411", 155, "The command could not be loaded",
        in_place_of_dll(lambda dll: dll.symlink_to(dll.name))),
    Row("dll a link to nothing", "PS411", 155, "The command could not be loaded",
        in_place_of_dll(lambda dll: dll.symlink_to("none"))),
    Row("no hostfxr", "PS423", 131, "host/fxr"),
)

tearDownModule = tally.say


@functools.cache
def apps() -> dict[str, assembly_apps.Assembly]:
    return {assembly.name: assembly for assembly in assembly_apps.assemblies()}


class FailuresTest(KestrelTest):
    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace()

    def start_row(self, row: Row, mode: str | None, dotnet: Path | None = None) -> Process:
        """In a fresh copy of the app; with `mode` behind portshim."""
        folder = self.directory / row.name.replace("/", "_")
        if not folder.exists():
            shutil.copytree(self.app.parent, folder)
            row.make(folder)
        program = dotnet or self.dotnet
        environment = {"PATH": f"{program.parent}:/usr/bin:/bin", "HOME": "/", **IMAGE, **row.variables}
        environment = {name: self.dotnet.resolve().parent if value == ROOT else value
                       for name, value in environment.items() if value is not None}
        stage = row.stage | Stage(namespace=self.namespace)
        if mode is None:
            command = program if row.command[0] == "dotnet" else folder / os.fsdecode(row.command[0])
            return self.start(command, *row.command[1:], argv0=row.command[0], env=environment, stage=stage, cwd=folder)
        return self.start(self.binary, f"--mode={mode}", *row.command, env=environment, stage=stage, cwd=folder)

    def assert_dies_and_is_explained(self, row: Row, dotnet: Path | None = None) -> None:
        codes = row.code if isinstance(row.code, tuple) else (row.code,)
        alone = self.start_row(row, None, dotnet).wait()
        self.assertIn(alone.code, codes, alone)
        self.assertIn(row.text, alone.stderr)
        with tally.failure(row.name):
            explained = self.start_row(row, "explain", dotnet).wait()
            self.assertIn(explained.code, codes, explained)
            self.assertFinding(explained, row.id)
            if row.text:
                self.assertLess(explained.stderr.index(row.id), explained.stderr.index(row.text), "it was said too late")

    def assert_refused(self, row: Row, dotnet: Path | None = None) -> None:
        refused = self.start_row(row, "validate", dotnet).wait()
        self.assertEqual(refused.code, 78, refused)
        self.assertEqual(self.assertFinding(refused, row.id, "error").did, "the app was not started (exit code 78)")
        self.assertNotIn("Unhandled exception", refused.stderr)

    def assert_starts_with_warning(self, row: Row) -> None:
        for mode in "explain", "validate":
            app = self.start_row(row, mode)
            self.await_output(app, "Application started.")
            self.assertFinding(app.so_far(), row.id, "warning")
            app.kill()


class Host(FailuresTest):
    def test_what_keeps_the_host_from_starting_the_app_is_said_before_and_refused(self):
        for row in HOST:
            with self.subTest(row.name):
                self.assert_dies_and_is_explained(row)
                self.assert_refused(row)

    def copy_dotnet(self) -> Path:
        """The folder of a dotnet without SDK, whose frameworks are links to those of the real one."""
        root = self.directory / "dotnet"
        (root / "shared").mkdir(parents=True)
        real = self.dotnet.resolve()
        shutil.copy(real, root / "dotnet")
        shutil.copytree(real.parent / "host", root / "host")
        for name in os.listdir(real.parent / "shared"):
            (root / "shared" / name).symlink_to(real.parent / "shared" / name)
        return root

    def test_a_runtime_that_was_not_copied_whole(self):
        root = self.copy_dotnet()
        framework = root / "shared/Microsoft.NETCore.App"
        real = framework.resolve()
        framework.unlink()
        shutil.copytree(real, framework)
        for name, code, text in (("libhostpolicy.so", 131, "libhostpolicy.so"), ("libcoreclr.so", 135, "CoreCLR path"),
                                 ("libclrjit.so", ABORTED, "Failed to load JIT compiler"),
                                 ("libSystem.Native.so", 137, "libSystem.Native"),
                                 ("System.Private.CoreLib.dll", 137, "System.Private.CoreLib.dll")):
            with self.subTest(name):
                there = list(framework.glob(f"*/{name}"))
                for path in there:
                    path.rename(path.with_suffix(".away"))
                row = Row(f"without {name}", "PS426", code, text)
                self.assert_dies_and_is_explained(row, root / "dotnet")
                self.assert_refused(row, root / "dotnet")
                for path in there:
                    path.with_suffix(".away").rename(path)

    def test_without_an_sdk_and_without_a_host(self):
        root = self.copy_dotnet()
        for row in RUNTIME_ONLY:
            with self.subTest(row.name):
                if row.id == "PS423":
                    shutil.rmtree(root / "host")
                self.assert_dies_and_is_explained(row, root / "dotnet")
                self.assert_refused(row, root / "dotnet")

    def test_with_an_sdk_a_name_without_dll_is_a_warning(self):
        row = Row("no dll", "PS424", 1, command=("dotnet", "aspnetapp"))
        result = self.start_row(row, "explain").wait(120)
        self.assertIn("aspnetapp.dll", self.assertFinding(result, "PS424", "warning").next)
        self.assertNotEqual(result.code, 0)

    def test_where_a_file_is_a_fifo_the_app_waits_for_ever(self):
        """Opening a FIFO to write, without waiting, fails until somebody has it open to read (fifo(7))."""
        def is_read(path: Path) -> bool:
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                self.assertEqual(error.errno, errno.ENXIO)
                return False
            return True

        certificate = {**HTTPS, "Kestrel__Certificates__Default__Path": "fifo.pem"}
        for name, id, variables in ((DEPS, "PS420", {}), (CONFIG, "PS421", {}), (DLL, "PS425", {}),
                                    ("appsettings.json", "PS301", {}), ("fifo.pem", "PS302", certificate)):
            row = Row(f"FIFO {name}", id, variables=variables,
                      make=lambda folder: ((folder / name).unlink(missing_ok=True), os.mkfifo(folder / name)))
            with self.subTest(row.name):
                alone = self.start_row(row, None)
                fifo = self.directory / row.name / name
                self._await(lambda: is_read(fifo), "read the FIFO", alone, 60)
                self.assertEqual(alone.so_far().stdout, "")
                alone.kill()
                with tally.failure(row.name):
                    explained = self.start_row(row, "explain")
                    self._await(lambda: id in explained.so_far().stderr, "said it", explained, 60)
                    self._await(lambda: is_read(fifo), "read the FIFO", explained, 60)
                    self.assertIn("for ever", self.assertFinding(explained.so_far(), id, "error").what)
                self.assert_refused(row)

    def test_a_deps_json_that_is_not_there_is_fine(self):
        row = Row("deps.json missing", make=lambda folder: (folder / DEPS).unlink())
        app = self.start_row(row, "validate")
        self.await_output(app, "Application started.")
        self.assertSilent(app.so_far())


NO_HOME = "Failed to determine location for extracting embedded files"
EXTRACT = "DOTNET_BUNDLE_EXTRACT_BASE_DIR"
SINGLE = (
    Row("HOME not writable", "PS427", 159, NO_HOME),
    Row("HOME not set", "PS427", 159, NO_HOME, variables={"HOME": None}),
    Row("HOME missing", "PS427", 159, NO_HOME, variables={"HOME": "/nope"}),
    Row("folder cannot be made", "PS427", 160, "Failed to create directory", variables={EXTRACT: "/nope/x"}),
    Row("folder cannot be made, relative", "PS427", 160, "Failed to create directory", variables={EXTRACT: "x"}),
)

HTTPS = {"ASPNETCORE_HTTP_PORTS": None, "ASPNETCORE_HTTPS_PORTS": "8443",
         "Kestrel__Certificates__Default__Path": "localhost.pem",
         "Kestrel__Certificates__Default__KeyPath": "localhost.key"}


def make_certificate(folder: Path) -> None:
    openssl = portshim_test.require_program("openssl")
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", folder / "localhost.key", "-out", folder / "localhost.pem"],
                   check=True, capture_output=True)
    (folder / "localhost.key").chmod(0o644)


def replace_by_single_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.copy(SINGLE_FILE, folder)


def without_inotify() -> Stage:
    return in_user_namespace(UNPRIVILEGED_UID,
                             lambda: Path("/proc/sys/user/max_inotify_instances").write_text("0"))


def limited(which: int, soft: int, hard: int | None = None) -> Stage:
    return USER | Stage(limits=((which, (soft, soft if hard is None else hard)),))


def limits() -> tuple[Row, ...]:
    return (
        Row("no inotify instance", "PS430", ABORTED, "the number of inotify instances", stage=without_inotify()),
        Row("hardly any open files", "PS433", ABORTED, "Unhandled exception",
            stage=limited(resource.RLIMIT_NOFILE, 32)),
        Row("hardly any size", "PS434", (137, ABORTED, -signal.SIGSEGV), stage=limited(resource.RLIMIT_FSIZE, 16 << 10)),
        Row("hardly any data", "PS450", 137, "Failed to create CoreCLR", stage=limited(resource.RLIMIT_DATA, 40 * MIB)),
        Row("hardly any address space", "PS450", 137, "GC heap initialization failed",
            stage=limited(resource.RLIMIT_AS, 500 * MIB)),
        Row("little stack", "PS450", ABORTED, "Stack overflow", stage=limited(resource.RLIMIT_STACK, 48 << 10)),
        Row("little data", "PS450", ABORTED, stage=limited(resource.RLIMIT_DATA, 80 * MIB)),
        Row("little address space", "PS450", (137, ABORTED), stage=limited(resource.RLIMIT_AS, 1024 * MIB)),
        Row("few open files", "PS433", ABORTED, "Unhandled exception", stage=limited(resource.RLIMIT_NOFILE, 64)),
        Row("small files", "PS434", -signal.SIGSEGV, stage=limited(resource.RLIMIT_FSIZE, 100 << 10)),
        Row("few processes", "PS435", (137, ABORTED), stage=limited(resource.RLIMIT_NPROC, 12) | NOBODY_ELSE),
    )


WEB_ROOT = (
    Row("web root", "PS306", ABORTED, "System.UnauthorizedAccessException", variables={"ASPNETCORE_WEBROOT": "/nope/x"}),
    Row("web root by argument", "PS306", ABORTED, "System.UnauthorizedAccessException",
        command=("dotnet", DLL, "--webroot", "below")),
    Row("web root a file", "PS306", ABORTED, "System.IO.IOException", variables={"DOTNET_WEBROOT": "/etc/passwd"}),
)

VALUES = (
    Row("log level", "PS442", ABORTED, "is not supported", variables={"Logging__LogLevel__Default": "Warn"}),
    Row("log level of a provider", "PS442", ABORTED, "is not supported",
        variables={"Logging__Console__LogLevel__Microsoft": "Info"}),
    Row("log level in a file", "PS442", ABORTED, "is not supported",
        make=containing("appsettings.json", '{"Logging": {"LogLevel": {"Default": "Verbose"}}}')),
    Row("log level by argument", "PS442", ABORTED, "is not supported",
        command=("dotnet", DLL, "--Logging:LogLevel:Default=Verbose")),
    *(Row(f"{name} of the console", "PS442", ABORTED, text, variables={f"Logging__Console__{name}": value})
      for name, value, text in (
          ("IncludeScopes", "1", "Failed to convert"), ("Format", "Json", "Failed to convert"),
          ("MaxQueueLength", "0", "ArgumentOutOfRangeException"), ("QueueFullMode", "Drop", "Failed to convert"),
          ("LogToStandardErrorThreshold", "all", "Failed to convert"),
          ("FormatterOptions__SingleLine", "yes", "Failed to convert"),
          ("FormatterOptions__ColorBehavior", "On", "Failed to convert"),
          ("FormatterOptions__JsonWriterOptions__MaxDepth", "x", "Failed to convert"))),
)

# The app starts, and does without something.
LOSSES = (
    Row("profiler", "PS436", variables={"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER_PATH": "/nope.so",
                                        "CORECLR_PROFILER": "{846F5F1C-F9AE-4B07-969E-05C26BC060D8}"}),
    Row("hosting startup", "PS447", variables={"ASPNETCORE_HOSTINGSTARTUPASSEMBLIES": "No.Such.Assembly"}),
    Row("appsettings.json a directory", "PS323", make=lambda folder: (folder / "appsettings.json").mkdir()),
    Row("TMPDIR missing", "PS437", variables={"TMPDIR": "/nope"}),
    Row("TMPDIR not writable", "PS437", variables={"TMPDIR": "/etc"}),
)


def without_complaint() -> tuple[Row, ...]:
    """What keeps a lack from being one."""
    return (
        Row("polling", variables={"DOTNET_USE_POLLING_FILE_WATCHER": "1"}, stage=without_inotify()),
        Row("no reload", variables={"DOTNET_hostBuilder__reloadConfigOnChange": "false"}, stage=without_inotify()),
        Row("no double mapping", variables={"DOTNET_EnableWriteXorExecute": "0"},
            stage=limited(resource.RLIMIT_FSIZE, 100 << 10)),
    )


CERTIFICATE_PATH, KEY_PATH, PASSWORD = (f"Kestrel__Certificates__Default__{name}"
                                        for name in ("Path", "KeyPath", "Password"))
NO_KEY_FORMAT = "No supported key formats were found"


def certificate_and(key: str) -> Callable[[Path], object]:
    """A good certificate with another content of its key's file."""
    def make(folder: Path) -> None:
        make_certificate(folder)
        (folder / "localhost.key").write_text(key)

    return make


def make_pkcs12(folder: Path) -> None:
    make_certificate(folder)
    subprocess.run(["openssl", "pkcs12", "-export", "-inkey", "localhost.key", "-in", "localhost.pem", "-out",
                    "localhost.pfx", "-passout", "pass:"], cwd=folder, check=True, capture_output=True)
    (folder / "localhost.pfx").chmod(0o644)


def cut_pkcs12(folder: Path) -> None:
    make_pkcs12(folder)
    os.truncate(folder / "localhost.pfx", 1000)


PKCS12 = {**HTTPS, CERTIFICATE_PATH: "localhost.pfx", KEY_PATH: None}
CERTIFICATES = (
    Row("key empty", "PS302", ABORTED, NO_KEY_FORMAT, certificate_and(""), variables=HTTPS),
    Row("key no PEM", "PS302", ABORTED, NO_KEY_FORMAT, certificate_and("hello"), variables=HTTPS),
    Row("key the certificate again", "PS302", ABORTED, NO_KEY_FORMAT, make_certificate,
        variables={**HTTPS, KEY_PATH: "localhost.pem"}),
    Row("key missing", "PS302", ABORTED, "FileNotFoundException", make_certificate,
        variables={**HTTPS, KEY_PATH: "none.key"}),
    Row("KeyPath empty", "PS302", ABORTED, "UnauthorizedAccessException", make_certificate,
        variables={**HTTPS, KEY_PATH: ""}),
    Row("Password empty", "PS302", ABORTED, NO_KEY_FORMAT, make_certificate, variables={**HTTPS, PASSWORD: ""}),
    Row("certificate the key", "PS302", ABORTED, "CryptographicException", make_certificate,
        variables={**HTTPS, CERTIFICATE_PATH: "localhost.key"}),
    Row("subject and an empty store", "PS302", ABORTED, "could not be found in CurrentUser/My",
        variables={"Kestrel__Certificates__Default__Subject": "localhost"}),
    Row("pfx cut off", "PS302", ABORTED, "CryptographicException", cut_pkcs12, variables=PKCS12),
    Row("pfx empty", "PS302", ABORTED, "CryptographicException", containing("localhost.pfx", ""), variables=PKCS12),
    Row("pfx with KeyPath", "PS302", ABORTED, "The provided key file is missing or invalid", make_pkcs12,
        variables={**PKCS12, KEY_PATH: "localhost.key"}),
    Row("pfx cut off, without https", "PS302", ABORTED, "CryptographicException", cut_pkcs12,
        variables={CERTIFICATE_PATH: "localhost.pfx"}),
)

# Unless code sets a certificate.
WITHOUT_KEY = tuple(
    Row(name, "PS322", ABORTED, "The server mode SSL must use a certificate with the associated private key",
        make_certificate, variables=variables)
    for name, variables in {
        "no KeyPath": {**HTTPS, KEY_PATH: None},
        "no KeyPath of an endpoint": {"Kestrel__Endpoints__A__Url": "https://+:8443",
                                      "Kestrel__Endpoints__A__Certificate__Path": "localhost.pem"},
    }.items())


class SingleFile(FailuresTest):
    def setUp(self):
        super().setUp()
        if not SINGLE_FILE.exists():
            portshim_test.skip(f"needs the published app: ctest -R kestrel.publish makes {SINGLE_FILE}")

    def test_a_folder_to_extract_to_is_needed(self):
        for row in SINGLE:
            with self.subTest(row.name):
                row = dataclasses.replace(row, command=("./aspnetapp",), make=replace_by_single_file,
                                          variables={"DOTNET_ROOT": ROOT, **row.variables})
                self.assert_dies_and_is_explained(row)
                self.assert_refused(row)

    def test_one_that_was_not_copied_whole_is_known(self):
        for missing in 100, 2000, 20000:
            with self.subTest(missing=missing):
                def cut(folder: Path) -> None:
                    replace_by_single_file(folder)
                    os.truncate(folder / "aspnetapp", SINGLE_FILE.stat().st_size - missing)

                row = Row(f"{missing} bytes missing", "PS438", (159, 139, -signal.SIGSEGV), command=("./aspnetapp",),
                          make=cut, variables={"DOTNET_ROOT": ROOT})
                self.assert_dies_and_is_explained(row)
                self.assert_refused(row)

    def test_a_folder_that_can_be_made_is_enough(self):
        own = self.directory / "own"
        own.mkdir()
        os.chown(own, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        for variables in {"HOME": own}, {EXTRACT: own / "a/b"}:
            row = Row(f"extracts {len(variables)}", command=("./aspnetapp",), make=replace_by_single_file,
                      variables={"DOTNET_ROOT": ROOT, **variables})
            app = self.start_row(row, "validate")
            self.await_output(app, "Application started.")
            self.assertSilent(app.so_far())
            app.kill()


class Surroundings(FailuresTest):
    def test_limits_that_end_the_app_are_named_before(self):
        machine = Path("/proc/sys/fs/inotify/max_user_instances").read_text()
        for row in limits():
            with self.subTest(row.name):
                self.assert_dies_and_is_explained(row)
        self.assertEqual(Path("/proc/sys/fs/inotify/max_user_instances").read_text(), machine)

    def test_settings_that_are_likely_to_end_the_app_are_warnings(self):
        for row in WEB_ROOT + VALUES:
            with self.subTest(row.name):
                self.assert_dies_and_is_explained(row)

    def test_certificates_that_cannot_be_loaded_are_named_before_and_refused(self):
        for row in CERTIFICATES:
            with self.subTest(row.name):
                self.assert_dies_and_is_explained(row)
                self.assert_refused(row)

    def test_a_certificate_without_its_key_is_a_warning(self):
        for row in WITHOUT_KEY:
            with self.subTest(row.name):
                self.assert_dies_and_is_explained(row)
                self.assertFinding(self.start_row(row, "validate").wait(), row.id, "warning")

    def test_a_certificate_without_its_key_is_nothing_without_https(self):
        for variables in {CERTIFICATE_PATH: "localhost.pem"}, PKCS12:
            app = self.start_row(Row(f"good {len(variables)}", variables=variables, make=make_pkcs12), "validate")
            self.await_output(app, "Application started.")
            self.assertSilent(app.so_far())
            app.kill()

    def test_only_the_certain_one_is_refused(self):
        certain, likely = limits()[:5], limits()[5:]
        for row in certain:
            with self.subTest(row.name):
                self.assert_refused(row)
        for row in likely:
            with self.subTest(row.name):
                result = self.start_row(row, "validate").wait()
                self.assertNotEqual(result.code, 78, result)
                self.assertFinding(result, row.id, "warning")

    def test_what_the_app_loses_without_a_word_is_a_warning(self):
        for row in LOSSES:
            with self.subTest(row.name):
                self.assert_starts_with_warning(row)

    def test_settings_beside_an_app_with_another_content_root_are_not_read(self):
        for text, severity in ('{"Urls": "http://+:8085"}', "warning"), ('{"AllowedHosts": "*"}', "info"):
            row = Row(f"elsewhere {severity}", "PS324", make=containing("appsettings.json", text),
                      variables={"ASPNETCORE_CONTENTROOT": "/usr", "PORTSHIM_LOG_LEVEL": "info"})
            for mode in None, "validate":
                with self.subTest(severity, mode=mode):
                    app = self.start_row(row, mode)
                    self.await_output(app, "Application started.")
                    result = app.so_far()
                    app.kill()
                    self.assertIn("Now listening on: http://[::]:8080", result.stdout)
                    self.assertNotIn("8085", result.stdout)
                    if mode:
                        self.assertFinding(result, row.id, severity)

    def hidden(self, prefix: str) -> Stage:
        """As the user, without the libraries of that name."""
        folders = {path.parent for path in Path("/usr/lib").glob(f"*/{prefix}*")}
        if len(folders) != 1:
            portshim_test.skip(f"needs {prefix} in one folder below /usr/lib")
        scratch = self.directory / "libraries"
        scratch.mkdir()
        return in_mount_namespace(partial(hide_libraries, prefix, folders.pop(), scratch)) | USER

    def test_an_app_with_cultures_needs_icu(self):
        row = Row("no ICU", "PS431", ABORTED, "Couldn't find a valid ICU package", stage=self.hidden("libicu"),
                  variables={"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "false"})
        self.assert_dies_and_is_explained(row)
        app = self.start_row(dataclasses.replace(row, variables={}), "explain")
        self.await_output(app, "Application started.")
        self.assertSilent(app.so_far())

    def test_what_dotnet_itself_is_linked_with_has_to_be_installed(self):
        row = Row("no libstdc++", "PS415", 127, "error while loading shared libraries", stage=self.hidden("libstdc++"))
        self.assert_dies_and_is_explained(row)
        self.assert_refused(row)

    def test_https_needs_a_home_directory(self):
        row = Row("no home", "PS321", ABORTED, "The home directory of the current user could not be determined",
                  stage=NOBODY_ELSE, make=make_certificate, variables={**HTTPS, "HOME": None})
        self.assert_dies_and_is_explained(row)

    def test_https_needs_openssl(self):
        row = Row("no OpenSSL", "PS432", ABORTED, "No usable version of libssl was found",
                  stage=self.hidden("libssl"), make=make_certificate, variables=HTTPS)
        self.assert_dies_and_is_explained(row)

    def test_what_takes_care_of_a_lack_is_known(self):
        for row in without_complaint():
            with self.subTest(row.name):
                app = self.start_row(row, "explain")
                self.await_output(app, "Application started.")
                self.assertSilent(app.so_far())
                app.kill()


@dataclasses.dataclass
class Running:
    start: good_starts.Start
    process: Process

    def is_ready(self) -> bool:
        """Nothing else is in its network namespace."""
        if self.start.says_so:
            return "Application started." in self.process.so_far().stdout
        listening = " 0A "  # TCP_LISTEN
        return any(listening in Path(f"/proc/{self.process.pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))


class GoodStarts(KestrelTest):
    """Several at a time, each in a network namespace of its own."""

    AT_A_TIME = 3
    SECONDS = 60

    def test_of_a_good_start_there_is_no_warning(self):
        made = 0
        starts = good_starts.starts()
        namespaces = itertools.cycle([NetworkNamespace(port_start) for port_start in (1024, 0) for _ in range(3)])
        while together := list(itertools.islice(starts, self.AT_A_TIME)):
            running = [Running(start, self.start_it(start, next(namespaces))) for start in together]
            for one in running:
                made += 1
                with self.subTest(one.start.name), tally.good_start(one.start.name):
                    self._await(one.is_ready, "started", one.process, self.SECONDS)
                    result = one.process.so_far()
                    self.assertEqual([finding for finding in result.findings if finding.severity != "info"], [], result)
                one.process.kill()
        self.assertGreaterEqual(made, 200)

    def start_it(self, start: good_starts.Start, namespace: NetworkNamespace) -> Process:
        folder = Path(tempfile.mkdtemp(dir=self.directory)) / "app"
        source = self.app.parent if start.code is None else apps()[start.code].folder()
        shutil.copytree(source, folder)
        folder.parent.chmod(0o755)
        for name, content in start.files.items():
            (folder / name).write_text(content)
        start.prepare(folder)

        def filled_in(text: str) -> str:
            return text.replace("{}", str(folder))

        environment = {"PATH": f"{self.dotnet.parent}:/usr/bin:/bin", "DOTNET_ROOT": str(self.dotnet.resolve().parent)}
        environment |= {name: filled_in(value) for name, value in start.variables.items() if value is not None}
        return self.start(self.binary, "--mode=explain", "--log-format=text", *map(filled_in, start.command),
                          *map(filled_in, start.arguments), env=environment,
                          stage=start.stage | Stage(namespace=namespace), cwd=Path(filled_in(start.directory)))


if __name__ == "__main__":
    portshim_test.main()
