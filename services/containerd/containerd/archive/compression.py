"""Recognizing and undoing the compression of a layer."""

from __future__ import annotations

import io
from gzip import BadGzipFile
from typing import Any, BinaryIO, Final, cast

import zstandard
from isal import igzip, isal_zlib

from wire.errors import InvalidArgument

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_FAILURES: Final = (
    EOFError,
    BadGzipFile,
    # Its stub says that this is an exception, not a class of them.
    cast("type[Exception]", isal_zlib.error),
    zstandard.ZstdError,
)


class _Decompressing(io.RawIOBase):
    """Bytes that are compressed wrongly are the fault of whoever sent them."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return cast("bytes", self._source.read(size))
        except _FAILURES as error:
            raise InvalidArgument(f"layer cannot be decompressed: {error}") from error


def decompressed(stream: io.BufferedReader) -> BinaryIO:
    """A stream of the plain bytes, whatever the media type says: what counts is how it begins.

    Reading it raises InvalidArgument for bytes that cannot be decompressed.
    """
    magic = stream.peek(4)[:4]
    if magic.startswith(_GZIP):
        return cast("BinaryIO", _Decompressing(igzip.open(stream, "rb")))  # type: ignore[no-untyped-call]
    if magic.startswith(_ZSTD):
        decompressor = zstandard.ZstdDecompressor()
        reader = decompressor.stream_reader(stream, read_across_frames=True)
        return cast("BinaryIO", _Decompressing(reader))
    return cast("BinaryIO", stream)
