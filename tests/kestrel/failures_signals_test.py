"""Signals that were inherited in a bad state: what becomes of real .NET without portshim, and with its repairs."""

import signal
from pathlib import Path

import portshim_test
import tally
from kestrel import UNPRIVILEGED_UID, KestrelTest
from portshim_test import NetworkNamespace, Stage, as_uid

ADDRESS = {"ASPNETCORE_URLS": "http://127.0.0.1:8080"}

tearDownModule = tally.say


def waits(pid: int, number: int) -> bool:
    """The signal was sent and not delivered (proc_pid_status(5))."""
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return any(int(lines[name], 16) & 1 << number - 1 for name in ("SigPnd", "ShdPnd"))


class Signals(KestrelTest):
    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace()
        self.unprivileged = as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.namespace)

    def started(self, stage: Stage, **how):
        app = self.start_app(stage=self.unprivileged | stage, **ADDRESS, **how)
        self.await_output(app, "Application started.")
        return app

    def assert_does_not_stop(self, app, number: int) -> None:
        app.send(number)
        self._await(lambda: waits(app.pid, number), "the signal waiting", app, 10)
        # The app goes on as if nothing had come, and the signal still waits.
        self.assertEqual(self.namespace.get(8080, "/healthz")[0], 200)
        self.assertTrue(waits(app.pid, number))
        app.kill()

    def test_a_blocked_sigterm_stops_nothing_and_explain_says_so(self):
        blocked = Stage(blocked=(signal.SIGTERM,))
        self.assert_does_not_stop(self.started(blocked, shim=False), signal.SIGTERM)
        for mode in "explain", "validate":
            with self.subTest(mode=mode):
                app = self.started(blocked, PORTSHIM=mode)
                with tally.failure(self.id()):
                    finding = self.assertFinding(app.so_far(), "PS441", "warning")
                    self.assertIn("SIGTERM is blocked", finding.what)
                    self.assertIn("137", finding.what)
                self.assert_does_not_stop(app, signal.SIGTERM)

    def test_rewrite_unblocks_what_stops_the_app(self):
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGQUIT:
            with self.subTest(signal=number.name):
                app = self.started(Stage(blocked=(number,)), PORTSHIM="rewrite", PORTSHIM_LOG_LEVEL="info")
                self.assertEqual(self.assertFinding(app.so_far(), "PS441", "info").did, f"unblocked {number.name}")
                app.send(number)
                self.assertEqual(app.wait().code, 0)

    def test_a_child_is_waited_for_for_ever_where_sigchld_is_ignored(self):
        ignored = Stage(ignored=(signal.SIGCHLD,))
        for how in {"shim": False}, {"PORTSHIM": "explain"}:
            with self.subTest(**how):
                app = self.started(ignored, **how)
                self.assertEqual(self.namespace.get(8080, "/Child"), (200, "false"))
                if "PORTSHIM" in how:
                    with tally.failure(self.id()):
                        self.assertIn("WaitForExit", self.assertFinding(app.so_far(), "PS440", "warning").what)
                app.kill()

    def test_rewrite_gives_sigchld_its_default(self):
        app = self.started(Stage(ignored=(signal.SIGCHLD,)), PORTSHIM="rewrite", PORTSHIM_LOG_LEVEL="info")
        self.assertFinding(app.so_far(), "PS440", "info")
        self.assertEqual(self.namespace.get(8080, "/Child"), (200, "true"))

    def test_signals_as_they_should_be_are_silent(self):
        for mode in "explain", "validate", "rewrite":
            with self.subTest(mode=mode), tally.good_start(self.id()):
                app = self.started(Stage(ignored=(signal.SIGHUP,), blocked=(signal.SIGUSR1,)), PORTSHIM=mode)
                self.assertSilent(app.so_far())
                self.assertEqual(self.namespace.get(8080, "/Child"), (200, "true"))
                app.send(signal.SIGTERM)
                self.assertEqual(app.wait().code, 0)


if __name__ == "__main__":
    portshim_test.main()
