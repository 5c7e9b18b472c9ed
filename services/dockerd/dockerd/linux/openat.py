"""openat2(2): resolve a path that a container controls without leaving its root."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

from dockerd.linux.syscalls import SYS_OPENAT2, invoke

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10
_ATTEMPTS: Final = 128


def openat2(directory: int, path: str, flags: int, *, mode: int = 0, resolve: int) -> int:
    """Open a path relative to a directory under the given resolution rules."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    buffer = ctypes.create_string_buffer(how, len(how))
    for attempt in range(_ATTEMPTS):
        try:
            return invoke(
                SYS_OPENAT2,
                ctypes.c_int(directory),
                ctypes.c_char_p(os.fsencode(path)),
                buffer,
                ctypes.c_size_t(len(how)),
                path=path,
            )
        except OSError as error:
            # EAGAIN: a rename raced with ".."; the kernel asks the caller to try again.
            if error.errno != errno.EAGAIN or attempt == _ATTEMPTS - 1:
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def open_in_root(directory: int, path: str, flags: int, *, mode: int = 0) -> int:
    """Open a path as if ``directory`` were "/": absolute links and ".." stay inside."""
    return openat2(
        directory, path, flags, mode=mode, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    )
