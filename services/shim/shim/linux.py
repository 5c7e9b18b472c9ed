"""The system calls that Python lacks: prctl, mount, umount2; and signals without the enums of Python's signal module.

Bound once, in the forkserver: what is made there is shared by all shims.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_SIGKILL: Final = 9
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8

_FLAGS: Final = {
    "ro": 0x1, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "sync": 0x10, "remount": 0x20, "dirsync": 0x80,
    "noatime": 0x400, "nodiratime": 0x800, "bind": 0x1000, "rbind": 0x5000, "private": 0x40000,
    "rprivate": 0x44000, "slave": 0x80000, "rslave": 0x84000, "shared": 0x100000, "rshared": 0x104000,
    "relatime": 0x200000, "strictatime": 0x1000000,
}  # fmt: skip
DEFAULT: Final = int(_signal.SIG_DFL)
IGNORED: Final = int(_signal.SIG_IGN)
_NOTHING: Final = frozenset({"rw", "defaults", "suid", "dev", "exec", "async", "atime"})


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PRCTL: Final = _LIBC.prctl
_MOUNT: Final = _LIBC.mount
_UMOUNT: Final = _LIBC.umount2


def _checked(result: int, path: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def become_subreaper() -> None:
    """Inherit the container's processes when the runtime, their parent, ends."""
    _checked(_PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def die_with_parent() -> None:
    """Be killed when the process that forked us ends."""
    _checked(_PRCTL(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")


def set_signal(number: int, handler: Any) -> None:
    """signal.signal without its conversions, which touch the enums of signals and handlers.

    ``handler`` is DEFAULT, IGNORED or a function.
    """
    _signal.signal(number, handler)


def mount(source: str, target: str, kind: str, options: list[str]) -> None:
    """mount(2) with the words of a containerd Mount."""
    flags = 0
    data = []
    for word in options:
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word not in _NOTHING:
            data.append(word)
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode())
    result = _MOUNT(*arguments, ctypes.c_ulong(flags), ",".join(data).encode() or None)
    _checked(result, target)
    if flags & _FLAGS["bind"] and flags & _FLAGS["ro"]:
        # The kernel ignores MS_RDONLY in the first call of a bind mount.
        result = _MOUNT(*arguments, ctypes.c_ulong(flags | _FLAGS["remount"]), None)
        _checked(result, target)


def unmount_all(target: str) -> None:
    """Detach whatever is mounted at ``target``, however often; harmless if nothing is."""
    while True:
        try:
            _checked(_UMOUNT(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW), target)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return
            raise
