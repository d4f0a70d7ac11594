"""What the tests of --init share: subject.c as COMMAND, PID namespaces, and a look at processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import portshim_test
from portshim_test import PortshimTest, Process, Text


SI_QUEUE = -1  # sigaction(2)
_libc = ctypes.CDLL(None, use_errno=True)
_SYS_RT_SIGQUEUEINFO = {"x86_64": 129, "aarch64": 138}[os.uname().machine]
_SYS_READ = {"x86_64": 0, "aarch64": 63}[os.uname().machine]


def kill(pid: int, number: int) -> None:
    """kill(2), for the signals that Python does not know either."""
    if _libc.kill(pid, number) != 0:
        raise OSError(ctypes.get_errno(), f"kill {number}")


def queue(pid: int, number: int, value: int, sender: int | None = None) -> None:
    """sigqueue(3), by the system call."""
    info = struct.pack("iiiiIIq", number, 0, SI_QUEUE, 0, os.getpid() if sender is None else sender, os.getuid(), value)
    info = info.ljust(128, b"\0")
    if _libc.syscall(_SYS_RT_SIGQUEUEINFO, pid, number, info) != 0:
        raise OSError(ctypes.get_errno(), f"rt_sigqueueinfo {number}")


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status; empty when it has ended and was waited for."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def state_of(pid: int) -> str:
    """R, S, T (stopped), Z (zombie), …; empty when there is no such process."""
    return status_of(pid).get("State", "")[:1]


def children_of(pid: int) -> list[int]:
    """Its children, zombies too."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def calls_read(pid: int, descriptor: int) -> bool:
    """It waits in read(2) of that descriptor."""
    call = Path(f"/proc/{pid}/syscall").read_text().split()
    return call[:2] == [str(_SYS_READ), hex(descriptor)]


class InitTest(PortshimTest):
    subject: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.subject = portshim_test.readable_copy(
            Path(os.environ.get("PORTSHIM_SUBJECT") or portshim_test.SOURCE_DIR / "build/release/tests/subject"))

    def start(self, *words: Text, **how) -> Process:
        process = super().start(*words, **how)
        self.addCleanup(self.end_descendants, process)  # which are in process groups of their own
        return process

    @staticmethod
    def end_descendants(process: Process) -> None:
        if not process.is_running():
            return
        pids = children_of(process.pid)
        while pids:
            pids += children_of(pid := pids.pop())
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def init(self, *words: Text, **how) -> Process:
        """Starts `portshim --init WORDS...`: options, then COMMAND."""
        return self.start(self.binary, "--init", *words, **how)

    def pid_1(self, *words: Text, program: Text | None = None, **how) -> tuple[Process, int]:
        """The same as PID 1 of a PID namespace, with its number outside. What is left in it ends with the test."""
        portshim_test.require_root("to create a PID namespace")
        words = words if program else ("--init", *words)
        process = self.start("/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                             program or self.binary, *words, **how)
        self.until(lambda: children_of(process.pid), "unshare has forked")
        return process, children_of(process.pid)[0]


    def open_stdin(self) -> tuple[int, Callable[[], None]]:
        """A standard input that ends when the function is called, or the test ends."""
        ours, theirs = os.pipe()
        os.set_inheritable(theirs, False)
        opened = [theirs, ours]

        def end() -> None:
            while opened:
                os.close(opened.pop(0))

        self.addCleanup(end)
        return ours, end

    def until(self, happened: Callable[[], object], what: str, timeout: float = 60) -> None:
        """Waits for an event; a failure after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not happened():
            if time.monotonic() > deadline:
                self.fail(f"not in {timeout} s: {what}")
            time.sleep(0.005)

    def app_of(self, pid: int) -> int:
        """The number of the process that portshim has started, once that is COMMAND."""
        self.until(lambda: any(self.is_command(child) for child in children_of(pid)), "COMMAND runs")
        return next(child for child in children_of(pid) if self.is_command(child))

    def is_command(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{pid}/exe") != str(self.binary)
        return False

    def recorder(self, *words: Text, last: int = 15, **how) -> tuple[Process, int]:
        """portshim with a COMMAND that takes down all signals up to `last`, and the number of that COMMAND."""
        process = self.init(*words, self.subject, "record", str(last), **how)
        self.await_output(process, "ready")
        return process, self.app_of(process.pid)

    @staticmethod
    def recorded(process: Process) -> list[tuple[int, int, int, int]]:
        """Signal, code, value and sender of each."""
        lines = process.so_far().stdout.splitlines()[1:]
        return [tuple(map(int, line.split())) for line in lines]
