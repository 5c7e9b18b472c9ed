"""The size of a container's terminal."""

from __future__ import annotations

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers.errors import NotRunning
from dockerd.containers.store import ContainerStore


class Resizer:
    """Sets the sizes of terminals."""

    def __init__(self, store: ContainerStore, tasks: Tasks) -> None:
        self._store = store
        self._tasks = tasks

    async def resize(self, reference: str, height: int, width: int) -> None:
        """In rows and columns; raises NotRunning."""
        container = self._store.get(reference)
        if not container.running:
            raise NotRunning(container.container_id)
        await self._tasks.resize(container.container_id, width, height)
