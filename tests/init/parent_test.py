"""--init: the app is started exactly as portshim was, and the parent keeps and costs next to nothing."""

import dataclasses
import fcntl
import os
import resource
import shutil
import signal
from functools import partial
from pathlib import Path

import portshim_test
from init_case import InitTest, children_of, state_of, status_of
from portshim_test import Probe, Stage, as_uid
from stages import in_mount_namespace, mount_tmpfs, prepared, with_death_signal


class SameStart(InitTest):
    def assert_same(self, stage: Stage = Stage(), env=(), **how) -> tuple[Probe, Probe]:
        """That the probe is given the same with and without --init."""
        bare = self.portshim(self.probe, "a", "", "b", stage=stage, env=env, **how)
        under = self.portshim("--init", self.probe, "a", "", "b", stage=stage, env=env, **how)
        self.assertSilent(under)
        self.assertEqual(under.code, bare.code)
        differing = {"pid": 0, "ppid": 0}
        self.assertEqual(self.normal(under.probe, **differing), self.normal(bare.probe, **differing))
        return bare.probe, under.probe

    @staticmethod
    def normal(probe: Probe, **same) -> Probe:
        # stdout and stderr are temporary files, each run's own.
        descriptors = {number: "" if number in (0, 1, 2) else target for number, target in probe.descriptors.items()}
        return dataclasses.replace(probe, descriptors=descriptors, **same)

    def test_arguments_environment_and_all_of_the_process_are_the_same(self):
        bare, under = self.assert_same(env=["B=1", "A=2", "A=3", "nonsense", "=", b"\xff=\xfe"])
        self.assertNotEqual(under.pid, bare.pid)

    def test_descriptors_are_those_that_were_passed(self):
        with open(self.write("file", "")) as one, open("/dev/null") as other:
            numbers = (one.fileno(), other.fileno())
            _, under = self.assert_same(pass_descriptors=numbers)
            self.assertEqual(set(under.descriptors), {0, 1, 2, *numbers})

    def test_standard_descriptors_that_are_closed_stay_closed(self):
        for closed in (0,), (2,), (0, 2):
            with self.subTest(closed=closed):
                _, under = self.assert_same(stage=prepared(last=[partial(os.close, number) for number in closed]))
                self.assertEqual(set(under.descriptors), {0, 1, 2} - set(closed))

    def test_mask_and_dispositions_are_those_that_were_inherited(self):
        ignored = (signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGTSTP, signal.SIGTTOU)
        _, under = self.assert_same(stage=Stage(ignored=ignored, blocked=(signal.SIGTERM, signal.SIGUSR1, 40)))
        self.assertEqual(under.blocked, [signal.SIGUSR1, signal.SIGTERM, 40])
        self.assertEqual(under.ignored, sorted(ignored))

    def test_the_signal_for_the_death_of_the_parent_is_the_same(self):
        _, under = self.assert_same(stage=with_death_signal(as_uid(1654), signal.SIGUSR1))
        self.assertEqual(under.death_signal, signal.SIGUSR1)

    def test_umask_cwd_limits_user_and_oom_score_are_the_same(self):
        stage = prepared(partial(Path("/proc/self/oom_score_adj").write_text, "123"),
                         partial(os.nice, 3)) | as_uid(1654) | Stage(
            umask=0o027, limits=((resource.RLIMIT_NOFILE, (100, 200)), (resource.RLIMIT_CORE, (0, 0))))
        _, under = self.assert_same(stage=stage, cwd=self.directory)
        self.assertEqual((under.umask, under.cwd), (0o027, str(self.directory)))
        self.assertEqual((under.oom_score_adj, under.nice), (123, 3))

    def test_an_ignored_sigchld_does_not_cost_the_exit_code(self):
        process = self.init(self.subject, "exit", "42", stage=Stage(ignored=(signal.SIGCHLD,)))
        self.assertEqual(process.wait(20).code, 42)

    def test_one_that_is_to_die_with_its_parent_takes_the_app_along(self):
        setpriv = portshim_test.require_program("setpriv")
        process = self.start("/bin/sh", "-c",
                             f"{setpriv} --pdeathsig KILL {self.binary} --init sleep 600 & echo $!; wait")
        self.await_output(process, "\n")
        portshim = int(process.so_far().stdout)
        app = self.app_of(portshim)
        os.kill(process.pid, signal.SIGKILL)
        self.until(lambda: state_of(app) in ("", "Z"), "the app has ended")


class ListenPid(InitTest):
    """sd_listen_fds(3): the variable names the process that the sockets are for."""

    def run_with(self, value: str) -> Probe:
        script = f'LISTEN_PID={value} LISTEN_FDS=1 LISTEN_PIDFDID=77 X=1 exec {self.binary} --init {self.probe}'
        return self.start("/bin/sh", "-c", script).wait().probe

    def test_the_app_is_named_where_portshim_was(self):
        probe = self.run_with("$$")
        self.assertEqual(probe.variable("LISTEN_PID"), str(probe.pid))
        self.assertEqual(probe.variable("LISTEN_FDS"), "1")
        self.assertIsNone(probe.variable("LISTEN_PIDFDID"), "the kernel's number of portshim, not of the app")

    def test_another_process_stays_named(self):
        probe = self.run_with("1")
        self.assertEqual((probe.variable("LISTEN_PID"), probe.variable("LISTEN_PIDFDID")), ("1", "77"))


class Parent(InitTest):
    def idle(self, *words, **how) -> int:
        """portshim once its app runs and it has nothing to do."""
        process = self.init(*words, "/bin/sleep", "600", **how)
        self.app_of(process.pid)
        self.until(lambda: self.waits(process.pid), "it waits for signals")
        return process.pid

    @staticmethod
    def waits(pid: int) -> bool:
        syscall = Path(f"/proc/{pid}/syscall").read_text().split()[0]
        return syscall in {"x86_64": ("7", "271"), "aarch64": ("73",)}[os.uname().machine]  # poll, ppoll

    def test_it_keeps_no_descriptor_but_the_standard_three_and_its_own_and_no_directory(self):
        with open(self.write("file", "")) as one, open("/dev/null") as other:
            high = fcntl.fcntl(other, fcntl.F_DUPFD, 200)
            self.addCleanup(os.close, high)
            pid = self.idle(pass_descriptors=(one.fileno(), other.fileno(), high), cwd=self.directory)
        links = {int(path.name): os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
        kinds = sorted(target.partition(":")[0] for number, target in links.items() if number > 2)
        self.assertEqual(kinds, ["anon_inode", "pipe"], links)  # signalfd, and the end of the pipe of exec
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")

    def test_where_close_range_is_not_there_it_keeps_none_either(self):
        strace = portshim_test.require_program("strace")
        with open(self.write("file", "")) as one:
            process = self.start(strace, "-f", "-o", "/dev/null", "-e", "inject=close_range:error=ENOSYS", self.binary,
                                 "--init", "/bin/sleep", "600", pass_descriptors=(one.fileno(),))
            # strace forks to try the kernel, too.
            self.until(lambda: any(children_of(child) for child in children_of(process.pid)), "portshim has forked")
            pid = next(child for child in children_of(process.pid) if children_of(child))
            self.app_of(pid)
            self.until(lambda: os.readlink(f"/proc/{pid}/cwd") == "/", "it supervises")
            targets = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        self.assertNotIn(str(self.directory / "file"), targets)

    def test_its_private_memory_is_below_200_kB(self):
        # Pages of a file that was just written count as private dirty as long as it is not on the disk.
        copy = self.directory / "portshim"
        shutil.copy(self.binary, copy)
        copy.chmod(0o755)
        with open(copy, "rb") as file:
            os.fsync(file.fileno())
        env = {f"VARIABLE_{i}": "x" * 50 for i in range(40)}
        process = self.start(copy, "--init", "/bin/sleep", "600", env=env)
        self.until(lambda: any(status_of(child).get("Name") == "sleep" for child in children_of(process.pid)), "it runs")
        self.until(lambda: self.waits(process.pid), "it waits for signals")
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_Dirty:"))
        self.assertLess(private, 200, rollup)

    def test_it_is_never_woken_up_while_the_app_runs(self):
        process = self.init("/bin/sh", "-c", "i=0; while [ $i -lt 100 ]; do sleep 0.005; i=$((i+1)); done; echo done; "
                                             "read line", stdin=self.open_stdin()[0])
        self.until(lambda: self.waits(process.pid), "it waits for signals")

        def switches() -> int:
            return int(status_of(process.pid)["voluntary_ctxt_switches"])

        before = switches()
        self.await_output(process, "done")
        self.assertEqual(switches(), before)
        # Negative control: a signal wakes it.
        process.send(signal.SIGWINCH)
        self.until(lambda: switches() > before, "it was woken up")

    def test_without_proc_it_does_its_work(self):
        stage = in_mount_namespace(partial(mount_tmpfs, "/proc"))
        self.assertEqual(self.init("--grace=1", self.subject, "stay", "1", stage=stage).wait(20).code, 3)

    def test_what_cannot_be_forked_is_started_without_a_parent(self):
        limits = ((resource.RLIMIT_NPROC, (1, 1)),)
        result = self.init(self.subject, "exit", "9", stage=as_uid(16541) | Stage(limits=limits)).wait(20)
        self.assertEqual(result.code, 9)
        self.assertFinding(result, "PS501", "error")

    def test_the_mask_is_given_back_where_init_is_not_wanted_after_all(self):
        for words in ("--init=off", self.probe), (self.probe, "--init"):
            with self.subTest(words=words):
                self.assertEqual(self.portshim(*words, env={"PORTSHIM_INIT": "no"}).probe.blocked, [])

    def test_portshim_inside_portshim_is_one_parent(self):
        for words in ("--init", self.binary), (self.binary, "--init"), ("--init", self.binary, "--init"):
            with self.subTest(words=words):
                process = self.start(self.binary, *words, self.subject, "record")
                self.await_output(process, "ready")
                self.assertEqual(len(children_of(process.pid)), 1)
                self.assertEqual(os.readlink(f"/proc/{children_of(process.pid)[0]}/exe"), str(self.subject))
                process.send(signal.SIGTERM)
                self.assertEqual(process.wait(20).code, 0)


class WithoutParent(InitTest):
    def test_an_option_of_a_parent_is_said_to_have_no_effect(self):
        for option in "--grace=1", "--group", "--signal-map=TERM:INT", "--exit-map=143:0":
            with self.subTest(option=option):
                result = self.portshim(option, self.probe)
                name = option.partition("=")[0]
                self.assertEqual(self.assertFinding(result, "PS508", "warning").what,
                                 f"{name} has no effect without --init")
                self.assertEqual(result.code, 0)
                self.assertSilent(self.portshim("--init", option, self.probe))

    def test_a_variable_may_be_there_for_those_that_set_init_too(self):
        env = {"PORTSHIM_GRACE": "1"}
        self.assertSilent(self.portshim(self.probe, env=env))
        self.assertFinding(self.portshim("--log-level=info", self.probe, env=env), "PS508", "info")


class UnderLoad(InitTest):
    def test_a_hundred_start_and_end_while_all_processors_are_busy(self):
        for _ in range(2 * (os.cpu_count() or 1)):
            self.start("/bin/sh", "-c", "while :; do :; done")
        for number in range(100):
            result = self.init("--grace=5", self.subject, "stay" if number % 2 else "exit", "7").wait(60)
            self.assertEqual(result.code, 3 if number % 2 else 7)


if __name__ == "__main__":
    portshim_test.main()
