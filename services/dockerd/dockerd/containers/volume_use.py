"""The volumes of a container while it runs, or while somebody copies from it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

from dockerd.background import Background
from dockerd.containers.model import Container
from dockerd.events.bus import EventBus
from dockerd.volumes.mounter import Mounter


class VolumeUse:
    """Has volumes mounted for containers, and says so."""

    def __init__(self, mounter: Mounter, events: EventBus) -> None:
        self._mounter = mounter
        self._events = events
        self._copies = itertools.count()
        self._background = Background()

    @staticmethod
    def uses(container: Container) -> bool:
        """Whether it has any."""
        return any(_volumes(container))

    async def begin(self, container: Container) -> None:
        """Mount them for a start, and learn where they are. Raises what ``Mounter.mount`` does."""
        points = list(_volumes(container))
        if not points:
            return
        await self._mount(container, container.container_id)
        for point in points:
            attributes = {
                "driver": point["Driver"],
                "container": container.container_id,
                "destination": point["Destination"],
                "read/write": "true" if point["RW"] else "false",
                "propagation": point["Propagation"],
            }
            self._events.publish("volume", "mount", point["Name"], attributes)

    async def end(self, container: Container) -> None:
        """It does not run any more."""
        points = list(_volumes(container))
        if not points:
            return
        await self._mounter.release(container.container_id)
        for point in points:
            attributes = {"driver": point["Driver"], "container": container.container_id}
            self._events.publish("volume", "unmount", point["Name"], attributes)

    @contextlib.asynccontextmanager
    async def borrowed(self, container: Container) -> AsyncIterator[None]:
        """Mounted for a copy out of, or into, a container that does not run."""
        holder = f"cp-{container.container_id}-{next(self._copies)}"
        await self._mount(container, holder)
        try:
            yield
        finally:
            # A client that leaves must not cut this short.
            await asyncio.shield(self._background.spawn(self._mounter.release(holder)))

    async def close(self) -> None:
        """What is not unmounted yet is the next daemon's."""
        await self._background.close()

    async def _mount(self, container: Container, holder: str) -> None:
        names = [point["Name"] for point in _volumes(container)]
        paths = await self._mounter.mount(holder, names)
        for point in _volumes(container):
            point["Source"] = paths[point["Name"]]


def _volumes(container: Container) -> Iterator[dict[str, str]]:
    return (point for point in container.mounts if point["Type"] == "volume")
