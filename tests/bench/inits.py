"""What init programs do and cost, as Markdown tables on stdout: each cell is measured here, with subject.c as the app.

    PYTHONPATH=tests/support python3 tests/bench/inits.py     as root, with the programs of scripts/setup bench

PORTSHIM_BINARY, PORTSHIM_PROBE, PORTSHIM_SUBJECT name the binaries, as for the tests.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from init_case import children_of, kill, queue, state_of, status_of
from portshim_test import SOURCE_DIR, Probe
from screen import CTRL_C, CTRL_Z, Screen

BUILD = SOURCE_DIR / "build/release"
SUBJECT = os.environ.get("PORTSHIM_SUBJECT", str(BUILD / "tests/subject"))
PROBE = os.environ.get("PORTSHIM_PROBE", str(BUILD / "tests/probe"))
# Those that an init may stop the app by come last.
STOPS = [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU]
FORWARDED = sorted(set(range(1, 64)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, *STOPS}) + [*STOPS, 64]
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
IDLE_SECONDS = 5
STARTS = 50
TIMED_STARTS = 1000


def happens(event: Callable[[], object], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not event():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Run:
    """A process with its output in a file; killed at the end of the `with`, and all of its PID namespace."""

    def __init__(self, *words: str, **how) -> None:
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(words, stdout=self.output, stderr=subprocess.DEVNULL, start_new_session=True,
                                        **how)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def text(self) -> str:
        return os.pread(self.output.fileno(), 1 << 24, 0).decode()

    def says(self, text: str) -> bool:
        return happens(lambda: text in self.text())

    def ends(self, seconds: float = 5) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def child(self) -> int:
        """unshare's, the PID 1 of its namespace."""
        happens(lambda: children_of(self.process.pid))
        return children_of(self.process.pid)[0]


class Init:
    def __init__(self, name: str, *words: str) -> None:
        self.name = name
        self.words = [shutil.which(words[0]) or words[0], *words[1:]]
        self.start_ups: list[float] = []

    def pid_1(self, *words: str, **how) -> Run:
        return Run(*UNSHARE, *self.words, *words, **how)

    def plain(self, *words: str, **how) -> Run:
        return Run(*self.words, *words, **how)

    # --- What it does. Each answers with what is to stand in the table. ---

    def forwards(self) -> str:
        """The signals that do not arrive."""
        with self.pid_1(SUBJECT, "record", "64") as run:
            run.says("ready")
            first = run.child()
            missing = []
            for number in FORWARDED:
                with contextlib.suppress(OSError):
                    kill(first, number)
                if not happens(lambda: f"\n{number} " in run.text() or run.process.poll() is not None, 0.3):
                    missing.append(number)
                    for app in children_of(first):
                        kill(app, signal.SIGCONT)
                if run.process.poll() is not None and number < 64:
                    return f"ended by {number}"
            return "all" if not missing else "not " + ", ".join(map(str, missing))

    def queued_value(self) -> str:
        with self.pid_1(SUBJECT, "record", "40") as run:
            run.says("ready")
            queue(run.child(), 40, 1234)
            run.ends()
            return "yes" if " 1234 " in run.text() else "no"

    def burst(self) -> str:
        """How many of 10,000 queued ones arrive."""
        with self.pid_1(SUBJECT, "count", "40") as run:
            run.says("ready")
            first = run.child()
            for value in range(10_000):
                queue(first, 40, value)
            happens(lambda: not int(status_of(first)["ShdPnd"], 16))
            happens(lambda: all(not int(status_of(child).get("ShdPnd", "0"), 16) for child in children_of(first)))
            kill(first, signal.SIGTERM)
            run.ends()
            return (run.text().splitlines() or [""])[-1].split(" ")[0]

    def orphans(self) -> str:
        reading, writing = os.pipe()
        with self.pid_1(SUBJECT, "orphans", "1000", stdin=reading) as run, os.fdopen(writing, "w"):
            os.close(reading)
            if not run.says("gone"):
                return "none made"
            first = run.child()
            happens(lambda: len(children_of(first)) == 1)
            left = sum(state_of(child) == "Z" for child in children_of(first))
            return "all" if left == 0 else f"{left} zombies left"

    def code_of_kill(self) -> str:
        with self.pid_1(SUBJECT, "signal", "9") as run:
            return str(run.ends())

    def code_with_ignored_sigchld(self) -> str:
        with self.plain(SUBJECT, "exit", "42",
                        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)) as run:
            code = run.ends()
            return "hangs" if code is None else str(code)

    def leftovers(self) -> str:
        """Not as PID 1: what has become of descendants of the app when it has ended."""
        with self.plain(SUBJECT, "stay", "600", "600") as run:
            run.ends()
            pids = [int(line) for line in run.text().split()]
            gone = happens(lambda: not any(state_of(pid) not in ("", "Z") for pid in pids), 1)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return "ended" if gone else "stay"

    def shell(self) -> str:
        """^Z, fg and ^C in an interactive shell."""
        screen = Screen("/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
        try:
            screen.expect("READY> ")
            screen.type(" ".join([*self.words, "cat\n"]))
            screen.type("one\n")
            screen.expect("one\r\none\r\n", 10)
            screen.type(CTRL_Z)
            screen.expect(r"Stopped .*\r\nREADY> ", 10)
            screen.type("fg\n")
            happens(lambda: screen.foreground() != screen.process.pid)
            screen.type("two\n")
            screen.expect("two\r\n(.*\r\n)?two\r\n", 10)
            screen.type(CTRL_C)
            screen.expect("READY> ", 10)
            return "yes"
        except AssertionError:
            return "no"
        finally:
            screen.close()

    def key_as_pid_1(self) -> str:
        """^Z where nobody could continue the app."""
        screen = Screen(*UNSHARE, *self.words, "cat", env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})
        try:
            screen.type("one\n")
            screen.expect("one\r\none\r\n", 10)
            screen.type(CTRL_Z)
            screen.type("two\n")
            screen.expect("two\r\ntwo\r\n", 5)
            return "goes on"
        except AssertionError:
            return "stopped for ever"
        finally:
            screen.close()

    def kept_descriptors(self) -> str:
        """Does the parent keep a descriptor that was passed for the app?"""
        with tempfile.NamedTemporaryFile() as file:
            os.set_inheritable(file.fileno(), True)
            with self.plain("/bin/sleep", "600", pass_fds=[file.fileno()]) as run:
                happens(lambda: any(status_of(one).get("Name") == "sleep" for one in children_of(run.process.pid)))
                time.sleep(0.2)
                links = [os.readlink(path) for path in Path(f"/proc/{run.process.pid}/fd").iterdir()]
                return "yes" if file.name in links else "no"

    def same_for_the_app(self) -> str:
        """What of mask, dispositions and descriptors the app gets otherwise than the init got it."""
        def prepare() -> None:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1, 40])

        probes = []
        for words in [], self.words:
            with Run(*words, PROBE, preexec_fn=prepare) as run:
                run.ends()
                probes.append(Probe.parse(run.text()))
        bare, under = probes
        differ = [name for name in ("blocked", "ignored", "cwd", "umask", "limits", "nice", "oom_score_adj")
                  if getattr(bare, name) != getattr(under, name)]
        if set(bare.descriptors) != set(under.descriptors):
            differ.append("descriptors")
        return "yes" if not differ else "but " + ", ".join(differ)

    def early_sigterm(self) -> str:
        """SIGTERM to PID 1 as soon as it is the init: of how many starts it is lost."""
        lost = 0
        for _ in range(STARTS):
            with self.pid_1(SUBJECT, "record") as run:
                first = run.child()
                while run.process.poll() is None:
                    with contextlib.suppress(OSError):
                        if os.path.realpath(os.readlink(f"/proc/{first}/exe")) == os.path.realpath(self.words[0]):
                            break
                with contextlib.suppress(OSError):
                    os.kill(first, signal.SIGTERM)
                run.says("ready") if run.process.poll() is None else None
                if run.ends(0.3) is None:
                    lost += 1
        return f"{lost} of {STARTS}"

    # --- What it costs. ---

    def time_start(self) -> None:
        """From exec of the init until the app runs, in milliseconds."""
        reading, writing = os.pipe()
        began = time.monotonic_ns()
        pid = os.posix_spawn(self.words[0], [*self.words, SUBJECT, "now"], {"TINI_SUBREAPER": "1"},
                             file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)])
        os.close(writing)
        with os.fdopen(reading) as file:
            self.start_ups.append((int(file.read()) - began) / 1e6)
        os.waitpid(pid, 0)

    def start_up(self) -> str:
        return f"{statistics.median(self.start_ups):.2f}, {min(self.start_ups):.2f}"

    def idle(self, measure: Callable[[int], str]) -> str:
        with self.pid_1("/bin/sleep", "600") as run:
            first = run.child()
            happens(lambda: any(status_of(child).get("Name") == "sleep" for child in children_of(first)))
            time.sleep(0.5)
            return measure(first)

    def wake_ups(self) -> str:
        def measure(pid: int) -> str:
            def switches() -> int:
                return int(status_of(pid)["voluntary_ctxt_switches"])

            before = switches()
            time.sleep(IDLE_SECONDS)
            return str(switches() - before)

        return self.idle(measure)

    def private_memory(self) -> str:
        return self.idle(lambda pid: self.rollup(pid, "Private_Dirty"))

    def resident(self) -> str:
        return self.idle(lambda pid: self.rollup(pid, "Rss"))

    @staticmethod
    def rollup(pid: int, name: str) -> str:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith(name + ":"))


ROWS: list[tuple[str, Callable[[Init], str]]] = [
    ("signals 1 to 64 forwarded (without KILL, STOP, CHLD)", Init.forwards),
    ("value of sigqueue arrives", Init.queued_value),
    ("of 10,000 queued signals in a burst arrive", Init.burst),
    ("SIGTERM right behind exec of PID 1 is lost in", Init.early_sigterm),
    ("1,000 orphans that end at once are reaped", Init.orphans),
    ("exit code of an app that SIGKILL ends", Init.code_of_kill),
    ("exit code 42 with SIGCHLD inherited as ignored", Init.code_with_ignored_sigchld),
    ("descendants of the app when it has ended (not as PID 1)", Init.leftovers),
    ("^Z, fg, ^C in an interactive shell", Init.shell),
    ("the app behind ^Z as PID 1 with a terminal", Init.key_as_pid_1),
    ("the app gets mask, dispositions, descriptors as they were", Init.same_for_the_app),
    ("the parent keeps descriptors that were passed", Init.kept_descriptors),
    (f"start-up until the app runs, median and least of {TIMED_STARTS} [ms]", Init.start_up),
    (f"wake-ups in {IDLE_SECONDS} idle seconds", Init.wake_ups),
    ("private memory [kB]", Init.private_memory),
    ("resident memory with the pages of its file [kB]", Init.resident),
]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # The pages of a file that was just written count as dirty until it is on the disk.
        portshim = Path(folder) / "portshim"
        shutil.copy(os.environ.get("PORTSHIM_BINARY", BUILD / "portshim"), portshim)
        with portshim.open("rb") as file:
            os.fsync(file.fileno())
        inits = [Init("portshim --init", str(portshim), "--init", "--"), Init("tini-static", "tini-static", "--"),
                 Init("dumb-init", "dumb-init", "--"), Init("catatonit", "catatonit", "--")]
        # In turns, so that a busy moment of the machine hits all alike.
        for _ in range(TIMED_STARTS):
            for init in inits:
                init.time_start()
        print("|  |", " | ".join(init.name for init in inits), "|")
        print("|---|" + "---|" * len(inits))
        for title, measure in ROWS:
            print(f"| {title} |", " | ".join(measure(init) for init in inits), "|", flush=True)


if __name__ == "__main__":
    main()
