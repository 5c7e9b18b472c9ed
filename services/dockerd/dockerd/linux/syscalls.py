"""Calling libc from Python 3.11, which has no setns, unshare or mount of its own."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

# The new calls have the same number on every architecture since Linux 5.1.
SYS_OPEN_TREE: Final = 428
SYS_MOVE_MOUNT: Final = 429
SYS_OPENAT2: Final = 437
SYS_MOUNT_SETATTR: Final = 442
MACHINE: Final = platform.machine()


def checked(result: int, *paths: str | None) -> int:
    """The result of a libc call, or the OSError that errno stands for."""
    if result >= 0:
        return result
    number = ctypes.get_errno()
    given = [path for path in paths if path is not None]
    if len(given) > 1:
        raise OSError(number, os.strerror(number), given[0], None, given[1])
    raise OSError(number, os.strerror(number), *given)


def libc() -> ctypes.CDLL:
    """The C library, with errno kept per thread."""
    return _LIBC


def invoke(number: int, *arguments: object, path: str | None = None) -> int:
    """A raw system call; pass pointers and sized integers as ctypes values."""
    return checked(int(_LIBC.syscall(ctypes.c_long(number), *arguments)), path)
