"""Archives of strangers, made plain piece by piece: what a few bytes may stand for is never in memory at once.

gzip, bzip2, xz and zstd are known by how they begin; several streams one after the other are one, as their tools have it.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from wire.errors import InvalidArgument

LONGEST_MAGIC: Final = 6
"""So many bytes of the beginning must be known."""
_PIECE: Final = 1 << 18
_CHUNK: Final = 1 << 16
_GZIP_WINDOW: Final = 31
# What the highest level of xz needs; a stream may ask for 4 GiB.
_DICTIONARY: Final = 96 << 20
_FEW: Final = 1 << 8
_FAILURES: Final = (zlib.error, lzma.LZMAError, EOFError, OSError)


class _Format(Protocol):
    def pieces(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def whole(self) -> bool: ...


class _Plain:
    whole: bool = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if data:
            yield data


class _Streams:
    """Streams of gzip, bzip2 or xz, one after the other, with zeros between or behind them."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._stream = begin()

    @property
    def whole(self) -> bool:
        return bool(self._stream.eof)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._stream.eof:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._stream = self._begin()
            piece = self._stream.decompress(data, _PIECE)
            data = self._stream.unused_data if self._stream.eof else self._unread()
            if piece:
                yield piece
            if not data and (self._stream.eof or self._drained(piece)):
                return

    def _unread(self) -> bytes:
        """What the stream has given back."""
        return b""

    def _drained(self, _piece: bytes) -> bool:
        """Whether nothing more comes of what it has taken."""
        return bool(self._stream.needs_input)


class _Gzip(_Streams):
    """zlib keeps nothing back, and does not say what it still could give."""

    def _unread(self) -> bytes:
        return bytes(self._stream.unconsumed_tail)

    def _drained(self, piece: bytes) -> bool:
        return len(piece) < _PIECE


class _Zstd:
    """Each call gives all that its bytes stand for, so it is given few: four of them may stand for 128 KiB."""

    def __init__(self) -> None:
        # Rarely needed: most daemons never load it.
        import zstandard

        self._begin = zstandard.ZstdDecompressor(max_window_size=_DICTIONARY).decompressobj
        self._stream = self._begin()
        self._failure = zstandard.ZstdError

    @property
    def whole(self) -> bool:
        return self._stream.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            for start in range(0, len(data), _FEW):
                part = data[start : start + _FEW]
                while part:
                    if self._stream.eof:
                        self._stream = self._begin()
                    if piece := self._stream.decompress(part):
                        yield piece
                    part = self._stream.unused_data if self._stream.eof else b""
        except self._failure as error:
            raise OSError(str(error)) from error


def _gzip() -> zlib._Decompress:
    return zlib.decompressobj(_GZIP_WINDOW)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_DICTIONARY)


def _format(head: bytes) -> _Format:
    if head.startswith(b"\x1f\x8b"):
        return _Gzip(_gzip)
    if head.startswith(b"BZh"):
        return _Streams(bz2.BZ2Decompressor)
    if head.startswith(b"\xfd7zXZ\0"):
        return _Streams(_xz)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _Zstd()
    return _Plain()


class Decompressor:
    """Takes the bytes as they come; raises InvalidArgument for what cannot be read."""

    def __init__(self) -> None:
        self._head = b""
        self._found: _Format | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of some more, in pieces of bounded size."""
        if self._found is None:
            data = self._head + data
            if len(data) < LONGEST_MAGIC:
                self._head = data
                return
            self._found, self._head = _format(data), b""
        try:
            yield from self._found.pieces(data)
        except _FAILURES as error:
            raise InvalidArgument(f"the archive cannot be read: {error}") from error

    def end(self) -> Iterator[bytes]:
        """No more will come; what is left."""
        if self._found is None:
            self._found = _Plain()
            yield from self._found.pieces(self._head)
        if not self._found.whole:
            raise InvalidArgument(
                "the archive cannot be read: unexpected end of the compressed data"
            )


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, none at the end."""


class Reader:
    """The plain bytes of a source, forward only."""

    def __init__(self, source: Source) -> None:
        self._pieces = self._all(source)
        self._buffer = memoryview(b"")

    @staticmethod
    def _all(source: Source) -> Iterator[bytes]:
        decompressor = Decompressor()
        while data := source.read(_CHUNK):
            yield from decompressor.pieces(data)
        yield from decompressor.end()

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end; raises InvalidArgument."""
        if not self._buffer:
            piece = next(self._pieces, b"")
            if len(piece) == size:
                # Most pieces of plain archives, and not worth a copy.
                return piece
            self._buffer = memoryview(piece)
        found = []
        while size > 0:
            if not self._buffer:
                self._buffer = memoryview(next(self._pieces, b""))
                if not self._buffer:
                    break
            part, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(part)
            found.append(part)
        return b"".join(found)
