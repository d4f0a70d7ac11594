"""--init: what portshim is sent reaches the app, and what is not the app's does not."""

import os
import signal

import portshim_test
from init_case import SI_QUEUE, InitTest, children_of, kill, queue, status_of
from portshim_test import Stage

SI_USER = 0  # sigaction(2)
FORWARDED = sorted(set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD})
# These a COMMAND that takes them down would not see come in the order sent, since they undo each other.
OF_JOBS = {signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


class Forwarded(InitTest):
    def test_every_signal_that_is_sent_reaches_the_app_but_kill_stop_and_chld(self):
        process, _ = self.recorder(last=64)
        for number in FORWARDED:
            kill(process.pid, number)
            self.until(lambda: number in [one[0] for one in self.recorded(process)], f"signal {number} has arrived")
        self.assertEqual(process.wait().code, 0)
        self.assertEqual([one[0] for one in self.recorded(process)], FORWARDED)

    def test_as_pid_1_too(self):
        process, first = self.pid_1(self.subject, "record", "64")
        self.await_output(process, "ready")
        for number in FORWARDED:
            kill(first, number)
            self.until(lambda: number in [one[0] for one in self.recorded(process)], f"signal {number} has arrived")
        self.assertEqual(process.wait().code, 0)

    def test_a_queued_value_and_its_sender_arrive(self):
        process, _ = self.recorder(last=64)
        for number in 10, 32, 33, 34, 64:  # a signal of a lower number comes out first
            queue(process.pid, number, 1000 + number)
        self.assertEqual(process.wait().code, 0)
        self.assertEqual(self.recorded(process),
                         [(number, SI_QUEUE, 1000 + number, os.getpid()) for number in (10, 32, 33, 34, 64)])

    def test_of_ten_thousand_in_a_burst_none_is_lost(self):
        process = self.init(self.subject, "count", "40")
        self.await_output(process, "ready")
        for value in range(10_000):
            queue(process.pid, 40, value)
        # Real-time signals are taken out behind the others: when none waits, SIGTERM may go.
        self.until(lambda: not int(status_of(process.pid)["ShdPnd"], 16), "portshim has taken them all")
        kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait().stdout, "ready\n10000 9999\n")

    def test_a_burst_of_a_signal_that_is_not_queued_arrives_at_least_once_and_last(self):
        process, _ = self.recorder()
        for _ in range(10_000):
            kill(process.pid, signal.SIGUSR1)
        kill(process.pid, signal.SIGUSR2)
        self.until(lambda: any(one[0] == signal.SIGUSR2 for one in self.recorded(process)), "SIGUSR2 has arrived")
        self.assertIn(signal.SIGUSR1, [one[0] for one in self.recorded(process)])
        kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait().code, 0)

    def test_a_fault_that_is_sent_ends_the_app_and_not_portshim(self):
        for number in signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE:
            with self.subTest(signal=number.name):
                stage = Stage(limits=((portshim_test.resource.RLIMIT_CORE, (0, 0)),))
                process = self.init("/bin/sleep", "600", stage=stage)
                self.app_of(process.pid)
                process.send(number)
                self.assertEqual(process.wait().code, 128 + number)

    def test_signals_that_are_ignored_here_are_forwarded_all_the_same(self):
        process, _ = self.recorder(stage=Stage(ignored=(signal.SIGHUP, signal.SIGUSR1)))
        kill(process.pid, signal.SIGHUP)
        kill(process.pid, signal.SIGUSR1)
        self.until(lambda: len(self.recorded(process)) == 2, "both have arrived")

    def test_negative_control_what_is_not_forwarded_does_not_arrive(self):
        process, _ = self.recorder("--signal-map=USR1:0")
        kill(process.pid, signal.SIGUSR1)
        kill(process.pid, signal.SIGCHLD)
        kill(process.pid, signal.SIGTERM)
        process.wait()
        self.assertEqual([one[:2] for one in self.recorded(process)], [(signal.SIGTERM, SI_USER)])


class Mapped(InitTest):
    def test_a_mapped_signal_arrives_as_another_and_one_mapped_to_0_not_at_all(self):
        process, _ = self.recorder("--signal-map=TERM:INT,hup:0,SIGUSR1:RTMIN+6", last=2)
        kill(process.pid, signal.SIGHUP)
        kill(process.pid, signal.SIGUSR1)
        queue(process.pid, signal.SIGUSR1, 7)
        self.until(lambda: self.recorded(process), "SIGUSR1 has arrived")
        kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait().code, 0)
        numbers = [one[0] for one in self.recorded(process)]
        self.assertEqual(set(numbers), {40, signal.SIGINT})
        self.assertEqual(numbers[-1], signal.SIGINT)

    def test_the_variable_maps_too(self):
        process, _ = self.recorder(last=3, env={"PORTSHIM_SIGNAL_MAP": "15:3"})
        kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait().code, 0)


class Group(InitTest):
    def test_a_signal_goes_to_the_whole_group_of_the_app_where_that_is_asked_for(self):
        for options, reached in (("--group",), True), ((), False):
            with self.subTest(options=options):
                process = self.init(*options, "--grace=60", "/bin/sh", "-c", "trap : USR1; sleep 600; exit 9")
                shell = self.app_of(process.pid)
                self.until(lambda: any(self.is_running(child, "sleep") for child in children_of(shell)), "sleep runs")
                process.send(signal.SIGUSR1)
                if reached:  # sleep ends by it, and the shell behind its trap
                    self.assertEqual(process.wait().code, 9)
                else:  # the shell has trapped it once sleep ends
                    self.until(lambda: not int(status_of(shell)["ShdPnd"], 16), "the shell has got it")
                    self.assertTrue(process.is_running())
                    os.kill(children_of(shell)[0], signal.SIGTERM)
                    self.assertEqual(process.wait().code, 9)

    @staticmethod
    def is_running(pid: int, name: str) -> bool:
        return status_of(pid).get("Name") == name


class Ends(InitTest):
    def test_every_exit_code_is_passed_on(self):
        for code in range(256):
            self.assertEqual(self.init(self.subject, "exit", str(code)).wait().code, code)

    def test_a_signal_is_128_and_its_number(self):
        for number in set(FORWARDED) - OF_JOBS - {signal.SIGURG, signal.SIGWINCH} | {signal.SIGKILL}:
            with self.subTest(signal=number):
                self.assertEqual(self.init(self.subject, "signal", str(number)).wait().code, 128 + number)

    def test_exit_codes_are_mapped(self):
        for options, what, expected in (
                (["--exit-map=143:0"], ["signal", "15"], 0), (["--exit-map=TERM:0,3:4"], ["exit", "3"], 4),
                (["--exit-map=143:0"], ["exit", "1"], 1), (["--exit-map=143:0"], ["exit", "143"], 0)):
            with self.subTest(options=options, what=what):
                self.assertEqual(self.init(*options, self.subject, *what).wait().code, expected)

    def test_what_portshim_itself_ends_with_is_passed_on_and_never_mapped(self):
        for options in [], ["--exit-map=127:0,126:0,78:0"]:
            self.assertEqual(self.init(*options, "/nonexistent").wait().code, 127)
            self.assertEqual(self.init(*options, self.write("file", "")).wait().code, 126)
            refused = self.init(*options, "--mode=validate", "--floor=1024", self.probe,
                                env={"ASPNETCORE_URLS": "nonsense"}).wait()
            self.assertEqual(refused.code, 78, refused)

    def test_a_variable_with_an_invalid_value_is_said_though_ports_are_nobodys_business(self):
        for variable in "INIT", "GRACE", "GROUP", "SIGNAL_MAP", "EXIT_MAP", "GUARD", "KEEP_NET_BIND":
            result = self.start(self.binary, self.subject, "exit", "3", env={f"PORTSHIM_{variable}": "x"}).wait()
            self.assertEqual((result.code, [finding.id for finding in result.findings]), (3, ["PS901"]), result)

    def test_an_app_that_ends_while_signals_come_never_hangs_portshim(self):
        for _ in range(200):
            process = self.init(self.subject, "exit", "5")
            for number in signal.SIGUSR1, signal.SIGWINCH, 40, signal.SIGCONT:
                kill(process.pid, number)
            self.assertIn(process.wait(10).code, (5, 128 + signal.SIGUSR1, 128 + 40, -signal.SIGUSR1, -40))


class Early(InitTest):
    def test_a_sigterm_at_any_moment_of_the_start_ends_it_or_reaches_the_app(self):
        # As any process, portshim dies of what comes before its first system call of its own; from then on it waits for
        # the child, which dies of it before exec, and the app is given it behind that.
        ends = set()
        for _ in range(1000):
            process = self.init(self.subject, "record")
            process.send(signal.SIGTERM)
            result = process.wait(20)
            ends.add(result.code)
            self.assertIn(result.code, (-signal.SIGTERM, 128 + signal.SIGTERM, 0), result)
        self.assertTrue(ends)

    def test_its_first_system_call_blocks_all_signals(self):
        if self.is_sanitized:
            return  # it is dynamic: the loader's come first
        strace = portshim_test.require_program("strace")
        output = self.directory / "trace"
        self.start(strace, "-o", output, self.binary, "--init", self.subject, "exit", "0").wait()
        self.assertIn("rt_sigprocmask(SIG_BLOCK, ~[], ", output.read_text().splitlines()[1])

    def test_as_pid_1_none_is_lost_once_signals_are_blocked(self):
        # Before that the kernel itself drops it: PID 1 is not ended by a signal that it does not handle.
        for _ in range(100):
            process, first = self.pid_1(self.subject, "record")
            # unshare blocks SIGTERM as well, before it executes portshim.
            self.until(lambda: int(status_of(first).get("SigBlk", "0"), 16) >> signal.SIGUSR1 - 1 & 1, "it is blocked")
            os.kill(first, signal.SIGTERM)
            self.assertIn(process.wait(20).code, (128 + signal.SIGTERM, 0))

    def test_negative_control_an_app_that_got_no_sigterm_goes_on(self):
        process = self.init("--signal-map=TERM:0", self.subject, "record")
        self.await_output(process, "ready")
        process.send(signal.SIGTERM)
        self.until(lambda: not int(status_of(process.pid)["ShdPnd"], 16), "portshim has taken it")
        self.assertTrue(process.is_running())


if __name__ == "__main__":
    portshim_test.main()
