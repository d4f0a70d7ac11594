"""Mode off: nothing is said, and between the two execs nothing happens but start-up and a look at COMMAND's header."""

import dataclasses
import re
from pathlib import Path

import portshim_test
from portshim_test import (NO_CAPABILITIES, PortshimTest, Stage, as_root, in_network_namespace, require_program,
                           started_by_another)

# What makes every other mode busy.
ENVIRONMENT = {"ASPNETCORE_URLS": "http://+:80", "ASPNETCORE_HTTP_PORTS": "80", "DOTNET_URLS": "nonsense://",
               "Kestrel__Endpoints__A__Url": "http://+:443", "PORTSHIM_MAP": "80:5000", "PORTSHIM_FLOOR": "nonsense"}

# Of the C library's start-up: memory, threads, random numbers; /proc/self/exe is where a static-pie finds $ORIGIN.
# libcap looks for the number of capabilities by prctl. Signals are blocked from the first instruction until it is known
# that nobody waits for them.
STARTUP = {"brk", "mmap", "munmap", "mremap", "mprotect", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
           "prlimit64", "readlink", "readlinkat", "getrandom", "futex", "prctl", "rt_sigprocmask"}
# A look at a file: may it be executed, is it regular, its first bytes.
LOOK_BY_PATH = {"faccessat2", "faccessat", "openat", "newfstatat"}
LOOK = LOOK_BY_PATH | {"fstat", "pread64", "close"}


@dataclasses.dataclass(frozen=True)
class Call:
    pid: int
    name: str
    arguments: str

    def path(self) -> str | None:
        """The first argument that is a string; an empty one means the open file itself."""
        match = re.search(r'"((?:[^"\\]|\\.)*)"', self.arguments)
        return match[1] if match and match[1] else None


def parse(trace: str) -> list[Call]:
    """The system calls behind the first exec and before the one that starts COMMAND (the last one)."""
    calls = [Call(int(line[1]), line[2], line[3])
             for line in re.finditer(r"^(\d+) +(\w+)\((.*)$", trace, re.MULTILINE)]
    execs = [index for index, call in enumerate(calls) if call.name == "execve"]
    return calls[execs[0] + 1:execs[-1]]


def no_low_ports() -> Stage:
    """Root after --cap-drop ALL: strace can write its file, and port 80 is denied."""
    return as_root(bounding=NO_CAPABILITIES) | in_network_namespace(port_start=1024)


class Off(PortshimTest):
    said = ""

    def trace(self, *words, env=None, stage: Stage = Stage()) -> list[Call]:
        """What portshim does on its way to COMMAND; `said` is what it says."""
        strace = require_program("strace")
        output = self.directory / "trace"
        # -s: paths must be whole.
        words = ("-f", "-s", "4096", "-o", output, *started_by_another(self.binary, *words))
        result = self.start(strace, *words, env=ENVIRONMENT if env is None else env, stage=stage).wait()
        self.assertEqual(result.code, 0, result)
        self.said = result.stderr
        return parse(output.read_text())

    def assertOnlyLooks(self, calls: list[Call], candidates: list[Path]) -> None:
        """That there is one process, start-up, and a look at each candidate."""
        self.assertEqual(self.said, "")
        self.assertEqual({call.name for call in calls} - STARTUP - LOOK, set())
        self.assertEqual(len({call.pid for call in calls}), 1)
        self.assertEqual({call.arguments.partition(",")[0] for call in calls if call.name == "prctl"} -
                         {"PR_CAPBSET_READ"}, set())
        links = {call.path() for call in calls if call.name.startswith("readlink")}
        self.assertEqual(links - {"/proc/self/exe"}, set())
        looked_at = [path for call in calls if call.name in LOOK_BY_PATH and (path := call.path())]
        self.assertEqual(set(looked_at), set(map(str, candidates)))

    @staticmethod
    def opened(calls: list[Call]) -> list[str | None]:
        return [call.path() for call in calls if call.name == "openat"]

    def test_a_program_by_its_path_is_looked_at_once(self):
        calls = self.trace("--mode=off", self.probe, "--urls=http://+:80")
        self.assertOnlyLooks(calls, [self.probe])
        self.assertEqual(self.opened(calls), [str(self.probe)])
        self.assertEqual([call.name for call in calls].count("pread64"), 1)

    def test_off_is_the_default_and_the_variable_says_it_too(self):
        for variables in {}, {"PORTSHIM": "off"}, {"PORTSHIM": ""}, {"PORTSHIM": "FALSE"}:
            with self.subTest(variables=variables):
                self.assertOnlyLooks(self.trace(self.probe, env={**ENVIRONMENT, **variables}), [self.probe])

    def test_a_name_is_looked_at_in_each_folder_of_path_until_it_is_found(self):
        folders = [self.directory / name for name in ("empty", "full", "behind")]
        for folder in folders:
            folder.mkdir()
        for folder in folders[1:]:
            self.write(f"{folder.name}/dotnet", self.probe.read_bytes(), 0o755)
        env = {**ENVIRONMENT, "PATH": ":".join(map(str, folders))}
        self.write("App.dll", b"MZ")
        calls = self.trace("dotnet", self.directory / "App.dll", env=env)
        self.assertOnlyLooks(calls, [folder / "dotnet" for folder in folders[:2]])
        self.assertEqual(self.opened(calls), [str(folders[1] / "dotnet")])

    def test_portshim_inside_portshim_is_looked_at_too(self):
        # Where COMMAND is portshim itself, it is read on in its arguments: no other program of that name is meant.
        calls = self.trace("--mode=off", self.binary, self.probe, env={**ENVIRONMENT, "PATH": "/nonexistent"})
        self.assertOnlyLooks(calls, [self.binary, self.probe])
        self.assertEqual(self.opened(calls), [str(self.binary), str(self.probe)])

    def test_nothing_is_printed_and_nothing_is_changed(self):
        result = self.portshim("--mode=off", self.probe, "--urls=http://+:80", env=ENVIRONMENT, stage=no_low_ports())
        self.assertSilent(result)
        self.assertEqual(result.probe.environment, [f"{name}={value}" for name, value in ENVIRONMENT.items()])
        self.assertEqual(result.probe.argv, [str(self.probe), "--urls=http://+:80"])

    def test_negative_control_in_rewrite_a_child_is_forked_and_binds(self):
        calls = self.trace("--mode=rewrite", self.probe, stage=no_low_ports())
        names = {call.name for call in calls}
        self.assertTrue(names & {"clone", "clone3", "fork", "vfork"}, names)
        self.assertLessEqual({"socket", "bind"}, names)
        self.assertGreater(len({call.pid for call in calls}), 1)
        with self.assertRaises(AssertionError):
            self.assertOnlyLooks(calls, [self.probe])

    def test_negative_control_in_explain_the_apps_files_are_read(self):
        self.write("dotnet", self.probe.read_bytes(), 0o755)
        self.write("App.dll", b"MZ")
        self.write("App.runtimeconfig.json", "{}")
        calls = self.trace("--mode=explain", self.directory / "dotnet", self.directory / "App.dll")
        self.assertIn(str(self.directory / "App.runtimeconfig.json"), self.opened(calls))


if __name__ == "__main__":
    portshim_test.main()
