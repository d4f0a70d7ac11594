"""Black-box tests of the portshim binary, with the Python standard library alone.

A test starts the binary with exactly the arguments and the environment that it names, and looks at what came out:

    class Rewrite(PortshimTest):
        def test_a_low_port_is_moved(self):
            result = self.portshim("--mode=rewrite", self.probe, env={"ASPNETCORE_URLS": "http://+:80"},
                                   stage=as_uid(1654) | in_network_namespace(port_start=1024))
            self.assertEqual(result.code, 0)
            self.assertEqual([finding.id for finding in result.findings], ["PS101"])
            self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:8080")

    if __name__ == "__main__":
        portshim_test.main()

`self.probe` is a COMMAND that reports what it was given (probe.c). CTest sets PORTSHIM_BINARY and PORTSHIM_PROBE; by
hand: PYTHONPATH=tests/support /usr/bin/python3 tests/cli/x_test.py -v takes those of build/release.

What this machine cannot give (root, .NET, a network namespace) skips the test with the reason; under CI=true, where
everything is meant to be there, it fails instead.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import dataclasses
import fcntl
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

SOURCE_DIR = Path(__file__).resolve().parents[2]
IN_CI = os.environ.get("CI") == "true"
EMULATOR = os.environ.get("PORTSHIM_EMULATOR") or None  # starts a binary of another machine
SKIP_CODE = 77  # CTest's SKIP_RETURN_CODE for these tests

# capabilities(7), prctl(2), sched.h, netdevice(7)
NET_BIND_SERVICE = 1 << 10
NO_CAPABILITIES = 0
ALL_CAPABILITIES = (1 << 64) - 1
_PR_CAPBSET_DROP, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 24, 8, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1

_WRONG_MACHINE = "PS407"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + 4 * [ctypes.c_ulong]

Text = str | bytes | os.PathLike[str]


def _bytes(text: Text) -> bytes:
    return os.fsencode(text)


def _checked(result: int, doing: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{doing}: {os.strerror(code)}")


# ---------------------------------------------------------------------------------------------------------------------
# What this machine can give


def skip(reason: str) -> None:
    """Ends the test as skipped, and under CI=true as failed."""
    if IN_CI:
        raise AssertionError(f"may not be skipped under CI=true: {reason}")
    raise unittest.SkipTest(reason)


def require_root(why: str = "to change uid, capabilities and network namespace") -> None:
    if os.geteuid() != 0:
        skip(f"needs root {why}")


def require_program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        skip(f"needs the program {name}: scripts/setup test installs it")
    return str(path)


def require_dotnet(major: int = 10, sdk: bool = False) -> Path:
    """The dotnet host, with an ASP.NET Core runtime (or with `sdk` an SDK) of at least that version."""
    path = shutil.which("dotnet")
    what = ".NET SDK" if sdk else "ASP.NET Core runtime"
    if path is None:
        skip(f"needs the {what} {major}: there is no dotnet in PATH")
    listing = subprocess.run([path, "--list-sdks" if sdk else "--list-runtimes"], capture_output=True, text=True,
                             check=False).stdout
    versions = re.findall(r"^(\d+)\." if sdk else r"^Microsoft\.AspNetCore\.App (\d+)\.", listing, re.MULTILINE)
    if not any(int(version) >= major for version in versions):
        skip(f"needs the {what} {major}: {path} has {listing.strip() or 'none'}")
    return Path(path)


# ---------------------------------------------------------------------------------------------------------------------
# Folders and files


def _world_readable_directory() -> Path:
    path = Path(tempfile.mkdtemp(prefix="portshim-test.", dir="/tmp"))  # TMPDIR may be somebody's own
    path.chmod(0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


_scratch: Path | None = None


def scratch() -> Path:
    """A folder of this test program that every user can read; removed at the end."""
    global _scratch
    _scratch = _scratch or _world_readable_directory()
    return _scratch


def readable_copy(path: Path) -> Path:
    """A copy that every user can read and execute: the checkout may be in a home folder with mode 0700."""
    copy = scratch() / path.name
    if not copy.exists():
        if path.is_dir():
            shutil.copytree(path, copy)
        else:
            shutil.copy(path, copy)
            copy.chmod(0o755)
    return copy


def _built(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable) or SOURCE_DIR / default)
    if not path.exists():
        raise FileNotFoundError(f"{path}: build it with scripts/build, or set {variable}")
    return path


# ---------------------------------------------------------------------------------------------------------------------
# The network


class NetworkNamespace:
    """A network namespace with its loopback up and net.ipv4.ip_unprivileged_port_start as given."""

    def __init__(self, port_start: int = 1024) -> None:
        require_root("to create a network namespace")
        self.port_start = port_start
        outer = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            _checked(_libc.unshare(_CLONE_NEWNET), "unshare(CLONE_NEWNET)")
            try:
                self.descriptor = os.open("/proc/self/ns/net", os.O_RDONLY)
                self.prepare(port_start)
            finally:
                _checked(_libc.setns(outer, _CLONE_NEWNET), "setns")
        except OSError as error:
            skip(f"needs a network namespace of its own: {error.strerror}")
        finally:
            os.close(outer)

    @staticmethod
    def prepare(port_start: int) -> None:
        """Does that to the namespace that this process is in."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        sysctl = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        if int(sysctl.read_text()) != port_start:
            sysctl.write_text(str(port_start))

    def enter(self) -> None:
        """Moves this process there."""
        _checked(_libc.setns(self.descriptor, _CLONE_NEWNET), "setns")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets made inside the `with` belong to the namespace."""
        outer = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            self.enter()
            yield
        finally:
            _checked(_libc.setns(outer, _CLONE_NEWNET), "setns")
            os.close(outer)

    def connects(self, port: int) -> bool:
        """Does something listen on 127.0.0.1:port?"""
        with self.entered(), socket.socket() as client:
            client.settimeout(5)
            return client.connect_ex(("127.0.0.1", port)) == 0

    def get(self, port: int, path: str = "/", certificate: Path | None = None) -> tuple[int, str]:
        """Status and body of GET http://localhost:port/path; with `certificate` https, and only that one is trusted."""
        with self.entered():
            if certificate is None:
                connection = http.client.HTTPConnection("localhost", port, timeout=30)
            else:
                trust = ssl.create_default_context(cafile=str(certificate))
                connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=trust)
            with contextlib.closing(connection):
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read().decode()


# ---------------------------------------------------------------------------------------------------------------------
# What a process starts with, besides arguments and environment


@dataclasses.dataclass(frozen=True)
class Stage:
    """Who a process is and what it inherits. None leaves a thing as it is here. Combine with |; the right one wins."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    bounding: int | None = None  # capability masks
    ambient: int | None = None
    no_new_privileges: bool | None = None
    port_start: int | None = None  # in a network namespace of its own
    namespace: NetworkNamespace | None = None
    ignored: tuple[int, ...] | None = None
    blocked: tuple[int, ...] | None = None
    umask: int | None = None
    limits: tuple[tuple[int, tuple[int, int]], ...] | None = None  # (RLIMIT_x, (soft, hard))

    def __or__(self, other: Stage) -> Stage:
        given = {field.name: value for field in dataclasses.fields(other)
                 if (value := getattr(other, field.name)) is not None}
        return dataclasses.replace(self, **given)

    def needs_root(self) -> bool:
        privileged = (self.uid, self.gid, self.groups, self.bounding, self.ambient, self.port_start, self.namespace)
        return any(value is not None for value in privileged)

    def with_namespace(self) -> Stage:
        """port_start made into a namespace."""
        if self.port_start is None or self.namespace is not None:
            return self
        return dataclasses.replace(self, namespace=NetworkNamespace(self.port_start))

    def enter(self) -> None:
        """Makes this process (a forked child that is about to exec) what the stage says."""
        if self.namespace is not None:
            self.namespace.enter()
        if self.bounding is not None:
            _limit_bounding_set(self.bounding | (self.ambient or 0))
        # From here on no file is opened, of which this child still has all that the test has.
        for which, values in self.limits or ():
            resource.setrlimit(which, values)
        if self.ambient:
            _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
        if self.groups is not None:
            os.setgroups(self.groups)
        if self.gid is not None:
            os.setresgid(self.gid, self.gid, self.gid)
        if self.uid is not None:
            os.setresuid(self.uid, self.uid, self.uid)
        if self.ambient:
            _raise_ambient(self.ambient)
        if self.no_new_privileges:
            _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
        if self.umask is not None:
            os.umask(self.umask)
        self._set_signals()

    def _set_signals(self) -> None:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN if number in (self.ignored or ()) else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked or ())


def _limit_bounding_set(mask: int) -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        if not mask & 1 << capability:
            _checked(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl(PR_CAPBSET_DROP)")


def _raise_ambient(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    # capget(2): header {version, pid}, then twice {effective, permitted, inheritable}, low words first.
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, struct.pack("6I", low, low, low, high, high, high)), "capset")
    for capability in range(mask.bit_length()):
        if mask & 1 << capability:
            _checked(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl(PR_CAP_AMBIENT)")


def as_uid(uid: int, *, gid: int | None = None, groups: Sequence[int] = (), ambient: int = NO_CAPABILITIES,
           bounding: int = NO_CAPABILITIES) -> Stage:
    """As a container runs a user: no capability but those named. `ambient` is what Podman's --cap-add gives; `bounding`
    alone is what Docker's gives to a user that is not root: nothing after exec."""
    return Stage(uid=uid, gid=uid if gid is None else gid, groups=tuple(groups), ambient=ambient, bounding=bounding)


def as_root(*, bounding: int = ALL_CAPABILITIES) -> Stage:
    """Root with those capabilities; as_root(bounding=NO_CAPABILITIES) is root after `--cap-drop ALL`."""
    return Stage(uid=0, gid=0, groups=(), bounding=bounding)


def in_network_namespace(port_start: int = 1024) -> Stage:
    """In a new network namespace with that net.ipv4.ip_unprivileged_port_start, whatever this host has."""
    return Stage(port_start=port_start)


# ---------------------------------------------------------------------------------------------------------------------
# What came out


@dataclasses.dataclass(frozen=True)
class Finding:
    """A finding as the text log format writes it."""

    id: str
    severity: str
    what: str
    why: str = ""
    did: str = ""
    next: str = ""


def parse_findings(text: str) -> list[Finding]:
    """The findings in what portshim wrote to stderr; lines of others are passed over."""
    findings: list[Finding] = []
    for line in text.splitlines():
        if first := re.fullmatch(r"portshim: (debug|info|warning|error) (PS\d{3}): (.*)", line):
            findings.append(Finding(severity=first[1], id=first[2], what=first[3]))
        elif findings and (more := re.fullmatch(r"  (why|did|next): +(.*)", line)):
            findings[-1] = dataclasses.replace(findings[-1], **{more[1]: more[2]})
    return findings


@dataclasses.dataclass(frozen=True)
class Probe:
    """What probe.c reports. Bytes are decoded as file names are (surrogateescape): os.fsencode gives them back."""

    argv: list[str]
    environment: list[str]  # entries as they are, in order
    blocked: list[int]
    ignored: list[int]
    descriptors: dict[int, str]  # number: what it is open on
    limits: list[tuple[int, int]]  # by RLIMIT_x
    status: dict[str, str]  # lines of /proc/self/status
    cwd: str
    umask: int
    pid: int
    ppid: int
    death_signal: int  # what it gets when its parent dies (PR_GET_PDEATHSIG)
    oom_score_adj: int
    nice: int
    bind: int | None  # errno of --bind, 0 = it listens

    def variable(self, name: str) -> str | None:
        """The value of the first entry of that name."""
        start = name + "="
        return next((entry[len(start):] for entry in self.environment if entry.startswith(start)), None)

    @staticmethod
    def parse(text: str) -> Probe:
        def plain(hexadecimal: str) -> str:
            return os.fsdecode(bytes.fromhex(hexadecimal))

        report = json.loads(text)
        return Probe(argv=[plain(word) for word in report["argv"]],
                     environment=[plain(entry) for entry in report["environment"]],
                     blocked=report["blocked"], ignored=report["ignored"],
                     descriptors={int(number): plain(target) for number, target in report["descriptors"].items()},
                     limits=[tuple(pair) for pair in report["limits"]],
                     status={name: value.strip() for name, value in report["status"].items()},
                     cwd=plain(report["cwd"]), umask=report["umask"], pid=report["pid"], ppid=report["ppid"],
                     death_signal=report["death_signal"], oom_score_adj=report["oom_score_adj"], nice=report["nice"],
                     bind=report.get("bind"))


@dataclasses.dataclass(frozen=True)
class Result:
    """What a process left behind."""

    code: int  # negative: ended by that signal
    stdout: str
    stderr: str

    @property
    def findings(self) -> list[Finding]:
        return parse_findings(self.stderr)

    @property
    def probe(self) -> Probe:
        """What the probe said; an error when it was not started."""
        if not self.stdout:
            raise AssertionError(f"the probe was not started: {self}")
        return Probe.parse(self.stdout)

    @property
    def json(self) -> dict:
        """stdout of --check=json. An emulated portshim rightly foresees that COMMAND, a program of the machine that emulates,
        cannot be executed: that finding is left out."""
        report = json.loads(self.stdout)
        if EMULATOR:
            report["findings"] = [finding for finding in report["findings"] if finding["id"] != _WRONG_MACHINE]
        return report

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Process:
    """A started process. stdout and stderr go to files, so that it never waits for a reader."""

    def __init__(self, program: Text, argv: Sequence[Text], environment: Sequence[Text], stage: Stage,
                 cwd: Path | None = None, pass_descriptors: Sequence[int] = (), stdin: bytes | int = b"") -> None:
        self._stdout = tempfile.TemporaryFile()
        self._stderr = tempfile.TemporaryFile()
        with tempfile.TemporaryFile() as input_file:
            if isinstance(stdin, bytes):
                input_file.write(stdin)
                input_file.seek(0)
            program, argv, environment = _emulated(program, argv, environment)
            # Never run by subprocess: execve(2) is called in the child, since only this way argv[0], the order and
            # doubles of the environment, and entries without '=' are exactly as given.
            self._popen = subprocess.Popen(
                ["/nonexistent"], stdin=input_file if isinstance(stdin, bytes) else stdin, stdout=self._stdout, stderr=self._stderr, start_new_session=True,
                preexec_fn=_exec(program, argv, environment, stage, cwd, frozenset(pass_descriptors)))
        self.pid = self._popen.pid

    def is_running(self) -> bool:
        return self._popen.poll() is None

    def wait(self, timeout: float = 60) -> Result:
        """Its end. One that takes longer than `timeout` seconds is killed, and that is a failure."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {timeout} s\n{self.so_far()}") from None
        return self.so_far()

    def so_far(self) -> Result:
        def text(file) -> str:
            # pread: the file's offset belongs to the process that writes.
            return os.fsdecode(os.pread(file.fileno(), 1 << 30, 0))

        code = self._popen.poll()
        return Result(code if code is not None else 0, text(self._stdout), text(self._stderr))

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it and everything in its session's process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()


def started_by_another(program: Text, *arguments: Text) -> list[Text]:
    """The words by which something else than this harness (strace, subprocess) starts a program."""
    emulator = [require_program(EMULATOR)] if EMULATOR and _is_for_arm64(program) else []
    return [*emulator, program, *arguments]


def passed_on(environment: Sequence[bytes]) -> list[bytes]:
    """What of an environment reaches the program: QEMU's guest gets each name once, the first one, and none without "="."""
    if not EMULATOR:
        return list(environment)
    first: dict[bytes, bytes] = {}
    for entry in environment:
        if b"=" in entry:
            first.setdefault(entry.partition(b"=")[0], entry)
    return list(first.values())


def _emulated(program: Text, argv: Sequence[Text], environment: Sequence[Text]) -> tuple[Text, Sequence[Text],
                                                                                         Sequence[Text]]:
    """What to execute so that a program of another machine runs in user-mode emulation, without binfmt_misc (which needs
    root and changes the host): its COMMAND, the probe, is a program of this machine."""
    if not EMULATOR or not _is_for_arm64(program):
        return program, argv, environment
    # QEMU puts every variable in front of those before it (envlist_setenv): its guest sees them reversed.
    return require_program(EMULATOR), [EMULATOR, "-0", argv[0], program, *argv[1:]], list(reversed(environment))


def _is_for_arm64(program: Text) -> bool:
    em_aarch64 = 183  # elf.h; e_machine is at 18
    try:
        with open(program, "rb") as file:
            header = file.read(20)
    except OSError:
        return False
    return header[:4] == b"\x7fELF" and int.from_bytes(header[18:20], "little") == em_aarch64


def _exec(program: Text, argv: Sequence[Text], environment: Sequence[Text], stage: Stage, cwd: Path | None,
          pass_descriptors: frozenset[int]) -> Callable[[], None]:
    """The function that a forked child runs to become the program; it returns only by an exception."""

    def strings(texts: Sequence[Text]) -> ctypes.Array:
        return (ctypes.c_char_p * (len(texts) + 1))(*map(_bytes, texts), None)

    path, arguments, variables = _bytes(program), strings(argv), strings(environment)

    def become_it() -> None:
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > 2:
                with contextlib.suppress(OSError):  # the one that listed the folder is closed by now
                    os.set_inheritable(descriptor, descriptor in pass_descriptors)
        stage.enter()
        if cwd is not None:
            os.chdir(cwd)
        _checked(_libc.execve(path, arguments, variables), f"execve {os.fsdecode(path)}")

    return become_it


# ---------------------------------------------------------------------------------------------------------------------
# The test case

Environment = Mapping[str, Text] | Sequence[Text]


def _entries(environment: Environment) -> list[bytes]:
    if isinstance(environment, Mapping):
        return [_bytes(name) + b"=" + _bytes(value) for name, value in environment.items()]
    return [_bytes(entry) for entry in environment]


def built_binary() -> Path:
    """The binary under test, where it was built."""
    return _built("PORTSHIM_BINARY", "build/release/portshim")


class PortshimTest(unittest.TestCase):
    """`binary` and `probe` are copies that every user can execute; `directory` is a fresh folder for each test.
    `is_sanitized`: the binary is built with AddressSanitizer, whose leak check at exit cannot work under strace.
    `is_slow`: that, or emulation, makes it take many times as long."""

    maxDiff = None
    binary: Path
    probe: Path
    directory: Path
    is_sanitized: bool
    is_slow: bool

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.binary = readable_copy(built_binary())
        cls.is_sanitized = b"__asan_init" in cls.binary.read_bytes()
        cls.is_slow = cls.is_sanitized or EMULATOR is not None
        cls.probe = readable_copy(_built("PORTSHIM_PROBE", "build/release/tests/probe"))

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(tempfile.mkdtemp(dir=scratch()))
        self.directory.chmod(0o755)

    def start(self, program: Text, *arguments: Text, argv0: Text | None = None, env: Environment = (),
              stage: Stage = Stage(), cwd: Path | None = None, pass_descriptors: Sequence[int] = (),
              stdin: bytes | int = b"") -> Process:
        """Starts any program with exactly this environment; it is killed at the end of the test. `stdin`: what it reads
        there, or a descriptor."""
        if stage.needs_root():
            require_root()
        process = Process(program, [argv0 if argv0 is not None else program, *arguments], _entries(env),
                          stage.with_namespace(), cwd, pass_descriptors, stdin)
        self.addCleanup(process.kill)
        return process

    def portshim(self, *arguments: Text, timeout: float = 60, **how) -> Result:
        """Runs portshim to its end, and with it COMMAND. `how`: env, argv0, stage, cwd, pass_descriptors, stdin."""
        return self.start(self.binary, *arguments, **how).wait(timeout)

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        """A file in `directory`; folders in `name` are made."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def await_port(self, process: Process, namespace: NetworkNamespace, port: int, timeout: float = 60) -> None:
        """Until something listens there."""
        self._await(lambda: namespace.connects(port), f"listened on {port}", process, timeout)

    def await_output(self, process: Process, text: str, timeout: float = 60) -> None:
        """Until the process has written that text to stdout."""
        self._await(lambda: text in process.so_far().stdout, f"said {text!r}", process, timeout)

    def _await(self, happened: Callable[[], bool], what: str, process: Process, timeout: float) -> None:
        """A failure when the process ends before, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not happened():
            if not process.is_running():
                self.fail(f"ended before it {what}\n{process.so_far()}")
            if time.monotonic() > deadline:
                self.fail(f"has not {what} after {timeout} s\n{process.so_far()}")
            time.sleep(0.02)

    def assertFinding(self, result: Result, id: str, severity: str | None = None) -> Finding:
        """That there is a finding with that id; the first one is returned."""
        for finding in result.findings:
            if finding.id == id and severity in (None, finding.severity):
                return finding
        return self.fail(f"no {severity or 'finding'} {id} in\n{result}")

    def assertSilent(self, result: Result) -> None:
        self.assertEqual(result.stderr, "", result)


# ---------------------------------------------------------------------------------------------------------------------
# main


class _CountingResult(unittest.TextTestResult):
    """Knows how many tests ran to an end that was no skip."""

    ran = 0

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.ran += 1


def _report_skips(skipped: Sequence[tuple[unittest.TestCase, str]]) -> None:
    """One line for each reason: `SKIPPED: cli/x_test.py: REASON (3 tests)`."""
    tests_by_reason: dict[str, set[str]] = {}
    for test, reason in skipped:
        # A subtest counts as its test; a class whose setUpClass skipped is one entry.
        tests_by_reason.setdefault(reason, set()).add(getattr(test, "test_case", test).id())
    file = Path(sys.argv[0]).resolve()
    for reason, tests in tests_by_reason.items():
        whole_class = any(test.startswith("setUpClass") for test in tests)
        count = "all tests" if whole_class else "1 test" if len(tests) == 1 else f"{len(tests)} tests"
        print(f"SKIPPED: {file.parent.name}/{file.name}: {reason} ({count})", flush=True)


class _Loader(unittest.TestLoader):
    """Leaves out what tests/not-emulated.txt names for the calling file, where the binary is emulated."""

    def __init__(self) -> None:
        super().__init__()
        file = Path(sys.argv[0]).resolve()
        prefix = f"{file.parent.name}.{file.stem.removesuffix('_test')} "
        lines = (SOURCE_DIR / "tests/not-emulated.txt").read_text().splitlines()
        named = {line.removeprefix(prefix) for line in lines if line.startswith(prefix)}
        self.left_out = named if EMULATOR else set()
        self.unknown = set(self.left_out)

    def getTestCaseNames(self, testCaseClass: type[unittest.TestCase]) -> Sequence[str]:
        names = {name: f"{testCaseClass.__name__}.{name}" for name in super().getTestCaseNames(testCaseClass)}
        whole = f"{testCaseClass.__name__}.*"
        self.unknown -= {whole, *names.values()}
        if whole in self.left_out:
            return []
        return [name for name, full in names.items() if full not in self.left_out]


def main() -> None:
    """Runs the tests of the calling file. Where all were skipped the exit code is 77, which CTest calls skipped; where
    some were, the lines `SKIPPED: ...` on stdout say so (scripts/test gathers them)."""
    loader = _Loader()
    program = unittest.main(module="__main__", exit=False, testLoader=loader,
                            testRunner=unittest.TextTestRunner(verbosity=2, resultclass=_CountingResult))
    result = program.result
    _report_skips(result.skipped)
    if loader.unknown and len(sys.argv) == 1:
        sys.exit(f"tests/not-emulated.txt names what is no test: {', '.join(sorted(loader.unknown))}")
    if loader.left_out:
        print("left out in emulation is what tests/not-emulated.txt names", flush=True)
    if not result.wasSuccessful():
        sys.exit(1)
    if result.ran == 0:
        sys.exit(SKIP_CODE if result.skipped else "no test ran")
