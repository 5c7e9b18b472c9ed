"""Docker's json-file log, written chunk-wise: one JSON object a line, rotated by size."""

from __future__ import annotations

import contextlib
import json
import os
import time
from json.encoder import encode_basestring

from shim import log
from shim.succession import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

# Docker's copier splits longer lines into records whose text lacks the final newline.
LONGEST: Final = 16384
_SPECIAL: Final = (
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("&", "\\u0026"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
)
_CONTINUATION: Final = 0x80
_CONTINUATION_MASK: Final = 0xC0
_LONGEST_CHARACTER: Final = 4


def timestamp() -> str:
    """Now as Go's RFC3339Nano writes it: UTC, without trailing zeros."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = time.gmtime(seconds)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


class JsonFile:
    """The log of one container; both streams write to it.

    A failing write never stops the container: records that do not fit are counted as dropped, and the next are tried
    again. A record of which a part was written is finished first, so that no reader finds a torn line.
    """

    def __init__(self, path: str, max_size: int, max_file: int) -> None:
        self._path = path
        self._max_size = max_size
        self._max_file = max(1, max_file)
        self._descriptor = -1
        self._size = 0
        self._partial: dict[str, bytes] = {}
        self._torn = b""
        self._failing = False
        self.dropped = 0
        """Bytes of records that could not be written, since the start."""
        self._open()
        self._mend()

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
            self._append(stream, records)

    def finish(self, stream: str) -> None:
        """The stream has ended: log what had no newline."""
        rest = self._partial.pop(stream, b"")
        if rest:
            self._append(stream, [rest])

    def replay(self, send: Callable[[str, bytes], None]) -> None:
        """Hand every record that is in the files to ``send(stream, text)``, oldest first."""
        for path in (
            *(f"{self._path}.{number}" for number in range(self._max_file - 1, 0, -1)),
            self._path,
        ):
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                for line in file:
                    with contextlib.suppress(ValueError, KeyError):
                        record = json.loads(line)
                        send(record["stream"], record["log"].encode())

    def held(self) -> dict[str, str]:
        """What waits for its line's end, by stream, for another process; raises Refusal if a record is torn."""
        if self._torn:
            raise Refusal
        return {name: data.decode("latin-1") for name, data in self._partial.items()}

    def take(self, held: dict[str, str], dropped: int) -> None:
        """Go on with what another process held."""
        self._partial = {name: text.encode("latin-1") for name, text in held.items()}
        self.dropped = dropped

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self.dropped:
            log.warning("log incomplete", path=self._path, dropped=self.dropped)

    def _append(self, stream: str, records: list[bytes]) -> None:
        tail = f',"stream":"{stream}","time":"{timestamp()}"}}\n'
        text = "".join(
            f'{{"log":{encode_basestring(record.decode("utf-8", "replace"))}{tail}'
            for record in records
        )
        for plain, escaped in _SPECIAL:
            if plain in text:
                text = text.replace(plain, escaped)
        encoded = text.encode()
        if 0 < self._max_size < self._size + len(self._torn) + len(encoded):
            # Record-wise only near the limit, so that no file exceeds it by more than one record.
            for record in encoded.splitlines(keepends=True):
                size = self._size + len(self._torn)
                if size > 0 and size + len(record) > self._max_size:
                    self._rotate()
                self._put(record)
        else:
            self._put(encoded)

    def _put(self, data: bytes) -> None:
        if self._flush(data) and self._failing:
            self._failing = False
            log.warning("log writes work again", path=self._path, dropped=self.dropped)

    def _flush(self, data: bytes) -> bool:
        """Write what is left of a torn record, then ``data``; whether all of it was written."""
        pending = self._torn + data
        done = 0
        try:
            if self._descriptor < 0:
                self._open()
            while done < len(pending):
                written = os.write(self._descriptor, memoryview(pending)[done:])
                if written <= 0:
                    break
                done += written
                self._size += written
        except OSError as error:
            if not self._failing:
                self._failing = True
                log.warning("log write failed", path=self._path, error=error.strerror)
        if done == len(pending):
            self._torn = b""
            return True
        # The record in which the write stopped is completed later; those behind it are lost.
        begun = done > 0 and pending[done - 1 : done] != b"\n"
        begun = begun or (done == 0 and bool(self._torn))
        end = pending.find(b"\n", done) + 1 if begun else done
        self._torn = pending[done:end]
        self.dropped += len(pending) - end
        return False

    def _open(self) -> None:
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640
        )
        self._size = os.fstat(self._descriptor).st_size

    def _mend(self) -> None:
        """End a line that a writer before us left torn: a reader skips it, and ours begin on their own."""
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            self._flush(b"\n")

    def _rotate(self) -> None:
        if not self._flush(b""):
            # Rotating may free the space that is missing; the torn record stays the old file's last, and is skipped.
            self.dropped += len(self._torn)
            self._torn = b""
        try:
            os.close(self._descriptor)
            self._descriptor = -1
            if self._max_file > 1:
                for number in range(self._max_file - 1, 0, -1):
                    source = self._path if number == 1 else f"{self._path}.{number - 1}"
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(source, f"{self._path}.{number}")
            else:
                os.truncate(self._path, 0)
            self._open()
        except OSError as error:
            log.warning("log rotation failed", path=self._path, error=error.strerror)


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
