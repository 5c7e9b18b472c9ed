"""Docker's log driver `local`: protocol-buffer entries between two copies of their size, rotated and compressed.

An entry is moby's ``LogEntry``: source 1, time_nano 2, line 3 (without its newline), partial 4, partial_log_metadata 5
(last 1, id 2, ordinal 3), attrs 6 (key 1, value 2).
"""

from __future__ import annotations

import os
import struct
import time

from shim.stdio.lines import Pieces
from shim.stdio.rotating import RotatingLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from shim.stdio.lines import Piece

_FRAME: Final = 4
_LARGEST: Final = 1_000_000
_MORE: Final = 0x80


class LocalFile(RotatingLog):
    """The log of one container; both streams write to it."""

    def __init__(
        self,
        path: str,
        max_size: int,
        max_file: int,
        *,
        compress: bool = False,
        attributes: dict[str, str] | None = None,
    ) -> None:
        self._attributes = b"".join(
            _text(0x32, _text(0x0A, key.encode()) + _text(0x12, value.encode()))
            for key, value in sorted((attributes or {}).items())
        )
        self._pieces = Pieces()
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        super().__init__(path, max_size, max_file, compress=compress)

    def append(self, stream: str, records: list[bytes]) -> None:
        """Encode and write records."""
        now = time.time_ns()
        source = _text(0x0A, stream.encode())
        head = source + b"\x10" + _number(now)
        encoded = []
        for record in records:
            piece = self._pieces.of(stream, record, now)
            line = record.removesuffix(b"\n")
            entry = head if piece is None else source + b"\x10" + _number(piece.at)
            if line:
                entry += _text(0x1A, line)
            if piece is not None:
                entry += _piece(piece)
            entry += self._attributes
            size = struct.pack(">I", len(entry))
            encoded.append(size + entry + size)
        self.store(b"".join(encoded))

    def replay(self, send: Callable[[str, bytes], None]) -> None:
        """Hand every record that is in the files to ``send(stream, text)``, oldest first."""
        for data in self.contents():
            for at, end in _entries(data):
                send(*_decoded(data[at + _FRAME : end - _FRAME]))

    def split(self, data: bytes) -> list[bytes]:
        """Each entry with its sizes."""
        return [data[at:end] for at, end in _entries(data)]

    def _mend(self) -> None:
        """Cut off an entry that a writer before us left torn: it would hide all that come after it."""
        if not self._size or self._is_whole():
            return
        with open(self._path, "rb") as file:
            good = 0
            for _, good in _entries(file.read()):  # noqa: B007
                pass
        self.dropped += self._size - good
        os.ftruncate(self._descriptor, good)
        self._size = good

    def _is_whole(self) -> bool:
        tail = os.pread(self._descriptor, _FRAME, max(0, self._size - _FRAME))
        if len(tail) < _FRAME:
            return False
        start = self._size - 2 * _FRAME - int(struct.unpack(">I", tail)[0])
        return start >= 0 and os.pread(self._descriptor, _FRAME, start) == tail


def _entries(data: bytes) -> Iterator[tuple[int, int]]:
    """Where whole entries begin and end."""
    at = 0
    while at + 2 * _FRAME <= len(data):
        size = int.from_bytes(data[at : at + _FRAME], "big")
        end = at + 2 * _FRAME + size
        if size > _LARGEST or end > len(data) or data[end - _FRAME : end] != data[at : at + _FRAME]:
            return
        yield at, end
        at = end


def _piece(piece: Piece) -> bytes:
    inner = (b"\x08\x01" if piece.last else b"") + _text(0x12, piece.identity.encode())
    return b"\x20\x01" + _text(0x2A, inner + b"\x18" + _number(piece.ordinal))


def _text(tag: int, data: bytes) -> bytes:
    return bytes((tag,)) + _number(len(data)) + data


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= _MORE:
        out.append(value & 0x7F | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def _decoded(entry: bytes) -> tuple[str, bytes]:
    """Stream and text of an entry of ours; its fields come in their order."""
    at, source, line, unfinished = 0, "", b"", False
    while at < len(entry):
        tag, at = _read_number(entry, at)
        value, at = _read_number(entry, at)
        if tag & 7 == 2:
            inner, at = entry[at : at + value], at + value
            if tag == 0x0A:
                source = inner.decode()
            elif tag == 0x1A:
                line = inner
            elif tag == 0x2A:
                unfinished = not inner.startswith(b"\x08\x01")
    return source, line if unfinished else line + b"\n"


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, at
        shift += 7
