"""mount(2), umount2(2) and the newer mount calls, with the flags that dockerd needs."""

from __future__ import annotations

import ctypes
import os
import re
from typing import Final

from dockerd.linux.syscalls import SYS_MOVE_MOUNT, SYS_OPEN_TREE, checked, invoke, libc

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_NOATIME: Final = 0x400
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_UNBINDABLE: Final = 0x20000
MS_PRIVATE: Final = 0x40000
MS_SLAVE: Final = 0x80000
MS_SHARED: Final = 0x100000
MS_RELATIME: Final = 0x200000
MS_STRICTATIME: Final = 0x1000000

MNT_FORCE: Final = 0x1
MNT_DETACH: Final = 0x2
UMOUNT_NOFOLLOW: Final = 0x8

OPEN_TREE_CLONE: Final = 0x1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
AT_RECURSIVE: Final = 0x8000
AT_EMPTY_PATH: Final = 0x1000
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40

_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")


def mount(
    source: str, target: str, filesystem: str | None = None, flags: int = 0, data: str | None = None
) -> None:
    """mount(2)."""
    checked(
        libc().mount(
            os.fsencode(source),
            os.fsencode(target),
            None if filesystem is None else filesystem.encode(),
            ctypes.c_ulong(flags),
            None if data is None else os.fsencode(data),
        ),
        source,
        target,
    )


def bind(source: str, target: str, *, recursive: bool = False, read_only: bool = False) -> None:
    """Bind-mount a file or a directory over an existing one."""
    mount(source, target, None, MS_BIND | (MS_REC if recursive else 0))
    if read_only:
        # The kernel ignores MS_RDONLY on the first call of a bind mount.
        mount(source, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    checked(libc().umount2(os.fsencode(target), flags), target)


def is_mounted(path: str) -> bool:
    """Whether a mount is at ``path``, a bind of the same file system, too, which ``os.path.ismount`` does not see."""
    wanted = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    with open("/proc/self/mountinfo", "rb") as file:
        return any(_unescaped(line.split(b" ", 5)[4]) == os.fsencode(wanted) for line in file)


def _unescaped(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), field)


def open_tree(path: str, flags: int = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) -> int:
    """A descriptor of a (cloned, detached) mount tree."""
    return invoke(
        SYS_OPEN_TREE,
        ctypes.c_int(-100),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(flags),
        path=path,
    )


def move_mount(tree: int, target: str) -> None:
    """Attach the mount behind a descriptor of ``open_tree`` at a path."""
    invoke(
        SYS_MOVE_MOUNT,
        ctypes.c_int(tree),
        ctypes.c_char_p(b""),
        ctypes.c_int(-100),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH),
        path=target,
    )


def attach_at(tree: int, directory: int) -> None:
    """Attach the mount behind a descriptor on the very directory or file behind another one.

    No path is walked again, so nobody can swap a symbolic link in between.
    """
    invoke(
        SYS_MOVE_MOUNT,
        ctypes.c_int(tree),
        ctypes.c_char_p(b""),
        ctypes.c_int(directory),
        ctypes.c_char_p(b""),
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
    )
