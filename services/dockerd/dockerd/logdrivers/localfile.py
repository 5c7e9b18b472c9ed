"""Docker's log driver `local`, and the copies of logs that go elsewhere: protocol-buffer entries between their sizes.

The entry is moby's ``LogEntry``: source 1, time_nano 2, line 3 (without its newline), partial 4, partial_log_metadata 5
(last 1, id 2, ordinal 3), attrs 6 (key 1, value 2).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from dockerd.logdrivers.entry import Entry

_FRAME: Final = 4
_LARGEST: Final = 1_000_000
_BYTES: Final = 2
_NUMBER: Final = 0


class LocalFile:
    """The format of the driver ``local``."""

    def whole(self, data: bytes) -> int:
        """Up to the first entry that is torn."""
        end = 0
        for _, end in _entries(data):  # noqa: B007
            pass
        return end

    def decode(self, data: bytes) -> list[Entry]:
        """Entry by entry."""
        found = []
        for at, end in _entries(data):
            try:
                found.append(_entry(data, at + _FRAME, end - _FRAME))
            except (IndexError, UnicodeDecodeError):
                continue
        return found

    def last(self, data: bytes, count: int) -> tuple[int, int]:
        """By the sizes that stand behind the entries."""
        at, found = len(data), 0
        while found < count and at >= 2 * _FRAME:
            size = int.from_bytes(data[at - _FRAME : at], "big")
            start = at - 2 * _FRAME - size
            if start < 0 or data[start : start + _FRAME] != data[at - _FRAME : at]:
                break
            at, found = start, found + 1
        return at, found


def _entries(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at + 2 * _FRAME <= len(data):
        size = int.from_bytes(data[at : at + _FRAME], "big")
        end = at + 2 * _FRAME + size
        if size > _LARGEST or end > len(data) or data[end - _FRAME : end] != data[at : at + _FRAME]:
            return
        yield at, end
        at = end


def _entry(data: bytes, at: int, end: int) -> Entry:
    source, line, moment, newline = "", b"", 0, b"\n"
    attributes: dict[str, str] = {}
    for number, value in _fields(data, at, end):
        if isinstance(value, int):
            if number == 2:
                moment = value
        elif number == 1:
            source = value.decode()
        elif number == 3:
            line = value
        elif number == 5:
            newline = b"\n" if dict(_fields(value, 0, len(value))).get(1) else b""
        elif number == 6:
            pair = dict(_fields(value, 0, len(value)))
            attributes[_text(pair.get(1))] = _text(pair.get(2))
    return source, line + newline, moment, json.dumps(attributes).encode() if attributes else b""


def _text(value: bytes | int | None) -> str:
    return value.decode() if isinstance(value, bytes) else ""


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and byte strings; raises IndexError for what is torn or of another kind."""
    while at < end:
        tag, at = _number(data, at)
        value, at = _number(data, at)
        if tag & 7 == _BYTES:
            if at + value > end:
                raise IndexError
            yield tag >> 3, data[at : at + value]
            at += value
        elif tag & 7 == _NUMBER:
            yield tag >> 3, value
        else:
            raise IndexError


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
