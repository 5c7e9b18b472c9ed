"""`docker import`: a root file system's archive becomes the only layer of an image."""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import json
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import IO, Final, Protocol

from dockerd.images.changes import apply
from dockerd.images.platforms import Platform
from wire.errors import InvalidArgument

_CHUNK: Final = 1 << 20
_GZIP_WINDOW: Final = 31
_LONGEST_MAGIC: Final = 6


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class _Plain:
    def decompress(self, data: bytes, /) -> bytes:
        return data


def _decompressor(head: bytes) -> _Decompressor:
    if head.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(_GZIP_WINDOW)
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor()
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd()
    return _Plain()


def _zstd() -> _Decompressor:
    # Rarely needed: most daemons never load it.
    import zstandard

    class Zstd:
        def __init__(self) -> None:
            self._inner = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)

        def decompress(self, data: bytes, /) -> bytes:
            try:
                return self._inner.decompress(data)
            except zstandard.ZstdError as error:
                raise OSError(str(error)) from error

    return Zstd()


@contextlib.asynccontextmanager
async def imported(
    chunks: AsyncIterator[bytes],
    scratch: str,
    name: str,
    changes: Sequence[str],
    comment: str,
    platform: Platform,
) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """The id of the image, and the archive of it that containerd can load.

    ``name`` may be empty; ``changes`` are lines of a Dockerfile. Raises InvalidArgument for either and for data that is
    no archive.
    """
    config = apply({}, changes)
    with tempfile.TemporaryFile(dir=scratch) as layer:
        diff_id, size = await _unpack(chunks, layer)
        created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        document = {
            "architecture": platform.architecture,
            "os": platform.os,
            **({"variant": platform.variant} if platform.variant else {}),
            "created": created,
            "comment": comment,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": created, "comment": comment}],
        }
        text = json.dumps(document).encode()
        image_id = hashlib.sha256(text).hexdigest()
        manifest = [
            {
                "Config": f"{image_id}.json",
                "RepoTags": [name] if name else None,
                "Layers": ["layer.tar"],
            }
        ]
        small = {f"{image_id}.json": text, "manifest.json": json.dumps(manifest).encode()}
        yield f"sha256:{image_id}", _archive(small, layer, size)


async def _unpack(chunks: AsyncIterator[bytes], layer: IO[bytes]) -> tuple[str, int]:
    head = b""
    decompressor: _Decompressor | None = None
    digest = hashlib.sha256()
    size = 0
    try:
        async for chunk in chunks:
            data = head + chunk
            if decompressor is None:
                if len(data) < _LONGEST_MAGIC:
                    head = data
                    continue
                decompressor, head = _decompressor(data), b""
            plain = decompressor.decompress(data)
            digest.update(plain)
            layer.write(plain)
            size += len(plain)
    except (zlib.error, OSError, lzma.LZMAError) as error:
        raise InvalidArgument(f"the archive cannot be read: {error}") from error
    layer.seek(0)
    try:
        with tarfile.open(fileobj=layer, mode="r:") as archive:
            archive.next()
    except tarfile.TarError as error:
        raise InvalidArgument(f"the archive cannot be read: {error}") from error
    return f"sha256:{digest.hexdigest()}", size


async def _archive(small: dict[str, bytes], layer: IO[bytes], size: int) -> AsyncIterator[bytes]:
    for name, content in small.items():
        yield _header(name, len(content)) + content + _padding(len(content))
    yield _header("layer.tar", size)
    layer.seek(0)
    while data := layer.read(_CHUNK):
        yield data
    yield _padding(size) + bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
