"""From layers to a chain of committed snapshots, named by their chain IDs."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from collections.abc import Callable
from typing import Any, cast

from containerd.archive.compression import decompressed
from containerd.archive.extract import extract
from containerd.content.local import ContentStore
from containerd.snapshots.overlay import OverlaySnapshotter
from wire.errors import AlreadyExists, FailedPrecondition, NotFound
from wire.oci.image import Descriptor, ImageConfig, chain_id


class _Hashing(io.RawIOBase):
    """Passes reads through and hashes them."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        self.hash.update(data)
        return data


class Unpacker:
    """Applies the layers of images; the same layer is applied once, also when two images need it at the same time."""

    def __init__(self, content: ContentStore, snapshotter: OverlaySnapshotter) -> None:
        self._content = content
        self._snapshotter = snapshotter
        self._locks: dict[str, asyncio.Lock] = {}

    async def unpack(
        self,
        config: ImageConfig,
        layers: list[Descriptor],
        on_layer: Callable[[Descriptor], None],
        wait_for: Callable[[Descriptor], Any],
    ) -> str:
        """Make the snapshots of an image; the chain ID of the topmost.

        ``wait_for(layer)`` is awaited before a layer is read; ``on_layer`` hears of each one that is done. Raises
        FailedPrecondition if a layer is not what the config says.
        """
        if len(layers) != len(config.diff_ids):
            raise FailedPrecondition(
                f"mismatched image rootfs and manifest layers: {len(config.diff_ids)} and {len(layers)}"
            )
        parent = ""
        for number, layer in enumerate(layers):
            name = chain_id(config.diff_ids[: number + 1])
            lock = self._locks.setdefault(name, asyncio.Lock())
            async with lock:
                try:
                    await self._snapshotter.stat(name)
                except NotFound:
                    await wait_for(layer)
                    await self._apply(layer, config.diff_ids[number], name, parent)
            self._locks.pop(name, None)
            on_layer(layer)
            parent = name
        return parent

    async def _apply(self, layer: Descriptor, diff_id: str, name: str, parent: str) -> None:
        key = f"extract-{os.urandom(8).hex()} {name}"
        await self._snapshotter.prepare(key, parent, {"containerd.io/gc.root": "unpack"})
        try:
            info = await self._snapshotter.stat(key)
            found = await asyncio.to_thread(
                self._extract, layer, self._snapshotter.upper(info.number)
            )
            if found != diff_id:
                raise FailedPrecondition(
                    f"wrong diff id calculated on extraction: layer {layer.digest} is {found}, not {diff_id}"
                )
            await self._snapshotter.set_labels(key, {})
            await self._snapshotter.commit(name, key, {"containerd.io/snapshot.ref": name})
        except AlreadyExists:
            await self._snapshotter.remove(key)
        except BaseException:
            await self._snapshotter.remove(key)
            raise

    def _extract(self, layer: Descriptor, directory: str) -> str:
        with self._content.open(layer.digest) as file:
            stream = _Hashing(decompressed(cast("io.BufferedReader", file)))
            extract(cast("Any", stream), directory)
            # The padding behind the end mark belongs to the diff ID.
            while stream.read(1 << 20):
                pass
        return f"sha256:{stream.hash.hexdigest()}"
