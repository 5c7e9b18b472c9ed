"""Recognizing and undoing the compression of a layer."""

from __future__ import annotations

import io
from typing import BinaryIO, Final, cast

import zstandard
from isal import igzip

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def decompressed(stream: io.BufferedReader) -> BinaryIO:
    """A stream of the plain bytes, whatever the media type says: what counts is how it begins."""
    magic = stream.peek(4)[:4]
    if magic.startswith(_GZIP):
        return cast("BinaryIO", igzip.open(stream, "rb"))  # type: ignore[no-untyped-call]
    if magic.startswith(_ZSTD):
        return cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(stream))
    return cast("BinaryIO", stream)
