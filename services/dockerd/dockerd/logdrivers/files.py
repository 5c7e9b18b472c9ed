"""The files of a log: the newest, those that were rotated away, plain or compressed, as they are at one moment."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from dockerd.logdrivers.entry import Format

CHUNK: Final = 1 << 18
_BLOCK: Final = 1 << 16
_GZIP: Final = zlib.MAX_WBITS | 16


class LogFile:
    """One file, open; it stays the same when it is rotated away."""

    def __init__(self, file: BinaryIO, *, compressed: bool) -> None:
        self.file = file
        self.compressed = compressed
        status = os.fstat(file.fileno())
        self.size = status.st_size
        self.inode = status.st_ino
        self.changed = status.st_mtime_ns

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """The content as it was when the file was opened, from ``start`` of the plain one."""
        if not self.compressed:
            at = start
            while at < self.size:
                data = os.pread(self.file.fileno(), min(CHUNK, self.size - at), at)
                if not data:
                    return
                at += len(data)
                yield data
            return
        for data in self._unpacked():
            if start < len(data):
                yield data[start:]
            start = max(0, start - len(data))

    def _unpacked(self) -> Iterator[bytes]:
        packed = zlib.decompressobj(_GZIP)
        self.file.seek(0)
        with contextlib.suppress(zlib.error):
            while data := self.file.read(_BLOCK):
                yield packed.decompress(data)

    def tail(self, form: Format, count: int) -> tuple[int, int]:
        """Where its last ``count`` records begin, and how many there are."""
        if self.compressed:
            return form.last(b"".join(self._unpacked()), count)
        if count <= 0:
            return self.size, 0
        size = _BLOCK
        while True:
            start = max(0, self.size - size)
            data = os.pread(self.file.fileno(), self.size - start, start)
            # What a writer has not finished is no record yet.
            at, found = form.last(data, count + (start > 0))
            if start == 0:
                if not found:
                    # The last one is under way: what is whole can only be told from the beginning.
                    return form.last(data[: form.whole(data)], count)
                return at, found
            if found > count:
                # One more than wanted, so that the first of them is whole.
                at, found = form.last(data, count)
                return start + at, found
            size *= 4


def opened(path: str) -> list[LogFile]:
    """All files of a log, oldest first. The caller closes them."""
    found: list[LogFile] = []
    while True:
        # The newest first: what is rotated meanwhile is found twice, and nothing is missed.
        name = f"{path}.{len(found)}" if found else path
        each = _opened(name)
        if each is None:
            break
        found.append(each)
    unique: dict[int, LogFile] = {}
    for each in found:
        if each.inode in unique:
            each.file.close()
        else:
            unique[each.inode] = each
    return list(reversed(unique.values()))


def _opened(name: str) -> LogFile | None:
    # Compression makes the second before it removes the first.
    for candidate in (name, f"{name}.gz", name):
        with contextlib.suppress(FileNotFoundError):
            file = open(candidate, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
            return LogFile(file, compressed=candidate.endswith(".gz"))
    return None
