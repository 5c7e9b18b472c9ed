"""`docker pause` and `docker unpause`."""

from __future__ import annotations

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers.announce import Announcer
from dockerd.containers.errors import AlreadyPaused, IsRestarting, NotPaused, NotRunning
from dockerd.containers.health import HealthMonitor
from dockerd.containers.state import Change
from dockerd.containers.store import ContainerStore


class Pauser:
    """Freezes and thaws containers."""

    def __init__(
        self,
        store: ContainerStore,
        tasks: Tasks,
        announcer: Announcer,
        health: HealthMonitor,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._announcer = announcer
        self._health = health

    async def pause(self, reference: str) -> None:
        """Freeze; raises NotRunning, AlreadyPaused, IsRestarting."""
        container = self._store.get(reference)
        async with container.lock:
            if container.state.restarting:
                raise IsRestarting(container.container_id)
            if not container.running:
                raise NotRunning(container.container_id)
            if container.state.paused:
                raise AlreadyPaused(container.container_id)
            await self._tasks.pause(container.container_id, paused=True)
            container.state.change(Change.PAUSE)
            self._health.stop(container)
            container.save()
        self._announcer.say(container, "pause")

    async def unpause(self, reference: str) -> None:
        """Thaw; raises NotPaused."""
        container = self._store.get(reference)
        async with container.lock:
            if not container.state.paused:
                raise NotPaused(container.container_id)
            await self._tasks.pause(container.container_id, paused=False)
            container.state.change(Change.UNPAUSE)
            self._health.resume(container)
            container.save()
        self._announcer.say(container, "unpause")
