"""The verbs on volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from dockerd.events.bus import EventBus
from dockerd.fields import check_fields
from dockerd.filters import Filters
from dockerd.tree.usage import size_of
from dockerd.volumes.store import ANONYMOUS_LABEL, Volume, VolumeStore
from wire.errors import InvalidArgument

_LIST_FILTERS: Final = frozenset({"dangling", "driver", "label", "name"})
_CREATE: Final = {
    "Name": "string", "Driver": "string", "DriverOpts": "map of strings", "Labels": "map of strings",
}  # fmt: skip
_PRUNE_FILTERS: Final = frozenset({"all", "label", "label!"})


class VolumeService:
    """Volumes as clients see them."""

    def __init__(
        self, store: VolumeStore, users_of: Callable[[str], set[str]], events: EventBus
    ) -> None:
        """``users_of`` gives the ids of the containers that refer to a volume."""
        self._store = store
        self._users_of = users_of
        self._events = events

    def find(self, wanted: Filters) -> list[dict[str, Any]]:
        """GET /volumes; raises InvalidArgument for a filter."""
        wanted.check(_LIST_FILTERS)
        return [self.view(volume) for volume in self._store.list() if self._shown(volume, wanted)]

    def _shown(self, volume: Volume, wanted: Filters) -> bool:
        if "dangling" in wanted and wanted.boolean("dangling") == bool(self._users_of(volume.name)):
            return False
        return (
            wanted.match("name", volume.name)
            and wanted.exact("driver", "local")
            and wanted.labels(volume.labels)
        )

    def create(self, document: dict[str, Any]) -> dict[str, Any]:
        """POST /volumes/create; raises InvalidArgument."""
        check_fields("CreateOptions", _CREATE, document)
        driver = document.get("Driver") or "local"
        if driver != "local":
            raise InvalidArgument(
                f'error looking up volume plugin {driver}: plugin "{driver}" not found'
            )
        volume = self._store.create(
            document.get("Name") or "", document.get("Labels"), document.get("DriverOpts")
        )
        self._say("create", volume.name)
        return self.view(volume)

    def inspect(self, name: str) -> dict[str, Any]:
        """GET /volumes/{name}; raises NotFound."""
        return self.view(self._store.get(name))

    def remove(self, name: str, *, force: bool = False) -> None:
        """Raises NotFound unless ``force``, Conflict for one that is used."""
        if force and not self._store.exists(name):
            return
        self._store.remove(name, self._users_of(name))
        self._say("destroy", name)

    async def prune(self, wanted: Filters) -> tuple[list[str], int]:
        """Remove unused volumes, anonymous ones or with the filter ``all`` every one; names and bytes."""
        wanted.check(_PRUNE_FILTERS)
        everything = wanted.boolean("all")
        removed, freed = [], 0
        for volume in self._store.list():
            if self._users_of(volume.name):
                continue
            if not (everything or ANONYMOUS_LABEL in volume.labels):
                continue
            if not (wanted.labels(volume.labels) and wanted.without_labels(volume.labels)):
                continue
            size = await self._size(volume)
            if self._users_of(volume.name):
                # A container was made with it while we measured.
                continue
            self._store.remove(volume.name, set())
            self._say("destroy", volume.name)
            removed.append(volume.name)
            freed += size
        return removed, freed

    async def _size(self, volume: Volume) -> int:
        return await asyncio.to_thread(size_of, self._store.path(volume.name))

    async def usage(self) -> list[dict[str, Any]]:
        """The Volumes of GET /system/df."""
        return [
            {
                **self.view(volume),
                "UsageData": {
                    "Size": await self._size(volume),
                    "RefCount": len(self._users_of(volume.name)),
                },
            }
            for volume in self._store.list()
        ]

    def view(self, volume: Volume) -> dict[str, Any]:
        """As clients see it."""
        return {
            "CreatedAt": volume.created,
            "Driver": "local",
            "Labels": volume.labels or None,
            "Mountpoint": self._store.path(volume.name),
            "Name": volume.name,
            "Options": volume.options or None,
            "Scope": "local",
        }

    def _say(self, action: str, name: str) -> None:
        self._events.publish("volume", action, name, {"driver": "local"})
