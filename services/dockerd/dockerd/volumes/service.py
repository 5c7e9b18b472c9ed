"""The verbs on volumes, as clients see them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from dockerd.events.bus import EventBus
from dockerd.fields import check_fields
from dockerd.filters import Filters
from dockerd.tree.usage import size_of
from dockerd.volumes.catalog import Catalog, Entry
from dockerd.volumes.drivers import Drivers
from dockerd.volumes.model import LOCAL
from wire.errors import Conflict, EngineError, Unavailable

_LIST_FILTERS: Final = frozenset({"dangling", "driver", "label", "name"})
CREATE: Final = {
    "Name": "string", "Driver": "string", "DriverOpts": "map of strings", "Labels": "map of strings",
    "ClusterVolumeSpec": "object",
}  # fmt: skip
_PRUNE_FILTERS: Final = frozenset({"all", "label", "label!"})
_UNKNOWN_TIME: Final = "0001-01-01T00:00:00Z"


class VolumeService:
    """Volumes over the API."""

    def __init__(self, catalog: Catalog, drivers: Drivers, events: EventBus) -> None:
        self._catalog = catalog
        self._drivers = drivers
        self._events = events
        self._pruning = False

    async def find(self, wanted: Filters) -> tuple[list[dict[str, Any]], list[str]]:
        """GET /volumes: volumes and warnings; raises InvalidArgument for a filter."""
        wanted.check(_LIST_FILTERS)
        entries, warnings = await self._catalog.list()
        return [_view(each) for each in entries if self._shown(each, wanted)], warnings

    def _shown(self, entry: Entry, wanted: Filters) -> bool:
        name = entry.volume.name
        if "dangling" in wanted and wanted.boolean("dangling") == bool(self._catalog.users(name)):
            return False
        return (
            wanted.match("name", name)
            and wanted.exact("driver", entry.volume.driver)
            and wanted.labels(entry.volume.labels)
        )

    async def create(self, document: dict[str, Any]) -> dict[str, Any]:
        """POST /volumes/create; raises what ``Catalog.create`` does."""
        check_fields("CreateOptions", CREATE, document)
        if document.get("ClusterVolumeSpec"):
            raise Unavailable(
                "This node is not a swarm manager. Cluster volumes (ClusterVolumeSpec) need Swarm."
            )
        entry, _ = await self._catalog.create(
            document.get("Name") or "",
            document.get("Driver") or "",
            document.get("DriverOpts"),
            document.get("Labels"),
        )
        return _view(entry)

    async def inspect(self, name: str) -> dict[str, Any]:
        """GET /volumes/{name}; raises NotFound, and what calls of plugins raise."""
        entry = await self._catalog.get(name)
        status = {"Status": entry.found.status} if entry.found.status else {}
        return _view(entry) | status

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Raises NotFound, Conflict for one that is used, and what calls of plugins raise."""
        await self._catalog.remove(name, force=force)

    async def prune(self, wanted: Filters, *, everything: bool) -> tuple[list[str], int]:
        """Remove unused volumes that are plain directories: their names, and the bytes that they had.

        Without ``everything``, and the filter ``all``, only anonymous ones.
        Raises Conflict while another prune is running.
        """
        wanted.check(_PRUNE_FILTERS)
        if self._pruning:
            raise Conflict("a prune operation is already running")
        self._pruning = True
        try:
            removed, freed = await self._prune(wanted, everything=everything)
        finally:
            self._pruning = False
        self._events.publish("volume", "prune", "", {"reclaimed": str(freed)})
        return removed, freed

    async def _prune(self, wanted: Filters, *, everything: bool) -> tuple[list[str], int]:
        everything = wanted.boolean("all", default=everything)
        removed, freed = [], 0
        for volume in self._catalog.records():
            if volume.driver != LOCAL or volume.options or self._catalog.users(volume.name):
                continue
            if not (everything or volume.anonymous):
                continue
            if not (wanted.labels(volume.labels) and wanted.without_labels(volume.labels)):
                continue
            try:
                size = await self._size(volume.name)
                await self._catalog.remove(volume.name)
            except EngineError:
                # Meanwhile a container was made with it, or somebody removed it.
                continue
            removed.append(volume.name)
            freed += size
        return removed, freed

    async def _size(self, name: str) -> int:
        entry = await self._catalog.get(name)
        return await asyncio.to_thread(size_of, entry.found.mountpoint)

    async def usage(self) -> list[dict[str, Any]]:
        """The Volumes of GET /system/df: those that are directories of ours."""
        entries, _ = await self._catalog.list()
        return [
            {
                **_view(each),
                "UsageData": {
                    "Size": await asyncio.to_thread(size_of, each.found.mountpoint),
                    "RefCount": len(self._catalog.users(each.volume.name)),
                },
            }
            for each in entries
            if each.volume.driver == LOCAL and not each.volume.options
        ]

    async def driver_names(self) -> list[str]:
        """The drivers that can be had at the moment, for GET /info."""
        return sorted([LOCAL, *(each.name for each in await self._drivers.remote())])


def _view(entry: Entry) -> dict[str, Any]:
    volume = entry.volume
    local = volume.driver == LOCAL
    return {
        "CreatedAt": (volume.created if local else entry.found.created) or _UNKNOWN_TIME,
        "Driver": volume.driver,
        "Labels": volume.labels or None,
        "Mountpoint": entry.found.mountpoint,
        "Name": volume.name,
        "Options": volume.options or None,
        "Scope": entry.scope,
    }
