"""Tests in real containers, with the real Podman and the real Docker Engine.

    class Startup(ContainerTest):
        def test_a_low_port_is_moved(self):
            container = self.start(self.images.app, user="app", env={"ASPNETCORE_URLS": "http://+:80"})
            self.assert_answers(container, 8080)

    class StartupOnPodman(Startup, PodmanTest): ...
    class StartupOnDocker(Startup, DockerTest): ...

    if __name__ == "__main__":
        containers.main()

main() runs the test program again in PID, mount and network namespaces of its own. The engines' storage is a tmpfs in
that mount namespace, /run is an empty one, dockerd and its bridge live in that network namespace. So nothing of this
machine's own containers and daemons is seen or touched, and when the first process of the PID namespace ends, however
it ends, the kernel ends all containers and daemons and frees storage and network. What is left are empty control
groups, which main() removes. In the network namespace net.ipv4.ip_unprivileged_port_start is 1024, whatever it is
here, and every host port is free.

Images are made without a registry: see container_images.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import portshim_test
from portshim_test import Finding, NetworkNamespace, Result, Text
from screen import Screen

# Set for the test program in the namespaces: its folder, and the name of its control groups.
_FOLDER, _CGROUP = "PORTSHIM_TEST_CONTAINERS_FOLDER", "PORTSHIM_TEST_CONTAINERS_CGROUP"
# Set where there can be none: the reason.
_WHY_NOT = "PORTSHIM_TEST_CONTAINERS_WHY_NOT"

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)

# dockerd and podman may be in folders that an ordinary PATH lacks, and a `docker` of somebody else may come first.
_PROGRAM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")


def find_program(name: str) -> str | None:
    return shutil.which(name, path=_PROGRAM_PATH)


def require(name: str, group: str = "containers") -> str:
    path = find_program(name)
    if path is None:
        portshim_test.skip(f"needs the program {name}: scripts/setup {group} installs it")
    return str(path)


# ---------------------------------------------------------------------------------------------------------------------
# The namespaces


# The first process in the namespaces: it reaps what the engines leave behind.
_INIT = ("catatonit", "--")


def main(*, host_network: bool = False) -> None:
    """Runs the tests of the calling file in namespaces of their own; with `host_network` on this machine's network, for
    what has to install packages. Where there can be none the tests run all the same, to be skipped by folder()."""
    namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                  *(() if host_network else ("--net",)))
    if _FOLDER in os.environ:
        _prepare_namespaces(host_network)
        portshim_test.main()
    elif _cannot(namespaces) is not None:
        os.environ[_WHY_NOT] = str(_cannot(namespaces))
        portshim_test.main()
    else:
        sys.exit(_run_in_namespaces([*namespaces, *_INIT, sys.executable, *sys.argv]))


def _cannot(namespaces: Sequence[str]) -> str | None:
    """Why this machine gives no namespaces for containers; None when it does."""
    if os.geteuid() != 0:
        return "needs root to make namespaces for containers"
    for program in (namespaces[0], _INIT[0]):
        if find_program(program) is None:
            return f"needs the program {program}: scripts/setup containers installs it"
    tried = subprocess.run([*namespaces, "mount", "-t", "tmpfs", "portshim-test", "/run"], capture_output=True,
                           text=True, check=False)
    return f"may not make namespaces for containers here: {tried.stderr.strip()}" if tried.returncode else None


def _run_in_namespaces(command: Sequence[str]) -> int:
    folder = tempfile.mkdtemp(prefix="portshim-containers.", dir="/tmp")
    cgroup = f"portshim-test-{os.getpid()}"
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=_die_with_parent,
                               env=os.environ | {_FOLDER: folder, _CGROUP: cgroup})
    ended_by: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        ended_by.append(number)
        _kill_first_process(process)

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    code = process.wait()
    remove_leftovers(folder, cgroup)
    return 128 + ended_by[0] if ended_by else code


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _kill_first_process(unshare: subprocess.Popen) -> None:
    """pid_namespaces(7): the death of a PID namespace's first process is complete when all others in it are dead, and
    unshare waits for it."""
    for child in Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def remove_leftovers(folder: str, cgroup: str) -> None:
    """What outlives the namespaces: an empty folder, and empty control groups."""
    os.rmdir(folder)  # empty: the tmpfs on it was of the mount namespace
    _remove_cgroup(cgroup)
    # `podman exec` and `podman kube play` know no --cgroup-parent.
    for parent in _cgroups("libpod_parent"):
        for group in (parent / "conmon", parent):
            with contextlib.suppress(OSError):  # it is not there, or somebody else's containers are in it
                group.rmdir()


def _cgroups(name: str) -> list[Path]:
    """The control group of that name in each hierarchy."""
    hierarchies = Path("/sys/fs/cgroup")
    return [*hierarchies.glob(f"*/{name}"), *hierarchies.glob(name)]


def _remove_cgroup(name: str) -> None:
    """Removes a control group without processes, and those below it."""
    for group in _cgroups(name):
        for path, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(path)


def _prepare_namespaces(host_network: bool) -> None:
    resolver = Path("/etc/resolv.conf").read_text() if Path("/etc/resolv.conf").exists() else ""
    for target in (folder(), Path("/run")):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "portshim-test", target], check=True)
    if not Path("/etc/resolv.conf").exists():  # a link into /run
        target = Path(os.path.realpath("/etc/resolv.conf"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(resolver)
    if not host_network:
        NetworkNamespace.prepare(port_start=1024)


def folder() -> Path:
    """A folder for this test program's files, gone with it; skips where containers.main() could make no namespaces."""
    if _WHY_NOT in os.environ:
        portshim_test.skip(os.environ[_WHY_NOT])
    return Path(os.environ[_FOLDER])


# ---------------------------------------------------------------------------------------------------------------------
# The engines


class EngineError(Exception):
    """The engine could not do it; the text is its own."""


class Engine:
    """What Podman and Docker have in common: their command line."""

    name: str
    port_start: int  # net.ipv4.ip_unprivileged_port_start of containers with a network of their own
    adds_ambient: bool  # --cap-add gives a user that is not root the capability
    _run_options: tuple[str, ...] = ()
    _build_options: tuple[str, ...] = ()
    _remove_options: tuple[str, ...] = ()

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        self._program = program
        self._environment = {"PATH": _PROGRAM_PATH, "HOME": str(folder()), **environment}
        self._count = 0

    def call(self, *arguments: Text, timeout: float = 120, **how) -> subprocess.CompletedProcess:
        """Runs `podman ARGUMENTS` (or docker) to its end, whatever its exit code."""
        return subprocess.run([self._program, *arguments], env=self._environment, capture_output=True, text=True,
                              errors="surrogateescape", check=False, timeout=timeout,
                              **({"stdin": subprocess.DEVNULL} | how))

    def checked(self, *arguments: Text, **how) -> str:
        """Its stdout; EngineError when the exit code is not 0."""
        done = self.call(*arguments, **how)
        if done.returncode != 0:
            raise EngineError(f"{self.name} {' '.join(map(str, arguments))}: exit code {done.returncode}\n"
                              f"{done.stdout}{done.stderr}")
        return done.stdout

    def import_image(self, name: str, archive: Path, *changes: str) -> str:
        """An image of the files of a tar archive; `changes` are Dockerfile instructions."""
        with archive.open("rb") as files:
            self.checked("import", *(word for change in changes for word in ("--change", change)), "-", name,
                         stdin=files)
        return name

    def build(self, name: str, dockerfile: Path, context: Path, *, target: str | None = None, timeout: float = 120,
              options: Sequence[str] = (), **arguments: str) -> str:
        """An image by a Dockerfile; `arguments` are its ARGs. Nothing is pulled."""
        words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        if target is not None:
            words += ["--target", target]
        self.checked("build", *self._build_options, *options, *words, "--tag", name, "--file", dockerfile, context,
                     timeout=timeout)
        return name

    def start(self, image: str, *arguments: Text, options: Sequence[Text] = (),
              env: Mapping[str, Text] | None = None) -> Container:
        """A container in the background; EngineError when it could not be started."""
        self._count += 1
        name = f"test{self._count}"
        variables = [word for key, value in (env or {}).items() for word in ("--env", f"{key}={value}")]
        try:
            self.checked("run", "--detach", "--name", name, *self._run_options, *variables, *options, image,
                         *arguments)
        except EngineError:
            self.remove(name)
            raise
        return self.find(name)

    def at_terminal(self, image: str, *arguments: Text, options: Sequence[Text] = ()) -> Screen:
        """`run -it --rm`, as a person types it."""
        return Screen(self._program, "run", "--interactive", "--tty", "--rm", *self._run_options, *options, image,
                      *arguments, env=self._environment)

    def find(self, name: str) -> Container:
        """A container that exists."""
        return Container(self, name, int(self.checked("inspect", "--format", "{{.State.Pid}}", name)))

    def remove(self, name: str) -> None:
        self.call("rm", "--force", *self._remove_options, name)


class Podman(Engine):
    name = "podman"
    port_start = 1024
    adds_ambient = True
    _build_options = ("--pull=never", "--layers", "--quiet")
    _remove_options = ("--time", "0", "--volumes")

    def __init__(self) -> None:
        program, runtime, init = require("podman"), require("runc"), require("catatonit")
        state = folder() / "podman"
        state.mkdir()
        configuration, storage = state / "containers.conf", state / "storage.conf"
        # Without limits of ours, Podman sets some that only CAP_SYS_RESOURCE may set.
        configuration.write_text(f"""
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
init_path = "{init}"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
runc = ["{runtime}"]
[network]
network_backend = "netavark"
""")
        storage.write_text(f'[storage]\ndriver = "overlay"\nrunroot = "{state}/run"\ngraphroot = "{state}/storage"\n')
        super().__init__(program, {"CONTAINERS_CONF": str(configuration), "CONTAINERS_STORAGE_CONF": str(storage)})
        self._run_options = (f"--cgroup-parent=/{os.environ[_CGROUP]}",)

    def play(self, manifest: Path) -> None:
        """Starts the Pods of a Kubernetes manifest, and returns when their initContainers have ended and their
        containers run. It is no kubelet: the capabilities of securityContext.capabilities.add become ambient,
        runAsNonRoot and sysctls are ignored, an httpGet probe runs curl in the container (an image without it is
        restarted for ever), and an emptyDir is a named volume that all Pods share whose volumes have that name: give
        each Pod its own names. Images need imagePullPolicy: Never. `take_down` ends the Pods."""
        self.checked("kube", "play", manifest)

    def take_down(self, manifest: Path) -> None:
        """Ends and removes the Pods of a manifest, and their emptyDir volumes."""
        pods = self.call("pod", "ps", "--quiet", "--no-trunc").stdout.split()
        self.call("kube", "down", manifest)
        self.call("volume", "prune", "--force")
        # `down` leaves empty groups in the unified hierarchy.
        for pod in pods:
            _remove_cgroup(f"libpod_parent/{pod}")

    def container_of(self, pod: str, name: str) -> Container:
        """A container of a Pod that was played."""
        return self.find(f"{pod}-{name}")


class Docker(Engine):
    name = "docker"
    port_start = 0
    adds_ambient = False
    _build_options = ("--quiet",)
    _remove_options = ("--volumes",)

    def __init__(self) -> None:
        program, daemon = require("docker", "docker"), require("dockerd", "docker")
        state = folder() / "docker"
        state.mkdir()
        address = f"unix://{state}/docker.sock"
        super().__init__(program, {"DOCKER_HOST": address, "DOCKER_BUILDKIT": "1"})
        with (state / "log").open("wb") as log:
            process = subprocess.Popen(
                [daemon, "--data-root", state / "data", "--exec-root", state / "exec", "--pidfile", state / "pid",
                 "--host", address, "--cgroup-parent", f"/{os.environ[_CGROUP]}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"PATH": _PROGRAM_PATH})
        deadline = time.monotonic() + 60
        while self.call("version").returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise EngineError((state / "log").read_text())
            time.sleep(0.05)


_engines: dict[type[Engine], Engine | str] = {}


def engine(kind: type[Engine]) -> Engine:
    """The engine, started at the first call; skips where it cannot run a container."""
    if kind not in _engines:
        try:
            _engines[kind] = kind()
            _try_out(_engines[kind])
        except (EngineError, OSError) as error:
            _engines[kind] = f"{kind.name} cannot run a container here: {str(error).strip().splitlines()[-1]}"
    found = _engines[kind]
    if isinstance(found, str):
        portshim_test.skip(found)
    return found


def _try_out(started: Engine) -> None:
    archive = folder() / "try.tar"
    subprocess.run(["tar", "--create", "--file", archive, "--directory", portshim_test.built_binary().parent,
                    portshim_test.built_binary().name], check=True)
    image = started.import_image("localhost/try:1", archive)
    started.checked("run", "--rm", *started._run_options, "--network=none", image, "/portshim", "--version")


# ---------------------------------------------------------------------------------------------------------------------
# Containers


class _ContainerNetwork(NetworkNamespace):
    """The network namespace of a running process."""

    def __init__(self, pid: int) -> None:
        self.descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # the process was gone
            os.close(self.descriptor)


@dataclasses.dataclass
class Container:
    """A container that was started, and may have ended since. `pid` is its first process, seen from here; 0 when it had
    ended before one could look."""

    engine: Engine
    name: str
    pid: int

    def is_running(self) -> bool:
        # A zombie has no root folder any more.
        return self.pid != 0 and os.path.exists(f"/proc/{self.pid}/root/.")

    def so_far(self) -> Result:
        """What it said; the exit code is that of the container if it has ended, else 0."""
        logs = self.engine.call("logs", self.name)
        code = 0 if self.is_running() else int(self.engine.checked("wait", self.name))
        return Result(code, logs.stdout, logs.stderr)

    def wait(self, timeout: float = 120) -> Result:
        """Its end; a failure when it takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.is_running():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} still runs after {timeout} s\n{self.so_far()}")
            time.sleep(0.02)
        return self.so_far()

    def stop(self) -> Result:
        """Ends it as `podman stop` and `docker stop` do: SIGTERM, and after 10 seconds SIGKILL."""
        self.engine.checked("stop", self.name)
        return self.so_far()

    def execute(self, *command: Text, options: Sequence[Text] = ()) -> Result:
        """Runs a command in it: `podman exec`."""
        done = self.engine.call("exec", *options, self.name, *command)
        return Result(done.returncode, done.stdout, done.stderr)

    def status(self, field: str) -> str:
        """A line of proc_pid_status(5) of its first process: CapEff, NoNewPrivs."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].strip()
        raise KeyError(field)

    @property
    def network(self) -> NetworkNamespace:
        """Its network namespace, to connect to what listens there, published or not."""
        return _ContainerNetwork(self.pid)


def get_published(port: int, path: str, certificate: Path | None = None) -> tuple[int, str]:
    """Status and body of GET http://localhost:port/path at a published port of this machine (of the test program's
    network namespace); with `certificate` https."""
    return _ContainerNetwork(os.getpid()).get(port, path, certificate)


class ContainerTest(unittest.TestCase):
    """Tests of one engine. `images` are those of container_images.py."""

    maxDiff = None
    kind: ClassVar[type[Engine]]
    engine: ClassVar[Engine]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder()
        cls.engine = engine(cls.kind)

    def start(self, image: str, *arguments: Text, user: str | None = None, options: Sequence[Text] = (),
              env: Mapping[str, Text] | None = None) -> Container:
        """A container in the background, removed at the end of the test."""
        as_user = ("--user", user) if user is not None else ()
        container = self.engine.start(image, *arguments, options=(*as_user, *options), env=env)
        self.addCleanup(self.engine.remove, container.name)
        return container

    def run_to_end(self, image: str, *arguments: Text, **how) -> Result:
        return self.start(image, *arguments, **how).wait()

    def await_port(self, container: Container, port: int, timeout: float = 120) -> NetworkNamespace:
        """Until something in the container listens there; a failure when the container ends before."""
        deadline = time.monotonic() + timeout
        with contextlib.suppress(FileNotFoundError):
            network = container.network
            while container.is_running():
                if network.connects(port):
                    return network
                if time.monotonic() > deadline:
                    self.fail(f"nothing listens on {port} after {timeout} s\n{container.so_far()}")
                time.sleep(0.03)
        return self.fail(f"ended before it listened on {port}\n{container.so_far()}")

    def assert_answers(self, container: Container, port: int, certificate: Path | None = None) -> dict:
        """What the app says of itself at /Environment on that port, in the container's own network."""
        status, body = self.await_port(container, port).get(port, "/Environment", certificate)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def assert_finding(self, result: Result, id: str, severity: str | None = None) -> Finding:
        for finding in result.findings:
            if finding.id == id and severity in (None, finding.severity):
                return finding
        return self.fail(f"no {severity or 'finding'} {id} in\n{result}")

    def assert_not_listening(self, container: Container, port: int) -> None:
        self.assertFalse(container.network.connects(port), f"something listens on {port}\n{container.so_far()}")


class PodmanTest(ContainerTest):
    kind = Podman
    engine: ClassVar[Podman]

    def play(self, manifest: Path) -> None:
        """Plays the Pods of a manifest until the end of the test; see Podman.play."""
        self.addCleanup(self.engine.take_down, manifest)
        self.engine.play(manifest)


class DockerTest(ContainerTest):
    kind = Docker
