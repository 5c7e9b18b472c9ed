"""Output as records: lines, cut where Docker's copier cuts those that are too long; the same for every log driver."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

# Docker's copier splits longer lines into records whose text lacks the final newline.
LONGEST: Final = 16384
_CONTINUATION: Final = 0x80
_CONTINUATION_MASK: Final = 0xC0
_LONGEST_CHARACTER: Final = 4


def timestamp(at: int | None = None) -> str:
    """A time in nanoseconds since 1970, or now, as Go's RFC3339Nano writes it: UTC, without trailing zeros."""
    seconds, nanoseconds = divmod(time.time_ns() if at is None else at, 1_000_000_000)
    moment = time.gmtime(seconds)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


class LineLog:
    """A log of both streams of one container, record by record. Subclasses say what becomes of the records.

    A record is a line with its newline, or a piece of a longer line without.
    """

    full = False
    """Whether reading should stop for it."""

    def __init__(self) -> None:
        self._partial: dict[str, bytes] = {}
        self.dropped = 0
        """Bytes of records that could not be written, since the start."""

    def write(self, stream: str, data: bytes) -> None:
        """Log the complete lines of what came so far; the rest waits for its end."""
        data = self._partial.pop(stream, b"") + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        lines = data[:end].split(b"\n")[:-1] if end else []
        records: list[bytes] = []
        for line in lines:
            if len(line) >= LONGEST:
                records += _pieces(line + b"\n")
            else:
                records.append(line + b"\n")
        while len(rest) >= LONGEST:
            cut = _boundary(rest)
            records.append(rest[:cut])
            rest = rest[cut:]
        if rest:
            self._partial[stream] = rest
        if records:
            self.append(stream, records)

    def finish(self, stream: str) -> None:
        """The stream has ended: log what had no newline."""
        rest = self._partial.pop(stream, b"")
        if rest:
            self.append(stream, [rest])

    async def ready(self) -> None:
        """Wait until it can be written to; raises FailedPrecondition if that will not be."""

    def append(self, stream: str, records: list[bytes]) -> None:
        """Take records of one stream."""
        raise NotImplementedError

    def replay(self, send: Callable[[str, bytes], None]) -> None:
        """Hand every record that can be read again to ``send(stream, text)``, oldest first."""

    def held(self) -> dict[str, str]:
        """What waits for its line's end, by stream, for another process; raises Refusal if a record is under way."""
        return {name: data.decode("latin-1") for name, data in self._partial.items()}

    def take(self, held: dict[str, str], dropped: int) -> None:
        """Go on with what another process held."""
        self._partial = {name: text.encode("latin-1") for name, text in held.items()}
        self.dropped = dropped

    def close(self) -> None:
        """No more records come."""


class Piece:
    """What Docker notes of a piece of a long line: an id that all pieces share, their order, and which is the last."""

    __slots__ = ("at", "identity", "last", "ordinal")

    def __init__(self, identity: str, ordinal: int, at: int) -> None:
        self.identity = identity
        self.ordinal = ordinal
        self.last = False
        self.at = at
        """The time of the first piece, in nanoseconds since 1970."""


class Pieces:
    """Knows which records are pieces."""

    def __init__(self) -> None:
        self._open: dict[str, Piece] = {}

    def of(self, stream: str, record: bytes, now: int) -> Piece | None:
        """None for a whole line."""
        before = self._open.pop(stream, None)
        last = record.endswith(b"\n")
        if before is None:
            if last:
                return None
            piece = Piece(_identity(), 1, now)
        else:
            piece = Piece(before.identity, before.ordinal + 1, before.at)
        piece.last = last
        if not last:
            self._open[stream] = piece
        return piece


def _identity() -> str:
    with open("/dev/urandom", "rb", buffering=0) as file:
        return file.read(32).hex()


def _pieces(line: bytes) -> Iterator[bytes]:
    while len(line) > LONGEST:
        cut = _boundary(line)
        yield line[:cut]
        line = line[cut:]
    if line:
        yield line


def _boundary(data: bytes) -> int:
    """Where to cut: at LONGEST, or up to three bytes before it, so that no character is torn."""
    for back in range(_LONGEST_CHARACTER):
        at = LONGEST - back
        if at >= len(data) or data[at] & _CONTINUATION_MASK != _CONTINUATION:
            return at
    return LONGEST
