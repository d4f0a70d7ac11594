"""The termination log: one line for Kubernetes when COMMAND is not started, and no harm whatever the file is."""

import os
import resource
import socket
from functools import partial
from pathlib import Path

import portshim_test
from fake_app import APP, PORT_80, FakeAppTest
from portshim_test import Stage, as_uid
from stages import bind_mount, in_mount_namespace, mount_tmpfs, prepared

REFUSED = {**PORT_80, "PORTSHIM": "validate"}


class TerminationLog(FakeAppTest):
    def setUp(self):
        super().setUp()
        self.log = self.write("termination-log", "", 0o666)

    def leave(self, *words, log=None, **how):
        """`portshim WORDS` with a termination log of our own."""
        env = {"PORTSHIM_TERMINATION_LOG": log or self.log, **how.pop("env", {})}
        return self.run_shim(*words, env=env, **how)

    def assertLeft(self, result, code: int, id: str) -> None:
        """That the log is the first line of what was said."""
        self.assertEqual((result.code, result.stdout), (code, ""), result)
        text = self.log.read_text()
        self.assertEqual(text, result.stderr.splitlines(keepends=True)[0])
        self.assertTrue(text.startswith(f"portshim: error {id}: "), text)
        self.log.write_text("")

    def test_a_refusal_leaves_its_reason(self):
        self.assertLeft(self.leave(*APP, env=REFUSED), 78, "PS101")

    def test_an_installation_that_failed_leaves_its_reason(self):
        self.assertLeft(self.leave("--install=/nowhere/portshim"), 78, "PS907")

    def test_a_command_that_cannot_be_started_leaves_its_reason_in_every_mode(self):
        script = self.write("script", "#!/no/such/interpreter\n", 0o755)
        plain = self.write("plain", "x", 0o644)
        for mode in "off", "explain", "validate", "rewrite":
            for words, code, id in ((("nosuch",), 127, "PS401"), ((script,), 127, "PS405"), ((plain,), 126, "PS403"),
                                    (("--nosuch", *APP), 125, "PS902"), (("--guard=no", *APP), 125, "PS902"),
                                    ((), 125, "PS902")):
                with self.subTest(mode=mode, words=words):
                    self.assertLeft(self.leave(*words, env={"PORTSHIM": mode}), code, id)

    def test_the_option_wins_over_the_variable(self):
        other = self.write("other", "", 0o666)
        self.leave(f"--termination-log={other}", "nosuch")
        self.assertIn("PS401", other.read_text())
        self.assertEqual(self.log.read_text(), "")

    def test_it_is_text_whatever_the_log_format_and_level(self):
        result = self.leave("--log-format=json", "--log-level=error", "nosuch", env={"TERM": "xterm"})
        self.assertTrue(self.log.read_text().startswith("portshim: error PS401: "), result)

    def test_what_was_there_is_replaced(self):
        self.log.write_text("an earlier and longer message\n" * 10)
        self.assertLeft(self.leave("nosuch"), 127, "PS401")

    def test_an_app_that_is_started_finds_it_untouched(self):
        self.log.write_text("mine")
        for env in {}, {"PORTSHIM": "explain", **PORT_80}, {"PORTSHIM": "rewrite", **PORT_80}:
            self.assertEqual(self.leave(*APP, env=env).code, 0)
        self.assertEqual(self.leave("--check", *APP, env=REFUSED).code, 78)
        self.assertEqual(self.leave("--version").code, 0)
        self.assertEqual(self.log.read_text(), "mine")

    def test_it_has_one_line_of_at_most_4096_bytes_in_utf8(self):
        self.leave(os.fsencode("/" + "\u00fc" * 2000 + "\n") + b"\xff")
        text = self.log.read_bytes()
        self.assertLessEqual(len(text), 4096)
        self.assertEqual(text.count(b"\n"), 1)
        text.decode("utf-8", errors="strict")

    def test_no_file_is_made(self):
        missing = self.directory / "missing"
        self.assertEqual(self.leave("nosuch", log=missing).code, 127)
        self.assertFalse(missing.exists())

    def test_what_is_no_regular_file_is_left_alone_and_nothing_waits(self):
        fifo, folder, loop = (self.directory / name for name in ("fifo", "folder", "loop"))
        os.mkfifo(fifo, 0o666)
        folder.mkdir(0o777)
        loop.symlink_to(loop)
        listener = self.enterContext(socket.socket(socket.AF_UNIX))
        listener.bind(str(self.directory / "socket"))
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        for log in fifo, folder, loop, self.directory / "socket", "/dev/full", "/dev/tty", "/nonexistent/x":
            with self.subTest(log=log):
                result = self.leave("nosuch", log=log)
                self.assertEqual([finding.id for finding in result.findings], ["PS401"])
                self.assertEqual(result.code, 127)
        self.assertEqual(os.read(reader, 100), b"", "nobody wrote into the FIFO")

    def test_a_file_that_may_not_be_written_is_left_alone(self):
        self.log.write_text("mine")
        self.log.chmod(0o444)
        self.assertEqual(self.leave("nosuch").code, 127)
        self.assertEqual(self.log.read_text(), "mine")

    def test_the_file_size_limit_does_not_kill(self):
        # Where files may not grow, what is said goes into none either: only the exit code is left.
        stage = prepared(last=[partial(resource.setrlimit, resource.RLIMIT_FSIZE, (0, 0))]) | self.unprivileged
        self.assertEqual(self.leave("nosuch", stage=stage).code, 127)
        self.assertEqual(self.log.read_text(), "")

    def test_the_default_is_kubernetes_own(self):
        def show_log() -> None:
            mount_tmpfs("/dev")
            Path("/dev/termination-log").touch()
            bind_mount(self.log, "/dev/termination-log")

        stage = in_mount_namespace(show_log) | as_uid(1654) | Stage(namespace=self.denying)
        self.assertLeft(self.run_shim(*APP, env=REFUSED, stage=stage), 78, "PS101")


if __name__ == "__main__":
    portshim_test.main()
