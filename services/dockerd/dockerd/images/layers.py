"""What an image's layers are on this machine: bytes and directories, asked of containerd once for each layer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from dockerd.containerd_client.client import Containerd
from dockerd.containerd_client.layers import Layers
from wire import digest as digests
from wire.errors import EngineError, NotFound
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2 as snapshots

_SERVICE: Final = "snapshots.v1.Snapshots"
_SNAPSHOTTER: Final = "overlayfs"
_REMEMBERED: Final = 4096


class LayerStore:
    """Sizes and places of unpacked layers."""

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self._sizes: dict[str, int] = {}

    async def measure(self, chains: Iterable[str]) -> None:
        """Learn the sizes of snapshots by their chain IDs, side by side."""
        unknown = [each for each in dict.fromkeys(chains) if each not in self._sizes]
        if not unknown:
            return
        if len(self._sizes) > _REMEMBERED:
            self._sizes.clear()
        await asyncio.gather(*map(self._measure, unknown))

    async def _measure(self, chain: str) -> None:
        request = snapshots.UsageRequest(snapshotter=_SNAPSHOTTER, key=chain)
        try:
            found = await self._containerd.call(_SERVICE, "Usage", request, snapshots.UsageResponse)
        except NotFound:
            # Not unpacked: not for this machine, or half removed. It may come.
            return
        self._sizes[chain] = found.size

    def size(self, chain: str) -> int | None:
        """The bytes that a layer takes; None if it is not unpacked. ``measure`` comes first."""
        return self._sizes.get(chain)

    async def directories(self, chain: str) -> Sequence[str]:
        """Where a layer and those below it are, the topmost first; nothing if it is not unpacked."""
        async with Layers.leased(self._containerd) as layers:
            try:
                mounts = await layers.mounts(chain)
            except EngineError:
                return ()
        for mount in mounts:
            if mount.type == "bind":
                return (mount.source,)
            for option in mount.options:
                key, _, value = option.partition("=")
                if key == "lowerdir":
                    return tuple(value.split(":"))
        return ()


def chains(diff_ids: Sequence[str]) -> list[str]:
    """The chain ID of each layer, lowest first."""
    found: list[str] = []
    for diff_id in diff_ids:
        found.append(digests.of(f"{found[-1]} {diff_id}".encode()) if found else diff_id)
    return found
