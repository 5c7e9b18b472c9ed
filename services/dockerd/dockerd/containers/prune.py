"""`docker container prune`."""

from __future__ import annotations

import contextlib
from typing import Final

from dockerd.containers.model import Container, seconds_of
from dockerd.containers.remove import Remover
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.store import ContainerStore
from dockerd.filters import Filters
from dockerd.moments import moment
from wire.errors import EngineError, InvalidArgument

_FILTERS: Final = frozenset({"label", "label!", "until"})


class Pruner:
    """Removes containers that do not run."""

    def __init__(self, store: ContainerStore, rootfs: RootFilesystems, remover: Remover) -> None:
        self._store = store
        self._rootfs = rootfs
        self._remover = remover

    async def prune(self, wanted: Filters) -> tuple[list[str], int]:
        """Remove all that are stopped and pass the filters; their ids and the bytes they took. Raises InvalidArgument."""
        wanted.check(_FILTERS)
        if len(wanted.get("until")) > 1:
            raise InvalidArgument("more than one until filter specified")
        until = moment(next(iter(wanted.get("until")), None))
        removed, size = [], 0
        for container in self._store:
            if not _stopped(container) or not _chosen(container, wanted, until):
                continue
            with contextlib.suppress(EngineError):
                bytes_used = await self._rootfs.size(container)
                await self._remover.remove(container.container_id, force=False, volumes=False)
                removed.append(container.container_id)
                size += bytes_used
        return removed, size


def _stopped(container: Container) -> bool:
    return not container.running and not container.state.restarting


def _chosen(container: Container, wanted: Filters, until: float | None) -> bool:
    labels = container.config.get("Labels")
    return (
        wanted.labels(labels)
        and wanted.without_labels(labels)
        and (until is None or seconds_of(container.created) < until)
    )
