"""Images as those of .NET, made without a registry from the .NET and the C library of this machine.

Their layout is that of Microsoft's images: .NET in /usr/share/dotnet with a link /usr/bin/dotnet (or as RPM packages
have it), user `app` 1654, the official variables. Names begin with localhost/, which no engine looks for elsewhere.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import containers
import kestrel
import portshim_test
from containers import Engine

DOCKER = portshim_test.SOURCE_DIR / "docker"
DOCKERFILES = portshim_test.SOURCE_DIR / "tests/containers"
APP_UID = 1654
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_SINCE_NET_8 = (f"ENV APP_UID={APP_UID}", "ENV ASPNETCORE_HTTP_PORTS=8080")
# Loaded by name at run time, so that ldd does not see them.
_LOADED_BY_NAME = r"(/\S*/(?:libssl|libcrypto)\.so\.3|/\S*/libz\.so\.1|/\S*/libresolv\.so\.2)$"
# What the tests and people use in an image that has a shell.
_SHELL_PROGRAMS = ("sh", "bash", "env", "id", "cat", "ls", "mkdir", "uname")


class _Archive:
    """A tar archive of a root folder with /usr merged, as Debian's."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self._added: set[str] = set()

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def directory(self, name: str, mode: int = 0o755, uid: int = 0) -> None:
        self._entry(name, tarfile.DIRTYPE, mode, uid)

    def link(self, name: str, target: str) -> None:
        self._entry(name, tarfile.SYMTYPE, 0o777, 0, target)

    def text(self, name: str, content: str, mode: int = 0o644) -> None:
        self._entry(name, tarfile.REGTYPE, mode, 0, content=content.encode())

    def file(self, name: str, source: Path) -> None:
        self._entry(name, tarfile.REGTYPE, 0o755 if source.stat().st_mode & 0o111 else 0o644, 0,
                    content=source.read_bytes())

    def tree(self, name: str, source: Path) -> None:
        self.directory(name)
        for path in sorted(source.rglob("*")):
            inside = f"{name}/{path.relative_to(source)}"
            if path.is_dir():
                self.directory(inside)
            else:
                self.file(inside, path)

    def _entry(self, name: str, kind: bytes, mode: int, owner: int, target: str = "", content: bytes = b"") -> None:
        if name in self._added:
            return
        self._added.add(name)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = kind, mode, owner, owner
        entry.linkname, entry.size = target, len(content)
        self._tar.addfile(entry, io.BytesIO(content))


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """The shared libraries and the loader that these ELF files need."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE)}


def _add_libraries(archive: _Archive, libraries: Iterable[Path]) -> None:
    for library in libraries:
        text = str(library)
        archive.file((text if text.startswith("/usr/") else "/usr" + text).lstrip("/"), library)


@functools.cache
def _dotnet() -> tuple[Path, str]:
    """The folder of .NET here, and its newest ASP.NET Core."""
    root = portshim_test.require_dotnet().resolve().parent
    versions = [path.name for path in (root / "shared/Microsoft.AspNetCore.App").iterdir()]
    return root, max(versions, key=lambda version: [int(part) for part in re.findall(r"\d+", version)])


def _add_system(archive: _Archive) -> None:
    for name in ("app", "dev", "etc", "proc", "root", "run", "sys", "usr", "usr/bin", "usr/lib", "usr/lib64",
                 "usr/sbin", "usr/share", "var", "home"):
        archive.directory(name)
    archive.directory("home/app", uid=APP_UID)
    archive.directory("tmp", mode=0o1777)
    for name in ("bin", "lib", "lib64", "sbin"):
        archive.link(name, f"usr/{name}")
    archive.text("etc/passwd", f"root:x:0:0:root:/root:/bin/sh\napp:x:{APP_UID}:{APP_UID}::/home/app:/bin/sh\n")
    archive.text("etc/group", f"root:x:0:\napp:x:{APP_UID}:\n")
    archive.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")


def _add_framework(archive: _Archive, folder: str) -> None:
    root, version = _dotnet()
    archive.file(f"{folder}/dotnet", root / "dotnet")
    archive.tree(f"{folder}/host", root / "host")
    shared = root / "shared"
    archive.directory(f"{folder}/shared")
    for name in ("Microsoft.NETCore.App", "Microsoft.AspNetCore.App"):
        archive.directory(f"{folder}/shared/{name}")
        archive.tree(f"{folder}/shared/{name}/{version}", shared / name / version)
    native = (shared / "Microsoft.NETCore.App" / version).glob("*.so")
    _add_libraries(archive, _libraries([root / "dotnet", *native]))
    cached = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True,
                            env={"PATH": SYSTEM_PATH}).stdout
    _add_libraries(archive, map(Path, re.findall(_LOADED_BY_NAME, cached, re.MULTILINE)))


def _add_shell(archive: _Archive) -> None:
    programs = [Path("/bin") / name for name in _SHELL_PROGRAMS]
    for program in programs:
        archive.file(f"usr/bin/{program.name}", program.resolve())
    _add_libraries(archive, _libraries(programs))


def _chiseled(archive: _Archive) -> None:
    """No shell, as the chiseled and distroless images."""
    _add_system(archive)
    _add_framework(archive, "usr/share/dotnet")
    archive.link("usr/bin/dotnet", "/usr/share/dotnet/dotnet")


def _debian(archive: _Archive) -> None:
    """With a shell and some programs, as the Debian and Ubuntu images."""
    _chiseled(archive)
    _add_shell(archive)


def _rpm(archive: _Archive) -> None:
    """Where RPM packages put .NET, as the UBI images."""
    _add_system(archive)
    _add_framework(archive, "usr/lib64/dotnet")
    archive.link("usr/bin/dotnet", "../lib64/dotnet/dotnet")


def _portshim(archive: _Archive) -> None:
    archive.file("portshim", portshim_test.built_binary())


def _pause(archive: _Archive) -> None:
    archive.file("pause", Path(containers.require("catatonit")).resolve())


@functools.cache
def _archive(fill: Callable[[_Archive], None]) -> Path:
    """Made once, for all engines."""
    path = containers.folder() / f"{fill.__name__.strip('_')}.tar"
    with _Archive(path) as archive:
        fill(archive)
    return path


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of one engine; each is made when it is first asked for."""

    engine: Engine

    def _import(self, name: str, fill: Callable[[_Archive], None], *changes: str) -> str:
        return self.engine.import_image(f"localhost/{name}", _archive(fill), *changes)

    def _import_base(self, name: str, fill: Callable[[_Archive], None], *changes: str) -> str:
        _, version = _dotnet()
        return self._import(name, fill, f"ENV PATH={SYSTEM_PATH}", f"ENV DOTNET_VERSION={version}",
                            f"ENV ASPNET_VERSION={version}", "ENV DOTNET_RUNNING_IN_CONTAINER=true", *changes)

    @functools.cached_property
    def portshim(self) -> str:
        """The binary under test FROM scratch, as docker/Dockerfile's last stage has it."""
        return self._import("portshim:test", _portshim, 'ENTRYPOINT ["/portshim"]')

    @functools.cached_property
    def pause(self) -> str:
        """A program that waits for a signal, FROM scratch."""
        return self._import("pause:test", _pause, 'ENTRYPOINT ["/pause", "-P"]')

    @functools.cached_property
    def chiseled(self) -> str:
        """A base without a shell."""
        return self._import_base("aspnet:chiseled", _chiseled, *_SINCE_NET_8)

    @functools.cached_property
    def debian(self) -> str:
        """A base with a shell."""
        return self._import_base("aspnet:debian", _debian, *_SINCE_NET_8, 'CMD ["bash"]')

    @functools.cached_property
    def rpm(self) -> str:
        """A base with .NET in /usr/lib64/dotnet."""
        return self._import_base("aspnet:rpm", _rpm, *_SINCE_NET_8)

    @functools.cached_property
    def legacy(self) -> str:
        """A base with the variables of the images up to .NET 7."""
        return self._import_base("aspnet:legacy", _debian, "ENV ASPNETCORE_URLS=http://+:80")

    def with_portshim(self, base: str, target: str | None = None) -> str:
        """What docker/aspnet.Dockerfile makes of a base."""
        return self.engine.build(f"{base}-portshim{'-' + target if target else ''}", DOCKER / "aspnet.Dockerfile",
                                 self._empty_context(), target=target, BASE=base, PORTSHIM=self.portshim)

    def app(self, base: str, target: str) -> str:
        """tests/apps/aspnetapp on that base; `target` is a stage of app.Dockerfile."""
        tag = f"localhost/aspnetapp:{base.removeprefix('localhost/').replace(':', '-')}-{target}"
        return self.engine.build(tag, DOCKERFILES / "app.Dockerfile", kestrel.PUBLISHED, target=target, BASE=base,
                                 PORTSHIM=self.portshim)

    @functools.cached_property
    def shimmed(self) -> str:
        """The app on the base without a shell, started by portshim."""
        return self.app(self.chiseled, "shimmed")

    def _empty_context(self) -> Path:
        path = containers.folder() / "empty"
        path.mkdir(exist_ok=True)
        return path


@functools.cache
def of(engine: Engine) -> Images:
    if not (kestrel.PUBLISHED / "aspnetapp.dll").exists():
        portshim_test.skip(f"needs the published app: ctest -R kestrel.publish makes {kestrel.PUBLISHED}")
    return Images(engine)
