"""A program at a terminal of its own (pty(7)): what is typed there, and what comes out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from portshim_test import Text

CTRL_C, CTRL_D, CTRL_Z = b"\x03", b"\x04", b"\x1a"


class Screen:
    """A program as leader of a session whose terminal this is."""

    def __init__(self, *words: Text, env: dict[str, str] | None = None) -> None:
        self._master, terminal = pty.openpty()
        self._seen = ""
        self.process = subprocess.Popen(
            words, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "PS1": "READY> ", "HISTFILE": "", **(env or {})},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(terminal)

    def type(self, keys: bytes | str) -> None:
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern: str, timeout: float = 30) -> str:
        """Reads on until the pattern is there, and drops what is up to its end: what has come."""
        deadline = time.monotonic() + timeout
        while not (match := re.search(pattern, self._seen)):
            rest = deadline - time.monotonic()
            if rest <= 0 or not select.select([self._master], [], [], rest)[0]:
                raise AssertionError(f"no {pattern!r} after {timeout} s in {self._seen!r}")
            try:
                self._seen += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # the terminal's last user has ended
                raise AssertionError(f"ended before {pattern!r} in {self._seen!r}") from None
        before, self._seen = self._seen[:match.end()], self._seen[match.end():]
        return before

    def foreground(self) -> int:
        """The process group that is there."""
        return os.tcgetpgrp(self._master)

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        # Its jobs are in groups of their own, in its session.
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                if os.getsid(pid) == self.process.pid:
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        if self._master >= 0:
            os.close(self._master)
