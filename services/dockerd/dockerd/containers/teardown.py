"""Taking away what a running container has besides its record."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from dockerd.background import Background
from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import mount_table, shm
from dockerd.containers.announce import Announcer
from dockerd.containers.model import Container
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.volume_use import VolumeUse
from dockerd.networks.controller import NetworkController
from wire.errors import EngineError

logger = logging.getLogger(__name__)


class Teardown:
    """Task, endpoints and mount; each step is harmless when repeated, and done once after each start.

    Whoever calls holds the container's lock, or is the last who knows the container.
    """

    def __init__(
        self,
        tasks: Tasks,
        networks: NetworkController,
        rootfs: RootFilesystems,
        volume_use: VolumeUse,
        announcer: Announcer,
    ) -> None:
        self._tasks = tasks
        self._networks = networks
        self._rootfs = rootfs
        self._volume_use = volume_use
        self._announcer = announcer
        self._background = Background()
        self._deleting: dict[str, asyncio.Task[None]] = {}

    def is_due(self, container: Container) -> bool:
        """Whether a container that does not run has something left."""
        return self._rootfs.is_left(container)

    async def run(self, container: Container) -> None:
        """Take everything away; failures are logged, and the next reconciliation tries again."""
        if not container.torn_down:
            await self._run(container, self._delete(container.container_id))

    async def end(self, container: Container) -> None:
        """The same after its process has ended, until somebody removes the container: then the rest is the remover's."""
        if container.torn_down:
            return
        deleting = self._delete(container.container_id)
        if not VolumeUse.uses(container):
            await self._leave_early(container)
            removal = self._background.spawn(container.removal.wait())
            await asyncio.wait({deleting, removal}, return_when=asyncio.FIRST_COMPLETED)
            removal.cancel()
            if not deleting.done():
                return
        await self._run(container, deleting)

    async def release(self, container: Container) -> None:
        """What others would miss if it stayed for a moment longer: addresses, ports, volumes."""
        if VolumeUse.uses(container):
            # Only without its processes are they not used any more.
            await self.run(container)
        elif not container.torn_down:
            await self._leave_early(container)

    def _delete(self, container_id: str) -> asyncio.Task[None]:
        """The deletion of its task, which may be under way."""
        if container_id not in self._deleting:
            self._deleting[container_id] = self._background.spawn(self._tasks.delete(container_id))
            self._deleting[container_id].add_done_callback(
                lambda _: self._deleting.pop(container_id, None)
            )
        return self._deleting[container_id]

    async def _run(self, container: Container, deleting: asyncio.Task[None]) -> None:
        steps = (asyncio.shield(deleting), self._leave(container))
        failures = [
            failure
            for failure in await asyncio.gather(*steps, return_exceptions=True)
            if isinstance(failure, BaseException)
        ]
        for failure in failures:
            if not isinstance(failure, EngineError | OSError):
                raise failure
            logger.warning(
                "clean-up failed",
                extra={"container": container.container_id, "error": str(failure)},
            )
        container.torn_down = not failures
        shm.remove(container)
        mount_table.remove(container)
        self._rootfs.unmount(container)
        await self._volume_use.end(container)

    async def _leave_early(self, container: Container) -> None:
        # It is tried again, and then told.
        with contextlib.suppress(EngineError, OSError):
            await self._leave(container)

    async def _leave(self, container: Container) -> None:
        attachment = self._networks.attachment(container.container_id)
        await self._networks.detach(container.container_id)
        self._announcer.say_network(container, "disconnect", attachment)

    async def close(self) -> None:
        """What is under way is the next daemon's."""
        await self._background.close()
