"""The system calls that Python lacks: prctl, mount, umount2; and signals without the enums of Python's signal module.

Bound once, in the forkserver: what is made there is shared by all shims.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import ctypes
import errno
import os

from wire import mount_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_SIGKILL: Final = 9
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8

DEFAULT: Final = int(_signal.SIG_DFL)
IGNORED: Final = int(_signal.SIG_IGN)


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


def hear_of_children(descriptor: int) -> None:
    """Have each SIGCHLD write into a descriptor; -1 to end that."""
    _signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    set_signal(_signal.SIGCHLD, _ignore if descriptor >= 0 else DEFAULT)


def _ignore(_number: int, _frame: object) -> None:
    """A handler, since what has none wakes nobody."""


def has_dead_child() -> bool:
    """Whether a child waits to be reaped."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def mount(source: str, target: str, kind: str, options: list[str]) -> None:
    """mount(2) with the words of a containerd Mount."""
    flags, data = mount_options.split(options)
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode())
    _checked(_MOUNT(*arguments, ctypes.c_ulong(flags), data.encode() or None), target)
    if flags & mount_options.BIND and flags & mount_options.READ_ONLY:
        # The kernel ignores MS_RDONLY in the first call of a bind mount.
        flags |= mount_options.REMOUNT
        _checked(_MOUNT(*arguments, ctypes.c_ulong(flags), None), target)


def unmount_all(target: str) -> None:
    """Detach whatever is mounted at ``target``, however often; harmless if nothing is."""
    while True:
        try:
            _checked(_UMOUNT(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW), target)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return
            raise
