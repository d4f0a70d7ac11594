"""What the started program is given: exactly what portshim was given, but for the edits of rewrite."""

import dataclasses
import json
import os
import resource
import signal
import time
from functools import partial
from pathlib import Path

import portshim_test
from portshim_test import Probe, PortshimTest, Result, Stage, as_root, as_uid, in_network_namespace
from stages import prepared

MODES = ("off", "explain", "validate", "rewrite")
LOW_PORT = "ASPNETCORE_URLS=http://+:80"

# Entries that no shell makes and that every execve(2) allows.
ODD_ENTRIES = [b"B=2", b"A=1", b"B=3", b"no equals sign", b"", b"=", b"=value", b"EMPTY=", b"\xff\xfe=\xc3\n\x1b[0m",
               b"A=1", b"TRAILING= ", b"ASPNETCORE_URLS", b"aspnetcore_urls=", b"PORTSHIM_PORT=tcp://10.0.0.1:80"]

# Says in a file what the probe cannot say: about children and pending signals, and without a stdout. Isolated, so that
# it opens nothing but its own library, and that is closed when it runs.
WITNESS = """
import errno, fcntl, json, os, signal, sys
def target(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError as error:
        return errno.errorcode[error.errno]
def child():
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except OSError as error:
        return errno.errorcode[error.errno]
report = {"descriptors": {}, "child": child(), "pending": sorted(signal.sigpending()),
          "urls": os.environ.get("ASPNETCORE_URLS")}
for number in range(64):
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        continue
    report["descriptors"][number] = target(number)
with open(sys.argv[1], "w") as file:
    json.dump(report, file)
"""


def denied_low_port() -> Stage:
    """Where rewrite has a port to move: a trial child is made, and findings are written."""
    return as_uid(1654) | in_network_namespace(port_start=1024)


class HandoverTest(PortshimTest):
    def both(self, mode: str, stage: Stage, **how) -> tuple[Probe, Probe]:
        """What the probe says when it is started directly and when it is started by portshim: but for what must differ
        (process ids, names of the files that the harness gives as standard descriptors, the moved port)."""
        stage = stage.with_namespace()
        env = how.pop("env", [LOW_PORT])
        direct = self.start(self.probe, "x", env=env, stage=stage, **how).wait().probe
        process = self.start(self.binary, f"--mode={mode}", self.probe, "x", env=env, stage=stage, **how)
        result = process.wait()
        through = result.probe
        self.assertEqual(through.pid, process.pid, "exec keeps the process id")
        self.assertEqual(through.ppid, os.getpid())
        if mode == "rewrite" and LOW_PORT in env:
            self.assertFinding(result, "PS101")
            self.assertEqual(through.variable("ASPNETCORE_URLS"), "http://+:8080")

        def comparable(report: Probe) -> Probe:
            files = {number: target for number, target in report.descriptors.items() if number > 2}
            environment = [entry for entry in report.environment if not entry.startswith("ASPNETCORE_URLS=")]
            return dataclasses.replace(report, pid=0, ppid=0, environment=environment, descriptors=files)

        self.assertLessEqual({0, 1, 2}, set(through.descriptors))
        return comparable(direct), comparable(through)

    def assertUntouched(self, mode: str, stage: Stage, **how) -> Probe:
        direct, through = self.both(mode, stage, **how)
        self.assertEqual(through, direct)
        return through

    def witness(self, mode: str, stage: Stage) -> tuple[dict, Result]:
        """Runs the witness by portshim, and what it reports."""
        report = self.write("report.json", "", 0o666)
        script = self.write("witness.py", WITNESS)
        result = self.portshim(f"--mode={mode}", "/usr/bin/python3", "-I", "-S", script, report,
                               env=[LOW_PORT], stage=stage, timeout=20)
        self.assertEqual(result.code, 0, result)
        text = report.read_text()
        self.assertTrue(text, f"the witness was not started: {result}")
        return json.loads(text), result


class Strings(HandoverTest):
    def test_the_environment_is_byte_for_byte_the_old_one_in_every_mode(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                environment = [*ODD_ENTRIES, b"PORTSHIM=" + mode.encode()]
                report = self.portshim(self.probe, env=environment).probe
                self.assertEqual([os.fsencode(entry) for entry in report.environment], environment)

    def test_an_edit_changes_its_own_entry_alone_and_in_its_place(self):
        for place in 0, 5, len(ODD_ENTRIES):
            with self.subTest(place=place):
                environment = [*ODD_ENTRIES]
                environment.insert(place, b"DOTNET_URLS=http://+:80")
                # The odd spellings of ASPNETCORE_URLS are a setting of their own, they would win.
                environment = [entry for entry in environment if b"urls" not in entry]
                report = self.portshim("--mode=rewrite", self.probe, env=environment, stage=denied_low_port()).probe
                expected = [entry.replace(b"+:80", b"+:8080") for entry in environment]
                self.assertEqual([os.fsencode(entry) for entry in report.environment], expected)

    def test_an_empty_environment_stays_empty(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                self.assertEqual(self.portshim(f"--mode={mode}", self.probe).probe.environment, [])

    def test_the_arguments_are_byte_for_byte_the_old_ones_in_every_mode(self):
        words = [b"", b" ", b"a b", b"\xff\xfe", b"\n\x1b", b"--", b"--mode=off", b"-", b"--urls", b"", b"--check"]
        for mode in MODES:
            with self.subTest(mode=mode):
                report = self.portshim(f"--mode={mode}", "--", self.probe, *words).probe
                self.assertEqual([os.fsencode(word) for word in report.argv], [os.fsencode(self.probe), *words])

    def test_negative_control_a_moved_port_is_a_difference(self):
        environment = [LOW_PORT.encode()]
        report = self.portshim("--mode=rewrite", self.probe, env=environment, stage=denied_low_port()).probe
        self.assertNotEqual([os.fsencode(entry) for entry in report.environment], environment)


class Inherited(HandoverTest):
    def test_signal_mask_and_ignored_signals_are_as_they_were(self):
        for mode in "off", "explain", "rewrite":
            for number in signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1, signal.SIGXFSZ, signal.SIGRTMIN:
                with self.subTest(mode=mode, number=number):
                    report = self.assertUntouched(mode, denied_low_port() | Stage(ignored=(number,)))
                    self.assertEqual((report.ignored, report.blocked), ([number], []))
                    report = self.assertUntouched(mode, denied_low_port() | Stage(blocked=(number,)))
                    self.assertEqual((report.ignored, report.blocked), ([], [number]))

    def test_what_rewrite_would_repair_is_untouched_in_the_other_modes(self):
        for mode in "off", "explain":
            for stage in (Stage(ignored=(signal.SIGCHLD,)), Stage(ignored=(signal.SIGTERM,)),
                          Stage(blocked=(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))):
                with self.subTest(mode=mode, stage=stage):
                    self.assertUntouched(mode, denied_low_port() | stage)

    def test_rewrite_repairs_them_and_nothing_else(self):
        stage = Stage(ignored=(signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT),
                      blocked=(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1))
        result = self.portshim("--mode=rewrite", "--log-level=info", self.probe, stage=stage)
        self.assertEqual((result.probe.ignored, result.probe.blocked), ([signal.SIGHUP, signal.SIGQUIT],
                                                                        [signal.SIGUSR1]))
        self.assertEqual([(finding.id, finding.severity) for finding in result.findings],
                         [("PS440", "info"), ("PS441", "info")])

    def test_rewrite_leaves_sigchld_blocked_and_sigterm_ignored(self):
        self.assertUntouched("rewrite", denied_low_port() | Stage(blocked=(signal.SIGCHLD,)))
        self.assertUntouched("rewrite", denied_low_port() | Stage(ignored=(signal.SIGTERM,)))

    def test_descriptors_that_were_passed_stay_and_no_other_one_is_there(self):
        with open("/dev/null") as null, open("/proc/self/status") as status:
            passed = [null.fileno(), status.fileno()]
            for mode in MODES:
                with self.subTest(mode=mode):
                    env = [] if mode == "validate" else [LOW_PORT]
                    report = self.assertUntouched(mode, denied_low_port(), env=env, pass_descriptors=passed)
                    self.assertEqual(set(report.descriptors), set(passed))
                    report = self.assertUntouched(mode, denied_low_port(), env=env)
                    self.assertEqual(report.descriptors, {})

    def test_negative_control_a_descriptor_that_is_passed_is_seen(self):
        with open("/dev/null") as null:
            direct, through = self.both("off", Stage(), pass_descriptors=[null.fileno()])
            without, _ = self.both("off", Stage())
            self.assertEqual(through, direct)
            self.assertNotEqual(through, without)

    def test_directory_umask_and_limits_are_as_they_were(self):
        limits = tuple((which, (soft, hard)) for which, soft, hard in (
            (resource.RLIMIT_NOFILE, 77, 99), (resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_FSIZE, 1 << 20, 1 << 21),
            (resource.RLIMIT_STACK, 1 << 20, 1 << 22), (resource.RLIMIT_CPU, 50, 60), (resource.RLIMIT_MEMLOCK, 0, 0)))
        for mode in "off", "explain", "rewrite":
            for umask in 0o027, 0, 0o777:
                with self.subTest(mode=mode, umask=umask):
                    stage = denied_low_port() | Stage(umask=umask, limits=limits)
                    report = self.assertUntouched(mode, stage, cwd=self.directory)
                    self.assertEqual((report.cwd, report.umask), (str(self.directory), umask))
                    self.assertEqual(tuple(report.limits[resource.RLIMIT_NOFILE]), (77, 99))

    def test_capabilities_and_groups_are_as_they_were(self):
        for stage in as_uid(1654, groups=[7, 8]), as_root(), as_uid(1654, ambient=1 << 10 | 1 << 7):
            with self.subTest(stage=stage):
                self.assertUntouched("explain", stage | in_network_namespace(port_start=1024))


class Children(HandoverTest):
    def test_the_trial_leaves_no_child_and_no_pending_signal(self):
        for stage in Stage(), Stage(blocked=(signal.SIGCHLD,)), Stage(ignored=(signal.SIGCHLD,)):
            for mode in "off", "explain", "rewrite":
                with self.subTest(mode=mode, stage=stage):
                    report, result = self.witness(mode, denied_low_port() | stage)
                    if mode != "off":
                        self.assertFinding(result, "PS101")
                    self.assertEqual((report["child"], report["pending"]), ("ECHILD", []))

    def test_a_signal_that_was_pending_before_stays_pending(self):
        # Of standard signals only one of a kind waits: the trial's own SIGCHLD is not told from it.
        for mode in "off", "rewrite":
            for number in signal.SIGCHLD, signal.SIGUSR1:
                with self.subTest(mode=mode, number=number):
                    # Last of all, since setting SIGCHLD to its default takes a pending one away.
                    send = prepared(last=[lambda number=number: os.kill(os.getpid(), number)])
                    report, _ = self.witness(mode, send | denied_low_port() | Stage(blocked=(number,)))
                    self.assertEqual(report["pending"], [number])

    def test_negative_control_a_child_is_seen(self):
        stage = prepared(_leave_a_zombie) | denied_low_port()
        report, _ = self.witness("rewrite", stage)
        self.assertIsInstance(report["child"], int)


def _leave_a_zombie() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)


class StandardDescriptors(HandoverTest):
    def test_closed_ones_are_closed_for_the_app_too(self):
        for closed in (0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2):
            for mode in "off", "explain", "rewrite":
                with self.subTest(closed=closed, mode=mode):
                    steps = [partial(os.close, number) for number in closed]
                    report, _ = self.witness(mode, prepared(*steps) | denied_low_port())
                    self.assertEqual(set(map(int, report["descriptors"])), {0, 1, 2} - set(closed))
                    self.assertEqual(report["urls"], "http://+:8080" if mode == "rewrite" else "http://+:80")

    def test_negative_control_open_ones_are_open(self):
        report, result = self.witness("rewrite", denied_low_port())
        self.assertEqual(set(map(int, report["descriptors"])), {0, 1, 2})
        self.assertFinding(result, "PS101")

    def test_no_file_of_portshims_is_open_as_a_standard_descriptor_of_the_trial_or_the_log(self):
        # stderr is closed: were a file of portshim's open in its place, the finding would be written into it.
        program = self.put_dotnet_app()
        before = {path: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}
        result = self.portshim("--mode=rewrite", program, "App.dll", env=[LOW_PORT], cwd=self.directory,
                               stage=prepared(partial(os.close, 2), partial(os.close, 0)) | denied_low_port())
        self.assertEqual(result.code, 0)
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:8080")
        self.assertEqual({path: path.read_bytes() for path in before}, before)

    def put_dotnet_app(self) -> Path:
        self.write("App.dll", b"MZ")
        self.write("App.runtimeconfig.json", "{}")
        return self.write("dotnet", self.probe.read_bytes(), 0o755)

    def test_check_with_a_closed_stdout_fails(self):
        for closed in (1,), (0, 1, 2):
            with self.subTest(closed=closed):
                stage = prepared(*(partial(os.close, number) for number in closed))
                self.assertEqual(self.portshim("--check", self.probe, stage=stage).code, 125)

    def test_a_stderr_that_nobody_reads_neither_ends_nor_holds_up_the_start(self):
        for mode in "explain", "rewrite":
            for name, stderr in (("broken pipe", self.broken_pipe()), ("full pipe", self.full_pipe()),
                                 ("full disk", os.open("/dev/full", os.O_WRONLY))):
                with self.subTest(mode=mode, stderr=name):
                    flags = os.get_blocking(stderr)
                    begin = time.monotonic()
                    report, result = self.witness(mode, prepared(partial(os.dup2, stderr, 2)) | denied_low_port())
                    self.assertLess(time.monotonic() - begin, 10)
                    self.assertEqual(result.stderr, "")
                    self.assertEqual(os.get_blocking(stderr), flags)
                    self.assertEqual(report["pending"], [])
                os.close(stderr)

    def test_a_failure_to_start_has_its_exit_code_whatever_stderr_is(self):
        for name, stderr in ("broken pipe", self.broken_pipe()), ("full pipe", self.full_pipe()):
            with self.subTest(stderr=name):
                result = self.portshim("/no/such", stage=prepared(partial(os.dup2, stderr, 2)))
                self.assertEqual(result.code, 127)
            os.close(stderr)

    def test_a_full_file_does_not_end_the_start(self):
        # RLIMIT_FSIZE answers with SIGXFSZ.
        stage = denied_low_port() | Stage(limits=((resource.RLIMIT_FSIZE, (0, 0)),))
        result = self.portshim("--mode=rewrite", "/bin/true", env=[LOW_PORT], stage=stage)
        self.assertEqual(result.code, 0)

    def broken_pipe(self) -> int:
        reader, writer = os.pipe()
        os.close(reader)
        return writer

    def full_pipe(self) -> int:
        """Non-blocking, its reader is this process and reads nothing."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 65536)
        except BlockingIOError:
            return writer


if __name__ == "__main__":
    portshim_test.main()
