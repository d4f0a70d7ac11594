"""--init: what is said of the end, with ends that really happen."""

import contextlib
import os
import resource
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import portshim_test
from init_case import InitTest
from portshim_test import Finding, Process, Result, Stage
from stages import prepared


class PostMortem(InitTest):
    def ended(self, *words, code: int, **how) -> Result:
        result = self.init(*words, **how).wait()
        self.assertEqual(result.code, code, result)
        return result

    def assert_one(self, result: Result, id: str) -> Finding:
        self.assertEqual([finding.id for finding in result.findings], [id], result)
        return result.findings[0]

    def fake_dotnet(self) -> Path:
        """The subject, called as the .NET host is."""
        return self.write("dotnet", self.subject.read_bytes(), 0o755)

    def test_an_end_that_is_nobodys_failure_is_silent(self):
        for words, code in ((["exit", "0"], 0), (["exit", "1"], 1), (["exit", "143"], 143), (["signal", "15"], 143),
                            (["signal", "2"], 130), (["exit", "137"], 137), (["exit", "139"], 139)):
            with self.subTest(words=words):
                self.assertSilent(self.ended(self.subject, *words, code=code))

    def test_a_kill_that_was_asked_for_by_signal_map_is_silent(self):
        process = self.init("--signal-map=USR1:KILL", self.subject, "record")
        self.await_output(process, "ready")
        process.send(signal.SIGUSR1)
        result = process.wait()
        self.assertEqual(result.code, 137)
        self.assertSilent(result)

    def test_what_portshim_itself_has_said_is_not_said_twice(self):
        self.assert_one(self.ended("/nonexistent", code=127), "PS401")

    def test_a_code_of_the_host_is_told_from_a_signal_of_the_same_number(self):
        dotnet = self.fake_dotnet()
        host = self.assert_one(self.ended(dotnet, "exit", "137", code=137), "PS502")
        self.assertIn("CoreClrInitFailure", host.why)
        self.assertIn("no SIGKILL", host.why)
        self.assert_one(self.ended(dotnet, "signal", "9", code=137), "PS505")
        self.assertIn("ResolverInitFailure", self.assert_one(self.ended(dotnet, "exit", "139", code=139), "PS502").why)
        self.assert_one(self.ended(dotnet, "signal", "11", code=139), "PS506")

    def test_an_apphost_is_known_by_what_lies_beside_it(self):
        app = self.write("App", self.subject.read_bytes(), 0o755)
        self.assertSilent(self.ended("./App", "exit", "150", code=150, cwd=self.directory))
        self.write("App.dll", "MZ")
        self.assert_one(self.ended("./App", "exit", "150", code=150, cwd=self.directory), "PS502")
        self.assert_one(self.ended(app, "exit", "150", code=150), "PS502")

    def test_the_reason_is_left_for_kubernetes(self):
        log = self.write("termination-log", "")
        for path in log, "termination-log":  # portshim's own directory is / by then
            with self.subTest(path=path):
                log.write_text("")
                self.ended(f"--termination-log={path}", self.subject, "signal", "6", code=134, cwd=self.directory)
                self.assertTrue(log.read_text().startswith("portshim: error PS503: "), log.read_text())

    def test_the_level_and_format_of_the_log_hold_here_too(self):
        self.assertSilent(self.ended("--log-level=error", self.subject, "signal", "9", code=137))
        json = self.ended("--log-format=json", self.subject, "signal", "6", code=134)
        self.assertTrue(json.stderr.startswith('{"EventId":503,'), json)

    @contextlib.contextmanager
    def limited_to(self, bytes_of_memory: int) -> Iterator[Path]:
        """A cgroup below this one, removed at the end."""
        portshim_test.require_root("to make a cgroup")
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        first = next((path for _, name, path in lines if name == "memory"), None)
        unified = next((path for _, name, path in lines if name == ""), "/")
        parent = Path("/sys/fs/cgroup/memory" if first else "/sys/fs/cgroup") / (first or unified).lstrip("/")
        group = parent / f"portshim-test-{os.getpid()}"
        try:
            group.mkdir()
            try:
                (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(bytes_of_memory))
                yield group
            finally:
                self.until(lambda: not (group / "cgroup.procs").read_text(), "the cgroup is empty")
                group.rmdir()
        except OSError as error:
            portshim_test.skip(f"needs a cgroup of its own with a memory limit: {error}")

    def test_the_oom_killer_is_told_from_other_kills(self):
        with self.limited_to(32 << 20) as group:
            def started(*words: object) -> Process:
                join = partial((group / "cgroup.procs").write_text, "0")
                return self.init(*words, stage=prepared(join) | Stage(limits=((resource.RLIMIT_CORE, (0, 0)),)))

            result = started(self.subject, "eat").wait()
            self.assertEqual(result.code, 137, result)
            self.assert_one(result, "PS504")
            # An older kill in the same cgroup is not this one's.
            killed = started(self.subject, "record")
            self.await_output(killed, "ready")
            os.kill(self.app_of(killed.pid), signal.SIGKILL)
            self.assertIn("not by the OOM killer", self.assert_one(killed.wait(), "PS505").why)
            # Behind a shell, which shows it as a number.
            shell = started("/bin/sh", "-c", f"{self.subject} eat; exit $?").wait()
            self.assertEqual(shell.code, 137, shell)
            self.assert_one(shell, "PS504")


if __name__ == "__main__":
    portshim_test.main()
