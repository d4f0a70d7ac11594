"""--init: what the app leaves behind: orphans are reaped while it runs, and ended when it has ended."""

import os
import signal
import time

import portshim_test
from init_case import InitTest, children_of, state_of
from portshim_test import Process


class Orphans(InitTest):
    def assert_all_reaped(self, process: Process, pid: int) -> None:
        self.await_output(process, "gone")
        self.until(lambda: len(children_of(pid)) == 1, "all orphans are reaped")
        self.assertTrue(process.is_running())

    def test_a_thousand_that_end_at_once_are_reaped(self):
        self.assert_all_reaped(process := self.orphans(), process.pid)

    def test_as_pid_1_too(self):
        self.assert_all_reaped(*self.pid_1(self.subject, "orphans", "1000", stdin=self.open_stdin()[0]))

    def test_negative_control_an_app_that_reaps_nothing_has_them_as_zombies(self):
        process, first = self.pid_1("orphans", "1000", program=self.subject, stdin=self.open_stdin()[0])
        self.await_output(process, "gone")
        self.until(lambda: sum(state_of(child) == "Z" for child in children_of(first)) == 1000, "zombies")

    def test_the_app_ends_as_ever_behind_a_thousand(self):
        self.assertEqual(self.init(self.subject, "orphans", "1000").wait().code, 3)

    def test_two_children_that_end_at_once_never_hang_it(self):
        for _ in range(200):
            # The orphan and the app end together.
            process = self.init("/bin/sh", "-c", "(sleep 0 &) ; exit 4")
            self.assertEqual(process.wait(20).code, 4)

    def orphans(self) -> Process:
        return self.init(self.subject, "orphans", "1000", stdin=self.open_stdin()[0])


class Leftovers(InitTest):
    """`subject stay 600 600 600` leaves three chains of one, two and three processes."""

    def left_by(self, process: Process) -> list[int]:
        """The numbers of what COMMAND has left, which has said them on stdout."""
        return [int(line) for line in process.so_far().stdout.split()]

    def assert_all_gone(self, pids: list[int], count: int) -> None:
        self.assertEqual(len(pids), count)
        self.until(lambda: not any(state_of(pid) not in ("", "Z") for pid in pids), "all have ended")

    def flood(self, process: Process, number: int) -> None:
        for _ in range(1000):
            process.send(number)

    def test_without_grace_they_get_sigterm_and_portshim_ends_at_once(self):
        process = self.init(self.subject, "stay", "600", "600", "600")
        self.assertEqual(process.wait(20).code, 3)
        self.assert_all_gone(self.left_by(process), 6)

    def test_one_that_ignores_sigterm_stays_without_grace_and_is_killed_with_it(self):
        process = self.init(self.subject, "stubborn")
        self.assertEqual(process.wait(20).code, 3)
        left = self.left_by(process)
        self.assertEqual([state_of(pid) for pid in left], ["S"])
        os.kill(left[0], signal.SIGKILL)
        began = time.monotonic()
        process = self.init("--grace=0.3", self.subject, "stubborn")
        self.assertEqual(process.wait(20).code, 3)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual([state_of(pid) for pid in self.left_by(process)], [""], "killed and reaped")

    def test_a_signal_to_stop_ends_the_grace(self):
        for number in [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT] * 10:
            with self.subTest(number=number):
                process = self.init("--grace=600", self.subject, "stubborn")
                self.until(lambda: len(self.left_by(process)) == 1, "COMMAND has left it behind")
                # Before COMMAND has ended it is COMMAND's, so it is sent until it counts; and while portshim waits for
                # what it has killed, such a signal ends the wait.
                self.until(lambda: not process.is_running() or self.flood(process, number), "portshim ends")
                self.assertEqual([state_of(pid) for pid in self.left_by(process)], [""], "killed and reaped")

    def test_grace_ends_with_the_last_of_them(self):
        process = self.init("--grace=600", self.subject, "stay", "600", "600")
        self.assertEqual(process.wait(20).code, 3)
        self.assertEqual({state_of(pid) for pid in self.left_by(process)}, {""})

    def test_grace_gives_one_that_handles_sigterm_time_to_end(self):
        script = "(trap 'sleep 0.3; echo finished; exit' TERM; echo there; sleep 600 & wait) & until [ -s out ]; do :; done; exit 5"
        words = ("/bin/sh", "-c", script.replace("echo there", "echo there > out"))
        process = self.init("--grace=600", *words, cwd=self.directory)
        self.assertEqual((result := process.wait(20)).code, 5)
        self.assertEqual(result.stdout, "finished\n")

    def test_a_stopped_one_is_continued_to_end(self):
        script = "sleep 600 & kill -STOP $!; echo $!; exit 5"
        process = self.init("/bin/sh", "-c", script)
        self.assertEqual(process.wait(20).code, 5)
        self.assert_all_gone(self.left_by(process), 1)

    def test_as_pid_1_everybody_gets_sigterm_and_grace(self):
        # A process that another one has started in the namespace, as `docker exec` does, is no descendant of PID 1.
        nsenter = portshim_test.require_program("nsenter")
        stdin, end_stdin = self.open_stdin()
        process, first = self.pid_1("--grace=600", "/bin/sh", "-c", "read line; exit 6", stdin=stdin)
        entered = self.start(nsenter, "--target", str(first), "--pid", "/bin/sleep", "600")
        self.until(lambda: len([p for p in children_of(entered.pid) if state_of(p) == "S"]) == 1, "it sleeps")
        end_stdin()
        self.assertEqual(process.wait(20).code, 6)
        self.assertEqual(entered.wait(20).code, -signal.SIGTERM)

    def test_what_an_app_leaves_that_ends_at_once_is_ended_too(self):
        # The parent is so slow that the app has ended before it does anything else.
        strace = portshim_test.require_program("strace")
        slow = (strace, "-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:delay_enter=50000")
        process = self.start(*slow, self.binary, "--init", "--grace=600", self.subject, "stay", "600")
        process.wait(60)
        self.assertEqual([state_of(pid) for pid in self.left_by(process)], [""])

    def test_a_stranger_is_never_hit(self):
        # Siblings, the parent, processes of the same group and session, and of the same user.
        script = ("sleep 600 & echo $!; setsid sleep 600 & echo $!; "
                  f"{self.binary} --init --grace=1 {self.subject} stay 600; echo ended; exec sleep 600")
        process = self.start("/bin/sh", "-c", script)
        self.await_output(process, "ended")
        lines = process.so_far().stdout.splitlines()
        siblings, left = [int(line) for line in lines[:2]], int(lines[2])
        self.assertEqual(state_of(left), "")
        self.assertLessEqual({state_of(pid) for pid in [*siblings, process.pid]}, {"R", "S", "D"})
        os.kill(siblings[1], signal.SIGKILL)


if __name__ == "__main__":
    portshim_test.main()
