"""Docker's json-file: one JSON object a line."""

from __future__ import annotations

import json
from typing import Final

from dockerd.logdrivers.entry import Entry

_HEAD: Final = b'{"log":"'
# The text before it has no quote that is not escaped, so the first one found is the end of the text.
_STREAM: Final = b'","stream":"'
_TIME: Final = b'","time":"'
_END: Final = b'"}'
_NEWLINE: Final = b"\\n"
_START: Final = len(_HEAD)
# Of tails that are remembered: records that were written at once have one in common.
_MOST: Final = 4096


class JsonFile:
    """The format of the driver ``json-file``."""

    def __init__(self) -> None:
        self._tails: dict[bytes, tuple[str, bytes, bytes] | None] = {}

    def whole(self, data: bytes) -> int:
        """Up to the last newline."""
        return data.rfind(b"\n") + 1

    def decode(self, data: bytes) -> list[Entry]:
        """Most records have no escapes but the newline's, and are taken as they are."""
        found: list[Entry] = []
        if len(self._tails) > _MOST:
            self._tails.clear()
        tails = self._tails
        for line in data.split(b"\n"):
            head, _, rest = line.partition(_STREAM)
            try:
                tail = tails[rest]
            except KeyError:
                tail = tails[rest] = _tail(rest)
            text = head[_START:-2]
            if (
                tail is not None
                and b"\\" not in text
                and head[-2:] == _NEWLINE
                and head[:_START] == _HEAD
            ):
                found.append((tail[0], text + b"\n", tail[1], tail[2]))
            elif line:
                entry = _entry(line)
                if entry is not None:
                    found.append(entry)
        return found

    def last(self, data: bytes, count: int) -> tuple[int, int]:
        """By newlines."""
        end = data.rfind(b"\n")
        if end < 0:
            return len(data), 0
        found = 0
        while found < count:
            found += 1
            end = data.rfind(b"\n", 0, end)
            if end < 0:
                return 0, found
        return end + 1, found


def _tail(rest: bytes) -> tuple[str, bytes, bytes] | None:
    """Stream, time and attributes; None for what is not as our own shim writes it."""
    stream, attributed, more = rest.partition(b'","attrs":')
    if attributed:
        attributes, _, moment = more.rpartition(b',"time":"')
    else:
        stream, _, moment = rest.partition(_TIME)
        attributes = b""
    if not moment.endswith(_END) or b'"' in stream or b"\\" in stream:
        return None
    return stream.decode("utf-8", "replace"), moment[:-2], attributes


def _entry(line: bytes) -> Entry | None:
    try:
        record = json.loads(line)
        attributes = record.get("attrs")
        return (
            record["stream"],
            record["log"].encode("utf-8", "surrogatepass"),
            record["time"].encode(),
            json.dumps(attributes).encode() if attributes else b"",
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
