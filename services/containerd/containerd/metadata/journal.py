"""The metadata a second time: a text file to which every transaction is appended before the database has it.

A line is a checksum and a row: table, primary key and all columns, or ``null`` for one that was removed. A transaction
is some such lines and one that ends it, with its number and how many they are. The first transaction of a file is all
that there was when the file was written; the lines of the others are appended. From it the database is made again, and
what the database says is held against it. Nothing is readable here that is not in the database, and the other way round.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from wire.atomic import sync_directory
from wire.errors import EngineError, Internal, ResourceExhausted

_END: Final = b"*end"
# A file is written anew when it has grown to more than twice what it was, and by this much (bytes).
_SLACK: Final = 4 << 20
# Bytes that are allocated ahead, as zeros.
_AHEAD: Final = 256 << 10
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Reading:
    """What a journal holds, up to the first thing in it that is not as it was written.

    ``rows`` is where each row stands by table and key (offset and length in the file, and a checksum). ``head`` is what
    the file began with, ``base`` the number of its first transaction, which ends at ``first``, ``number`` that of the last, which
    ends at ``end``. ``touched`` are the keys of all transactions behind the first, with the number of the last of them.
    ``damaged`` says that a transaction follows behind what is not readable: one that was cut short only ever is the last.
    """

    head: dict[str, Any] = field(default_factory=dict)
    rows: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)
    touched: dict[bytes, int] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    base: int = 0
    number: int = 0
    first: int = 0
    end: int = 0
    damaged: bool = False


def checksum(line: bytes) -> int:
    """What goes before a line."""
    return zlib.crc32(line)


def read(path: str) -> Reading | None:
    """Read a journal; None if there is none, or not even its first transaction."""
    try:
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return None
    with file:
        found = _read(file)
    return found if found.end else None


def _read(file: BinaryIO) -> Reading:
    found = Reading()
    offset = 0
    pending: list[tuple[bytes, tuple[int, int, int] | None]] = []
    broken = False
    for line in file:
        start, offset = offset, offset + len(line)
        text = _verified(line)
        if text is None:
            broken = True
        elif broken:
            found.damaged = found.damaged or text.startswith(_END)
        elif text.startswith(_END):
            _, end = text.split(b"\t", 1)
            document = json.loads(end)
            number = int(document["number"])
            if document["lines"] != len(pending) or (found.end and number != found.number + 1):
                broken = found.damaged = True
                continue
            if not found.end:
                found.head, found.base, found.first = document["head"], number, offset
            for key, place in pending:
                if found.end:
                    found.touched[key] = number
                if place is None:
                    found.rows.pop(key, None)
                else:
                    found.rows[key] = place
            for table, highest in document["sequences"].items():
                found.sequences[table] = max(highest, found.sequences.get(table, 0))
            found.number, found.end = number, offset
            pending.clear()
        else:
            key, _, row = text.rpartition(b"\t")
            place = (start + 9, len(text), checksum(text))
            pending.append((key, None if row == b"null" else place))
    return found


def _verified(line: bytes) -> bytes | None:
    """A line without its checksum and newline, unless it was damaged."""
    if line[8:9] != b" " or line[-1:] != b"\n":
        return None
    text = line[9:-1]
    try:
        expected = int(line[:8], 16)
    except ValueError:
        return None
    return text if checksum(text) == expected else None


def lines(path: str, found: Reading) -> Iterator[bytes]:
    """The rows of a reading, in the order in which they stand in the file."""
    with open(path, "rb") as file:
        for offset, length, _ in sorted(found.rows.values()):
            file.seek(offset)
            yield file.read(length)


class Journal:
    """The journal of an open database. Blocking; used by one thread at a time."""

    def __init__(self, path: str, found: Reading) -> None:
        """Go on behind the last whole transaction of ``found``."""
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        self._allocated = os.fstat(self._file).st_size
        if self._allocated > found.end:
            # A transaction that was cut short, which the database never had; or only what was allocated.
            os.ftruncate(self._file, found.end)
            self._allocated = found.end
        self._first = found.first
        self._size = self._before = found.end
        self.number = found.number
        # Something could not be written: what the file holds is not known any more.
        self.broken = False

    @classmethod
    def write(
        cls,
        path: str,
        rows: Iterable[bytes],
        number: int,
        sequences: Mapping[str, int],
        head: Mapping[str, Any],
    ) -> Journal:
        """A new file with these rows as its first transaction, in the place of the old one, and on disk."""
        fresh = f"{path}.new"
        try:
            with open(fresh, "wb", buffering=_CHUNK) as file:
                os.fchmod(file.fileno(), 0o600)
                count = 0
                for row in rows:
                    file.write(_line(row))
                    count += 1
                file.write(_end(number, count, sequences, head))
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh)
            raise
        os.rename(fresh, path)
        sync_directory(os.path.dirname(path))
        return cls(path, Reading(first=size, end=size, number=number))

    def append(self, rows: Iterable[bytes], sequences: Mapping[str, int]) -> int:
        """Add a transaction, which is on disk then; its number. Raises ResourceExhausted, Internal, and has added nothing."""
        chunks = [_line(row) for row in rows]
        chunks.append(_end(self.number + 1, len(chunks), sequences))
        view = memoryview(b"".join(chunks))
        size = len(view)
        end = self._size
        try:
            if end + size > self._allocated:
                self._allocate(end + size)
            while view:
                written = os.pwrite(self._file, view, end)
                view, end = view[written:], end + written
            os.fdatasync(self._file)
        except OSError as error:
            self._cut(self._size)
            raise failure(self.path, error) from error
        self._before, self._size = self._size, self._size + size
        self.number += 1
        return self.number

    def _allocate(self, size: int) -> None:
        """Have blocks before they are needed: a sync is a third to a half cheaper when only data has changed."""
        size += _AHEAD
        left = memoryview(bytes(size - self._allocated))
        while left:
            written = os.pwrite(self._file, left, self._allocated)
            left = left[written:]
            self._allocated += written

    def undo(self) -> None:
        """Take the last transaction away again: the database could not have it."""
        self._cut(self._before)
        self._size = self._before
        self.number -= 1

    @property
    def grown(self) -> bool:
        """Whether it is time to write the file anew."""
        return self._size > 2 * self._first + _SLACK

    def postpone(self) -> None:
        """Do not write the file anew before it has doubled again."""
        self._first = self._size

    def _cut(self, size: int) -> None:
        self._allocated = size
        try:
            os.ftruncate(self._file, size)
            os.fsync(self._file)
        except OSError:
            self.broken = True

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def compacted(journal: Journal) -> Journal:
    """The journal in a file without what was changed or removed since; the old one if it cannot be read or written."""
    found = read(journal.path)
    if found is None or found.damaged or found.number != journal.number:
        journal.broken = True
        return journal
    with contextlib.suppress(OSError):
        fresh = Journal.write(
            journal.path, lines(journal.path, found), found.number, found.sequences, found.head
        )
        journal.close()
        return fresh
    journal.postpone()
    return journal


def failure(path: str, error: OSError) -> EngineError:
    """What to tell of a file that cannot be written."""
    if error.errno in _NO_SPACE:
        return ResourceExhausted(f"{path}: {os.strerror(error.errno)}")
    return Internal(f"{path}: {error.strerror or error}")


def _line(text: bytes) -> bytes:
    return b"%08x %b\n" % (checksum(text), text)


def _end(
    number: int, count: int, sequences: Mapping[str, int], head: Mapping[str, Any] | None = None
) -> bytes:
    document = {"number": number, "lines": count, "sequences": dict(sequences)}
    if head is not None:
        document["head"] = dict(head)
    return _line(_END + b"\t" + json.dumps(document, separators=(",", ":")).encode())
