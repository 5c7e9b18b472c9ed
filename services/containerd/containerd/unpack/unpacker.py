"""From layers to a chain of committed snapshots, named by their chain IDs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from containerd.archive.compression import decompressed
from containerd.archive.extract import extract
from containerd.content.local import ContentStore
from containerd.diff.apply import Hashing
from containerd.images.labels import SNAPSHOT, UNCOMPRESSED
from containerd.snapshots.overlay import SNAPSHOTTER, TARGET_LABEL, OverlaySnapshotter
from wire.errors import AlreadyExists, FailedPrecondition
from wire.oci.image import Descriptor, ImageConfig, chain_id

if TYPE_CHECKING:
    import io


class Unpacker:
    """Applies the layers of images; the same layer is applied once, also when two images need it at the same time."""

    def __init__(self, content: ContentStore, snapshotter: OverlaySnapshotter) -> None:
        self._content = content
        self._snapshotter = snapshotter
        self._locks: dict[str, asyncio.Lock] = {}

    async def unpack(
        self,
        config: ImageConfig,
        config_digest: str,
        layers: list[Descriptor],
        on_layer: Callable[[Descriptor], None],
        wait_for: Callable[[Descriptor], Any],
    ) -> str:
        """Make the snapshots of an image; the chain ID of the topmost.

        The config's content is labelled with the result, and so keeps the snapshots. ``wait_for(layer)`` is awaited
        before a layer is read; ``on_layer`` hears of each one that is done. Raises FailedPrecondition
        if a layer is not what the config says.
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
                if not await self._snapshotter.held(name):
                    await wait_for(layer)
                    await self._apply(layer, config.diff_ids[number], name, parent)
            self._locks.pop(name, None)
            on_layer(layer)
            parent = name
        if parent:
            await self._content.record(config_digest, {f"{SNAPSHOT}.{SNAPSHOTTER}": parent})
        return parent

    async def _apply(self, layer: Descriptor, diff_id: str, name: str, parent: str) -> None:
        key = f"extract-{os.urandom(8).hex()} {name}"
        try:
            await self._snapshotter.prepare(key, parent, {TARGET_LABEL: name})
        except AlreadyExists:
            return
        try:
            layers = await self._snapshotter.layers(key)
            found = await asyncio.to_thread(self._extract, layer, layers)
            if found != diff_id:
                raise FailedPrecondition(
                    f"wrong diff id calculated on extraction: layer {layer.digest} is {found}, not {diff_id}"
                )
            await self._snapshotter.commit(name, key, {TARGET_LABEL: name})
        except AlreadyExists:
            await self._snapshotter.remove(key)
        except BaseException:
            await self._snapshotter.remove(key)
            raise
        await self._content.record(layer.digest, {UNCOMPRESSED: diff_id})

    def _extract(self, layer: Descriptor, layers: Sequence[str]) -> str:
        with self._content.open(layer.digest) as file:
            stream = Hashing(decompressed(cast("io.BufferedReader", file)))
            extract(cast("Any", stream), layers[0], layers[1:])
            return stream.drain()
