"""The system calls that Python lacks: prctl, mount, umount2. ctypes is loaded at the first use only."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8

_FLAGS: Final = {
    "ro": 0x1, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "sync": 0x10, "remount": 0x20, "dirsync": 0x80,
    "noatime": 0x400, "nodiratime": 0x800, "bind": 0x1000, "rbind": 0x5000, "private": 0x40000,
    "rprivate": 0x44000, "slave": 0x80000, "rslave": 0x84000, "shared": 0x100000, "rshared": 0x104000,
    "relatime": 0x200000, "strictatime": 0x1000000,
}  # fmt: skip
_NOTHING: Final = frozenset({"rw", "defaults", "suid", "dev", "exec", "async", "atime"})


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, path: str) -> None:
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def become_subreaper() -> None:
    """Inherit the container's processes when the runtime, their parent, ends."""
    _checked(_libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def mount(source: str, target: str, kind: str, options: list[str]) -> None:
    """mount(2) with the words of a containerd Mount."""
    import ctypes

    flags = 0
    data = []
    for word in options:
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word not in _NOTHING:
            data.append(word)
    libc = _libc()
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode())
    result = libc.mount(*arguments, ctypes.c_ulong(flags), ",".join(data).encode() or None)
    _checked(result, target)
    if flags & _FLAGS["bind"] and flags & _FLAGS["ro"]:
        # The kernel ignores MS_RDONLY in the first call of a bind mount.
        result = libc.mount(*arguments, ctypes.c_ulong(flags | _FLAGS["remount"]), None)
        _checked(result, target)


def unmount_all(target: str) -> None:
    """Detach whatever is mounted at ``target``, however often; harmless if nothing is."""
    import errno

    while True:
        try:
            _checked(_libc().umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW), target)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return
            raise
