"""Taking away what a running container has besides its record."""

from __future__ import annotations

import asyncio
import logging

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
    """Task, endpoints and mount; each step is harmless when repeated, and done once after each start."""

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

    def is_due(self, container: Container) -> bool:
        """Whether a container that does not run has something left."""
        return self._rootfs.is_left(container)

    async def run(self, container: Container) -> None:
        """Take everything away; failures are logged, and the next reconciliation tries again."""
        container_id = container.container_id
        if container.torn_down:
            return
        attachment = self._networks.attachment(container_id)
        steps = (self._tasks.delete(container_id), self._networks.detach(container_id))
        failures = [
            failure
            for failure in await asyncio.gather(*steps, return_exceptions=True)
            if isinstance(failure, BaseException)
        ]
        for failure in failures:
            if not isinstance(failure, EngineError | OSError):
                raise failure
            logger.warning(
                "clean-up failed", extra={"container": container_id, "error": str(failure)}
            )
        container.torn_down = not failures
        self._announcer.say_network(container, "disconnect", attachment)
        shm.remove(container)
        mount_table.remove(container)
        self._rootfs.unmount(container)
        await self._volume_use.end(container)
