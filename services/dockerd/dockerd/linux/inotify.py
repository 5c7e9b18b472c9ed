"""inotify(7): one instance that tells of changes in directories."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from typing import Final

from dockerd.linux.syscalls import checked, libc

_MODIFY: Final = 0x2
_MOVED_TO: Final = 0x80
_CREATE: Final = 0x100
_DELETE_SELF: Final = 0x400
_ONLYDIR: Final = 0x1000000
_WANTED: Final = _MODIFY | _MOVED_TO | _CREATE | _DELETE_SELF | _ONLYDIR
_HEADER: Final = struct.Struct("iIII")
_ROOM: Final = 65536
_OVERFLOWN: Final = -1


class Directories:
    """Sets events when something changes in directories: a file is written to, made or moved there, or it all goes."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._events: dict[int, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def watched(self, *paths: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change; one who is told clears it before looking. What cannot be watched is left out."""
        event = asyncio.Event()
        numbers = set()
        for path in paths:
            with contextlib.suppress(OSError):
                numbers.add(self._add(path))
        for number in numbers:
            self._events.setdefault(number, set()).add(event)
        try:
            yield event
        finally:
            for number in numbers:
                self._forget(number, event)

    def _add(self, path: str) -> int:
        if self._descriptor < 0:
            flags = os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = checked(libc().inotify_init1(flags))
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        wanted = ctypes.c_uint32(_WANTED)
        return checked(libc().inotify_add_watch(self._descriptor, os.fsencode(path), wanted), path)

    def _forget(self, number: int, event: asyncio.Event) -> None:
        listening = self._events[number]
        listening.discard(event)
        if not listening:
            del self._events[number]
            # Refused for a directory that is gone: the kernel has forgotten it by itself.
            libc().inotify_rm_watch(self._descriptor, number)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data, at = os.read(self._descriptor, _ROOM), 0
            while at < len(data):
                number, _, _, size = _HEADER.unpack_from(data, at)
                at += _HEADER.size + size
                # Of those that were lost nobody knows whom they were for.
                told = self._events if number == _OVERFLOWN else (number,)
                for each in told:
                    for event in self._events.get(each, ()):
                        event.set()

    def close(self) -> None:
        """Give the instance back."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
