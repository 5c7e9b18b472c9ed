"""`docker image prune`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dockerd.filters import Filters
from dockerd.images.list import created_at
from dockerd.images.model import Image
from dockerd.images.remove import Remover, UsersOf
from dockerd.images.store import ImageStore
from dockerd.moments import moment
from wire.errors import Conflict, InvalidArgument, NotFound

_FILTERS: Final = frozenset({"dangling", "label", "label!", "until"})


class Pruner:
    """Removes images that no container uses."""

    def __init__(self, store: ImageStore, remover: Remover) -> None:
        self._store = store
        self._remover = remover

    async def prune(self, wanted: Filters, users_of: UsersOf) -> dict[str, Any]:
        """POST /images/prune: those without a name, or with ``dangling=false`` all; raises InvalidArgument."""
        wanted.check(_FILTERS)
        dangling = wanted.boolean("dangling", default=True)
        until = _until(wanted)
        deleted: list[Mapping[str, str]] = []
        freed = 0
        for image in await self._store.list():
            if users_of(image.image_id) or (dangling and image.named) or not _chosen(image, wanted):
                continue
            if until is not None and created_at(image) >= until:
                continue
            try:
                deleted += await self._remover.remove(image.image_id, users_of, force=True)
                freed += image.size
            except (Conflict, NotFound):
                # A container was made of it meanwhile, or somebody else removed it.
                continue
        return {"ImagesDeleted": deleted or None, "SpaceReclaimed": freed}


def _chosen(image: Image, wanted: Filters) -> bool:
    return wanted.labels(image.labels) and wanted.without_labels(image.labels)


def _until(wanted: Filters) -> float | None:
    values = wanted.get("until")
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    return moment(values[0]) if values else None
