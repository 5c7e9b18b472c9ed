"""From layers to a chain of committed snapshots, named by their chain IDs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from containerd.archive.compression import decompressed
from containerd.archive.extract import extract, inherit
from containerd.content.local import ContentStore
from containerd.diff.apply import Hashing
from containerd.images.labels import SNAPSHOT, UNCOMPRESSED
from containerd.snapshots.overlay import Draft, OverlaySnapshotter
from wire import namespaces
from wire.errors import FailedPrecondition
from wire.oci.image import Descriptor, ImageConfig, chain_id

if TYPE_CHECKING:
    import io

_PARALLEL: Final = 3
_Result = TypeVar("_Result")


class Unpacker:
    """Applies the layers of images; the same layers are applied once, also when two images need them at the same time.

    Each layer is unpacked into a directory of its own as soon as it is here, several side by side. All of them become
    snapshots at once, in the end, after one synchronization of the file system.
    """

    def __init__(self, content: ContentStore, snapshotter: OverlaySnapshotter) -> None:
        self._content = content
        self._snapshotter = snapshotter
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def unpack(
        self,
        config: ImageConfig,
        config_digest: str,
        layers: Sequence[Descriptor],
        on_layer: Callable[[Descriptor], None],
        wait_for: Callable[[Descriptor], Awaitable[None]],
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
        if not layers:
            return ""
        names = [chain_id(config.diff_ids[: number + 1]) for number in range(len(layers))]
        while (first := await self._snapshotter.held(names)) < len(names):
            # Whoever else needs this layer waits, and finds it then with all that stand on it.
            key = namespaces.current(), names[first]
            lock = self._locks.setdefault(key, asyncio.Lock())
            async with lock:
                if await self._snapshotter.held(names) == first:
                    await self._make(names, config.diff_ids, layers, first, on_layer, wait_for)
            if not lock.locked():
                self._locks.pop(key, None)
        for layer in layers:
            on_layer(layer)
        labels: dict[str, Mapping[str, str]] = {
            layer.digest: {UNCOMPRESSED: diff_id}
            for layer, diff_id in zip(layers, config.diff_ids, strict=True)
            if self._content.exists(layer.digest)
        }
        labels[config_digest] = {f"{SNAPSHOT}.{self._snapshotter.name}": names[-1]}
        await self._content.label(labels)
        return names[-1]

    async def _make(
        self,
        names: Sequence[str],
        diff_ids: Sequence[str],
        layers: Sequence[Descriptor],
        first: int,
        on_layer: Callable[[Descriptor], None],
        wait_for: Callable[[Descriptor], Awaitable[None]],
    ) -> None:
        """Make the snapshots from ``first`` on."""
        async with AsyncExitStack() as stack:
            drafts = []
            for _ in layers[first:]:
                drafts.append(await asyncio.to_thread(self._snapshotter.draft))
                stack.push_async_callback(asyncio.to_thread, drafts[-1].discard)

            async def one(number: int) -> Sequence[str]:
                layer = layers[number]
                async with self._slots:
                    await wait_for(layer)
                    found, implied = await undisturbed(
                        asyncio.to_thread(
                            self._extract, layer, drafts[number - first], overlay=number > 0
                        )
                    )
                check_diff_id(found, diff_ids[number], layer)
                on_layer(layer)
                return implied

            implied = await _all(one, range(first, len(layers)))
            parent = names[first - 1] if first else ""
            below = list(await self._snapshotter.layers(parent)) if parent else []
            for draft, paths in zip(drafts, implied, strict=True):
                await asyncio.to_thread(inherit, draft.files, paths, below)
                below.insert(0, draft.files)
            chain = list(zip(names[first:], drafts, strict=True))
            await undisturbed(self._snapshotter.adopt(chain, parent))

    def _extract(
        self, layer: Descriptor, draft: Draft, *, overlay: bool
    ) -> tuple[str, Sequence[str]]:
        with self._content.open(layer.digest) as file:
            stream = Hashing(decompressed(cast("io.BufferedReader", file)))
            implied = extract(cast("Any", stream), draft.files, overlay=overlay)
            return stream.drain(), implied


def check_diff_id(found: str, wanted: str, layer: Descriptor) -> None:
    """Raises FailedPrecondition if a layer is not what its image's config says."""
    if found != wanted:
        raise FailedPrecondition(
            f"wrong diff id calculated on extraction: layer {layer.digest} is {found}, not {wanted}"
        )


async def undisturbed(work: Coroutine[Any, Any, _Result]) -> _Result:
    """A pull that is given up does not remove a directory that a thread is still at work in."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _all(
    work: Callable[[int], Awaitable[Sequence[str]]], numbers: Sequence[int]
) -> Sequence[Sequence[str]]:
    """The results of all; the first failure ends the others, and is raised when they have ended."""
    tasks = [asyncio.ensure_future(work(number)) for number in numbers]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
