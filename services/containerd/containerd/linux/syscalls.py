"""mount, umount2, openat2, syncfs and an inode flag, through libc."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_SYS_OPENAT2: Final = 437
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_IN_ROOT: Final = 0x10
_EAGAIN: Final = 11
MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8
_GET_FLAGS: Final = 0x80086601
_SET_FLAGS: Final = 0x40086602
_TOP_OF_HIERARCHIES: Final = 0x00020000


def _checked(result: int, path: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """openat2(2): ``path`` as if the directory behind ``root`` were ``/``, magic links refused."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    encoded = os.fsencode(path.lstrip("/") or ".")
    while True:
        result = int(
            _LIBC.syscall(
                ctypes.c_long(_SYS_OPENAT2),
                ctypes.c_int(root),
                ctypes.c_char_p(encoded),
                ctypes.c_char_p(how),
                ctypes.c_size_t(len(how)),
            )
        )
        # EAGAIN: a rename elsewhere raced with the walk.
        if result >= 0 or ctypes.get_errno() != _EAGAIN:
            return _checked(result, path)


def sync_filesystem(descriptor: int) -> None:
    """syncfs(2): everything written to the file system is on disk."""
    _checked(_LIBC.syncfs(ctypes.c_int(descriptor)), "syncfs")


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _checked(_LIBC.umount2(os.fsencode(target), ctypes.c_int(flags)), target)


def spread(directory: str) -> None:
    """Ask the file system to keep what is made in a directory apart: each entry begins a tree of its own (`chattr +T`).

    Only ext2 and its successors know that; others do as they like.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = bytearray(8)
        with contextlib.suppress(OSError):
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
            wanted = struct.unpack("=q", flags)[0] | _TOP_OF_HIERARCHIES
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("=q", wanted))
    finally:
        os.close(descriptor)
