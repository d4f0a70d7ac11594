"""However a test program with containers ends, its containers and daemons are gone."""

import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

import containers
import portshim_test


def _processes() -> dict[tuple[int, str], int]:
    """All processes, as PID and start time (proc_pid_stat(5): fields 4 and 22), with their parents."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(entry.name), fields[19]] = int(fields[1])
    return found


def _below(pid: int) -> set[tuple[int, str]]:
    """The process's descendants. None can leave: orphans go to the first process of their PID namespace."""
    processes, found, parents = _processes(), set(), {pid}
    while parents:
        children = {process for process, parent in processes.items() if parent in parents}
        found |= children
        parents = {child for child, _ in children}
    return found


class Cleanup(unittest.TestCase):
    def setUp(self):
        portshim_test.require_root("to make namespaces for containers")
        for program, group in (("unshare", "containers"), ("catatonit", "containers"), ("podman", "containers"),
                               ("runc", "containers"), ("dockerd", "docker"), ("docker", "docker")):
            containers.require(program, group)

    def hold(self, **variables: str) -> tuple[subprocess.Popen, Path, set]:
        """held.py with its containers running, its folder, and its processes."""
        program = subprocess.Popen([sys.executable, Path(__file__).with_name("held.py")],
                                   env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        self.addCleanup(program.communicate)
        self.addCleanup(program.kill)
        line = program.stdout.readline()
        self.assertTrue(line.startswith("held "), line or program.stderr.read())
        return program, Path(line.split()[1]), _below(program.pid)

    def assert_gone(self, program: subprocess.Popen, folder: Path, processes: set) -> None:
        self.assertEqual(processes & _processes().keys(), set())
        self.assertFalse(folder.exists())
        self.assertNotIn(str(folder), Path("/proc/self/mounts").read_text())
        groups = [path for pattern in ("*", "*/*") for path in Path("/sys/fs/cgroup").glob(pattern)
                  if path.name == f"portshim-test-{program.pid}"]
        self.assertEqual(groups, [])

    def test_after_an_interrupt_nothing_is_left(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name):
                program, folder, processes = self.hold(PORTSHIM_TEST_HOLD="1")
                commands = {Path(f"/proc/{pid}/comm").read_text().strip() for pid, _ in processes}
                self.assertLessEqual({"conmon", "dockerd", "catatonit"}, commands)  # there is something to clean up
                program.send_signal(number)
                self.assertEqual(program.wait(60), 128 + number)
                self.assert_gone(program, folder, processes)

    def test_after_the_end_nothing_is_left(self):
        program, folder, processes = self.hold()
        program.wait(60)
        self.assert_gone(program, folder, processes)

    def test_after_sigkill_no_process_is_left(self):
        program, folder, processes = self.hold(PORTSHIM_TEST_HOLD="1")
        program.kill()
        program.wait(60)
        while processes & _processes().keys():  # the kernel ends them one after the other
            time.sleep(0.02)
        containers.remove_leftovers(str(folder), f"portshim-test-{program.pid}")
        self.assert_gone(program, folder, processes)


if __name__ == "__main__":
    portshim_test.main()
