"""Unpacking where each snapshot is a copy of the one below: one layer after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from containerd.snapshots.copy import copy_tree
from containerd.snapshots.overlay import Draft
from containerd.unpack.unpacker import Unpacker, check_diff_id, undisturbed
from wire.oci.image import Descriptor


class NativeUnpacker(Unpacker):
    """Applies the layers of images to copies of what is below them."""

    async def _make(
        self,
        names: Sequence[str],
        diff_ids: Sequence[str],
        layers: Sequence[Descriptor],
        first: int,
        on_layer: Callable[[Descriptor], None],
        wait_for: Callable[[Descriptor], Awaitable[None]],
    ) -> None:
        parent = names[first - 1] if first else ""
        below = (await self._snapshotter.layers(parent))[0] if parent else ""
        chain = []
        async with AsyncExitStack() as stack:
            for number in range(first, len(layers)):
                layer = layers[number]
                await wait_for(layer)
                draft = await asyncio.to_thread(self._snapshotter.draft)
                stack.push_async_callback(asyncio.to_thread, draft.discard)
                found = await undisturbed(asyncio.to_thread(self._apply, layer, draft, below))
                check_diff_id(found, diff_ids[number], layer)
                on_layer(layer)
                chain.append((names[number], draft))
                below = draft.files
            await undisturbed(self._snapshotter.adopt(chain, parent))

    def _apply(self, layer: Descriptor, draft: Draft, below: str) -> str:
        if below:
            copy_tree(below, draft.files)
        found, _ = self._extract(layer, draft, overlay=False)
        return found
