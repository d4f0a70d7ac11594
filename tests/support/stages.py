"""Stages beyond those of portshim_test.py: what has to be done in the process itself before it becomes the program.

    stage = in_mount_namespace(partial(mount_tmpfs, folder, noexec=True)) | as_uid(1654)
    stage = prepared(partial(os.close, 0)) | as_uid(1654)

The steps run first, as root if the test has root, and such a stage must be the leftmost of several.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import portshim_test
from portshim_test import Stage

# sched.h, sys/mount.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1  # prctl(2)
_MS_RDONLY, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 8, 32, 4096, 16384, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]


@dataclasses.dataclass(frozen=True)
class PreparedStage(Stage):
    """A stage with steps that come before everything else, and last ones behind it."""

    steps: tuple[Callable[[], object], ...] = ()
    last: tuple[Callable[[], object], ...] = ()

    def enter(self) -> None:
        for step in self.steps:
            step()
        super().enter()
        for step in self.last:
            step()


def prepared(*steps: Callable[[], object], last: Sequence[Callable[[], object]] = ()) -> Stage:
    """Calls the steps in the process, in that order."""
    return PreparedStage(steps=steps, last=tuple(last))


def with_death_signal(stage: Stage, number: int) -> Stage:
    """The same with a signal for when the parent dies, which a change of ids would clear."""

    def set_it() -> None:
        if _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")

    return dataclasses.replace(prepared() | stage, last=(set_it,))


def in_mount_namespace(*steps: Callable[[], object]) -> Stage:
    """The same in a mount namespace of its own: what the steps mount is seen by that process alone."""
    portshim_test.require_root("to create a mount namespace")
    return PreparedStage(steps=(_unshare_mounts, *steps))


def in_user_namespace(uid: int, *steps: Callable[[], object]) -> Stage:
    """In a user namespace of its own, where this user is `uid`; the steps come last, with all capabilities there. What
    is below /proc/sys/user belongs to the namespace, all the rest of /proc/sys to the machine."""
    portshim_test.require_root("to create a user namespace")

    def unshare() -> None:
        outer = os.geteuid(), os.getegid()
        if _libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {outer[0]} 1")
        Path("/proc/self/gid_map").write_text(f"{uid} {outer[1]} 1")

    return PreparedStage(last=(unshare, *steps))


def map_ids(first: int, count: int) -> None:
    """Enters a user namespace whose ids from 0 up are those of this machine from `first` up, as root of it."""
    process = os.getpid()
    receiving, sending = os.pipe()
    helper = os.fork()
    if helper == 0:  # only from outside can more than one's own id be mapped
        os.read(receiving, 1)
        for name in "uid_map", "gid_map":
            Path(f"/proc/{process}/{name}").write_text(f"0 {first} {count}")
        os._exit(0)
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    os.write(sending, b"1")
    if os.waitpid(helper, 0)[1] != 0:
        raise OSError("the ids could not be mapped")
    os.close(receiving)
    os.close(sending)
    os.setgroups(())
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def mount_read_only_root() -> None:
    """The root file system cannot be written to; what is mounted below it stays as it is."""
    _mount("none", "/", "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY)


def hide_libraries(prefix: str, folder: Path, scratch: Path) -> None:
    """Takes the libraries whose names begin so out of a folder: links to all others take its place."""
    original, shown = scratch / "original", scratch / "shown"
    original.mkdir(exist_ok=True)
    shown.mkdir(exist_ok=True)
    bind_mount(folder, original)
    mount_tmpfs(shown)
    for name in os.listdir(original):
        if not name.startswith(prefix):
            (shown / name).symlink_to(original / name)
    shown.chmod(0o755)
    bind_mount(shown, folder)


def mount_tmpfs(folder: Path | str, *, noexec: bool = False, read_only: bool = False, size: str = "50%") -> None:
    """Hides a folder behind an empty one; `size` as in tmpfs(5)."""
    _mount("tmpfs", folder, "tmpfs", (_MS_NOEXEC if noexec else 0) | (_MS_RDONLY if read_only else 0), f"size={size}")


def bind_mount(source: Path | str, target: Path | str) -> None:
    """Shows one folder in the place of another one."""
    _mount(source, target, "", _MS_BIND)


def _unshare_mounts() -> None:
    if _libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNS)")
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def _mount(source: Path | str, target: Path | str, kind: str, flags: int, data: str = "") -> None:
    if _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, data.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {target}: {os.strerror(code)}")
