"""`docker container prune`."""

from __future__ import annotations

import contextlib

from dockerd.containers.remove import Remover
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.store import ContainerStore
from wire.errors import EngineError


class Pruner:
    """Removes containers that do not run."""

    def __init__(self, store: ContainerStore, rootfs: RootFilesystems, remover: Remover) -> None:
        self._store = store
        self._rootfs = rootfs
        self._remover = remover

    async def prune(self) -> tuple[list[str], int]:
        """Remove all that are stopped; their ids and the bytes they took."""
        removed, size = [], 0
        for container in self._store:
            if not container.running and not container.state.restarting:
                with contextlib.suppress(EngineError):
                    bytes_used = await self._rootfs.size(container)
                    await self._remover.remove(container.container_id, force=False, volumes=False)
                    removed.append(container.container_id)
                    size += bytes_used
        return removed, size
