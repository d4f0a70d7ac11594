"""--init at a real terminal: keys, job control of an interactive shell, hang-up, and stopping without a terminal."""

import os
import signal

import portshim_test
from init_case import InitTest, calls_read, children_of, state_of, status_of
from portshim_test import Text
from screen import CTRL_C, CTRL_D, CTRL_Z, Screen

SI_KERNEL = 128


class TerminalTest(InitTest):
    def screen(self, *words: Text, **how) -> Screen:
        screen = Screen(*words, **how)
        self.addCleanup(screen.close)
        return screen

    def fg(self, shell: Screen) -> None:
        """Types it, and waits until the shell has handed over the terminal."""
        shell.type("fg\n")
        shell.expect("fg\r\n.+\r\n")
        self.until(lambda: shell.foreground() != shell.process.pid, "the job is in the foreground")

    def prompt(self, shell: Screen, before: str = "") -> None:
        """Waits until the shell reads what is typed: what is typed earlier may be lost when it sets its terminal up."""
        shell.expect(before + "READY> ")
        self.until(lambda: calls_read(shell.process.pid, 0), "the shell reads")

    def shell(self) -> Screen:
        shell = self.screen("/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
        self.prompt(shell)
        return shell


class Shell(TerminalTest):
    """What an interactive shell makes of `cat` is the same with portshim in front of it."""

    def fronts(self) -> list[str]:
        return ["", f"{self.binary} --init -- "]

    def test_keys_stop_continue_and_interrupt_it(self):
        for front in self.fronts():
            shell = self.shell()
            shell.type(f"{front}cat\n")
            shell.type("one\n")
            shell.expect("one\r\none\r\n")
            for text in "two", "three":  # more than once
                shell.type(CTRL_Z)
                self.prompt(shell, r"\[1\]\+  Stopped .*\r\n")
                self.fg(shell)
                shell.type(f"{text}\n")
                shell.expect(f"{text}\r\n{text}\r\n")
            shell.type(CTRL_C)
            self.prompt(shell)
            shell.type("echo code=$?\n")
            self.prompt(shell, "code=130\r\n")

    def test_the_end_of_input_ends_it_and_the_shell_has_the_terminal_again(self):
        for front in self.fronts():
            shell = self.shell()
            shell.type(f"{front}cat\n")
            shell.type("one\n")
            shell.expect("one\r\none\r\n")
            shell.type(CTRL_D)
            self.prompt(shell)
            shell.type("echo code=$?\n")
            self.prompt(shell, "code=0\r\n")

    def test_in_the_background_it_stops_when_it_reads_and_goes_on_in_the_foreground(self):
        for front in self.fronts():
            shell = self.shell()
            shell.type(f"{front}cat &\n")
            self.prompt(shell)
            self.until(lambda: self.all_stopped(shell), "it has stopped")
            shell.type("jobs\n")
            self.prompt(shell, r"jobs\r\n\[1\]\+  Stopped .*\r\n")
            self.fg(shell)
            shell.type("one\n")
            shell.expect("one\r\none\r\n")
            shell.type(CTRL_C)
            self.prompt(shell)

    def test_one_that_runs_in_the_background_is_interrupted_in_the_foreground(self):
        # A shell sends nothing when it puts a job that runs into the foreground.
        for front in self.fronts():
            shell = self.shell()
            shell.type(f"{front}sleep 600 &\n")
            self.prompt(shell)
            # The shell drops what comes before it has executed the program.
            self.until(lambda: "sleep" in self.names_below(shell.process.pid), "it runs")
            self.fg(shell)
            shell.type(CTRL_Z)
            self.prompt(shell, r"Stopped .*\r\n")
            shell.type("bg\n")
            self.prompt(shell)
            self.fg(shell)
            shell.type(CTRL_C)
            self.prompt(shell)
            shell.type("echo code=$?\n")
            self.prompt(shell, "code=130\r\n")

    def test_a_script_around_it_stops_and_goes_on_too_and_reads_the_terminal_behind_it(self):
        for front in self.fronts():
            shell = self.shell()
            self.write("script", f"{front}cat\necho behind=$?\nread line\necho got=$line\n")
            shell.type(f"sh {self.directory}/script\n")
            shell.type("one\n")
            shell.expect("one\r\none\r\n")
            shell.type(CTRL_Z)
            self.prompt(shell, r"Stopped .*\r\n")
            self.fg(shell)
            shell.type("two\n")
            shell.expect("two\r\ntwo\r\n")
            shell.type(CTRL_D)
            shell.expect("behind=0\r\n")
            shell.type("three\n")
            shell.expect("got=three\r\n")

    def test_in_a_pipeline_all_of_it_stops_and_goes_on(self):
        for front in self.fronts():
            shell = self.shell()
            shell.type(f"{front}cat | sed -u s/^/seen:/\n")
            shell.type("one\n")
            shell.expect("seen:one\r\n")
            shell.type(CTRL_Z)
            self.prompt(shell, r"Stopped .*\r\n")
            self.fg(shell)
            shell.type("two\n")
            shell.expect("seen:two\r\n")
            shell.type(CTRL_D)
            self.prompt(shell)

    def test_signals_to_stop_and_continue_do_so_with_both(self):
        for number in "TSTP", "TTIN", "TTOU":
            with self.subTest(signal=number):
                shell = self.shell()
                shell.type(f"{self.binary} --init sleep 600 &\n")
                self.prompt(shell)
                portshim, app = self.portshim_below(shell)
                os.kill(portshim, getattr(signal, "SIG" + number))
                self.until(lambda: state_of(portshim) == state_of(app) == "T", "both have stopped")
                os.kill(portshim, signal.SIGCONT)
                self.until(lambda: state_of(portshim) == state_of(app) == "S", "both go on")

    def test_an_app_that_is_stopped_stops_portshim_and_the_shell_continues_both(self):
        shell = self.shell()
        shell.type(f"{self.binary} --init cat\n")
        shell.type("one\n")
        shell.expect("one\r\none\r\n")
        portshim, app = self.portshim_below(shell)
        os.kill(app, signal.SIGSTOP)
        self.prompt(shell, r"Stopped .*\r\n")
        self.assertEqual((state_of(portshim), state_of(app)), ("T", "T"))
        self.fg(shell)
        shell.type("two\n")
        shell.expect("two\r\ntwo\r\n")

    def portshim_below(self, shell: Screen) -> tuple[int, int]:
        self.until(lambda: children_of(shell.process.pid), "the shell has forked")
        portshim = children_of(shell.process.pid)[0]
        return portshim, self.app_of(portshim)

    def names_below(self, pid: int) -> list[str]:
        return [name for child in children_of(pid) for name in
                (status_of(child).get("Name", ""), *self.names_below(child))]

    @staticmethod
    def all_stopped(shell: Screen) -> bool:
        below = children_of(shell.process.pid)
        return bool(below) and all(state_of(pid) == "T" for pid in below)


class Leader(TerminalTest):
    """portshim as leader of the session, as in `docker run -it` or `ssh -t`: no shell is there to continue anything."""

    def test_a_hang_up_reaches_the_app(self):
        # The kernel sends it to the leader of the session alone.
        log = self.directory / "log"
        screen = self.screen("/bin/sh", "-c", f"exec {self.binary} --init {self.subject} record 1 >{log}")
        self.until(lambda: log.exists() and "ready" in log.read_text(), "it is ready")
        screen.hang_up()
        self.assertEqual(screen.process.wait(20), 0)
        self.assertIn(signal.SIGHUP, [int(line.split()[0]) for line in log.read_text().splitlines()[1:]])

    def test_keys_reach_the_app_once(self):
        screen = self.screen(self.binary, "--init", self.subject, "record", "3")
        screen.expect("ready")
        screen.resize(50, 100)
        screen.expect(rf"{signal.SIGWINCH} {SI_KERNEL} ")
        screen.type(CTRL_C)
        screen.expect(rf"{signal.SIGINT} {SI_KERNEL} ")
        screen.type(b"\x1c")
        text = screen.expect(rf"{signal.SIGQUIT} {SI_KERNEL} ")
        self.assertNotRegex(text, rf"\b({signal.SIGWINCH}|{signal.SIGINT}) ", "each comes once")
        self.assertEqual(screen.process.wait(20), 0)

    def test_the_key_that_stops_leaves_no_app_behind_that_nobody_continues(self):
        for words in ((), ("/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child")):
            with self.subTest(pid_1=bool(words)):
                screen = self.screen(*words, self.binary, "--init", "/bin/cat")
                screen.type("one\n")
                screen.expect("one\r\none\r\n")
                screen.type(CTRL_Z)
                screen.type("two\n")
                screen.expect("two\r\ntwo\r\n")
                screen.type(CTRL_C)
                self.assertEqual(screen.process.wait(20), 130)

    def test_a_shell_as_the_app_has_job_control(self):
        screen = self.screen(self.binary, "--init", "/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
        screen.expect("READY> ")
        screen.type("cat\n")
        screen.type("one\n")
        screen.expect("one\r\none\r\n")
        screen.type(CTRL_Z)
        screen.expect(r"Stopped .*\r\nREADY> ")
        screen.type("fg\n")
        screen.expect("fg\r\ncat\r\n")
        screen.type("two\n")
        screen.expect("two\r\ntwo\r\n")
        screen.type(CTRL_D)
        screen.expect("READY> ")
        screen.type("exit 7\n")
        self.assertEqual(screen.process.wait(20), 7)


class NoTerminal(InitTest):
    def test_a_stopped_app_is_continued_through_portshim_which_goes_on_meanwhile(self):
        process = self.init("/bin/sleep", "600")
        app = self.app_of(process.pid)
        os.kill(app, signal.SIGSTOP)
        self.until(lambda: state_of(app) == "T", "it has stopped")
        process.send(signal.SIGUSR1)
        self.until(lambda: int(status_of(app)["ShdPnd"], 16), "portshim forwards on")
        process.send(signal.SIGCONT)
        self.assertEqual(process.wait(20).code, 128 + signal.SIGUSR1)

    def test_sigtstp_stops_nothing_that_nobody_would_continue(self):
        # As without portshim: the kernel does not let it stop an orphaned process group (setpgid(2)).
        process = self.init("/bin/sh", "-c", "while :; do sleep 0.01; done")
        self.app_of(process.pid)
        process.send(signal.SIGTSTP)
        process.send(signal.SIGTERM)
        self.assertEqual(process.wait(20).code, 128 + signal.SIGTERM)


if __name__ == "__main__":
    portshim_test.main()
