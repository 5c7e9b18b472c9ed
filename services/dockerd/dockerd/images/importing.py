"""`docker import`: a root file system's archive becomes the only layer of an image."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import IO, Final

from dockerd.images.changes import apply
from dockerd.images.platforms import Platform
from wire import bounded_tar
from wire.decompression import Decompressor
from wire.errors import InvalidArgument

_CHUNK: Final = 1 << 20


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
    """The digest and the size of the plain bytes, which are in ``layer`` then."""
    decompressor = Decompressor()
    digest = hashlib.sha256()

    def take(pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            digest.update(piece)
            layer.write(piece)

    async for chunk in chunks:
        await asyncio.to_thread(take, decompressor.pieces(chunk))
    await asyncio.to_thread(take, decompressor.end())
    size = layer.tell()
    layer.seek(0)
    try:
        await asyncio.to_thread(_check, layer)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidArgument(f"the archive cannot be read: {error}") from error
    return f"sha256:{digest.hexdigest()}", size


def _check(layer: IO[bytes]) -> None:
    """Whether it begins as an archive does."""
    with bounded_tar.opened(layer):
        pass


async def _archive(small: dict[str, bytes], layer: IO[bytes], size: int) -> AsyncIterator[bytes]:
    for name, content in small.items():
        yield _header(name, len(content)) + content + _padding(len(content))
    yield _header("layer.tar", size)
    layer.seek(0)
    while data := await asyncio.to_thread(layer.read, _CHUNK):
        yield data
    yield _padding(size) + bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
