"""`docker rm`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import Final

from dockerd.background import Background
from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import wait
from dockerd.containers.announce import Announcer
from dockerd.containers.attach import Attacher
from dockerd.containers.errors import RemovalInProgress, RemovalOfRunning
from dockerd.containers.image_mounts import ImageMounts
from dockerd.containers.model import Container
from dockerd.containers.restart_policy import Backoff
from dockerd.containers.state import NEVER
from dockerd.containers.stop import Stopper
from dockerd.containers.store import ContainerStore
from dockerd.containers.teardown import Teardown
from dockerd.containers.tombstones import Tombstones
from dockerd.volumes.catalog import Catalog
from wire.errors import EngineError, Unavailable

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Remover:
    """Removes containers, and with them their anonymous volumes."""

    def __init__(
        self,
        *,
        store: ContainerStore,
        tasks: Tasks,
        volumes: Catalog,
        image_mounts: ImageMounts,
        stopper: Stopper,
        teardown: Teardown,
        attacher: Attacher,
        announcer: Announcer,
        backoff: Backoff,
        tombstones: Tombstones,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._volumes = volumes
        self._image_mounts = image_mounts
        self._stopper = stopper
        self._teardown = teardown
        self._attacher = attacher
        self._announcer = announcer
        self._backoff = backoff
        self._tombstones = tombstones
        self._background = Background()

    async def remove(self, reference: str, *, force: bool, volumes: bool) -> None:
        """Remove; raises RemovalOfRunning without ``force``, RemovalInProgress."""
        container = self._store.get(reference)
        if container.removing:
            raise RemovalInProgress(reference)
        if (container.running or container.state.restarting) and not force:
            raise RemovalOfRunning(reference, container.container_id, container.state.status)
        await self._remove(container, volumes=volumes)

    async def _remove(self, container: Container, *, volumes: bool) -> None:
        container.removing, container.removing_volumes = True, volumes
        container.removal.set()
        try:
            if _takes_steps(container, volumes=volumes):
                # By this mark the next daemon finishes what this one may not.
                container.save()
            await self._end(container)
            async with container.lock:
                if container.running:
                    # A start that was under way has gone through.
                    await self._tasks.delete(container.container_id)
                await self._teardown.release(container)
                if volumes:
                    await self._remove_anonymous(container)
                if container.waiters:
                    self._tombstones.put(container.container_id, container.state.exit_code)
                container.retire()
                self._store.discard(container)
        except Exception:
            # Only a failure is taken back: a daemon that ends leaves the mark.
            container.removing = container.removal_due = False
            container.removal.clear()
            with contextlib.suppress(OSError):
                container.save()
            raise
        self._attacher.dismiss(container)
        self._backoff.forget(container)
        self._announcer.say(container, "destroy")
        wait.finish_removed(container)
        # Nobody can see the rest any more.
        self._background.begin(self._finish(container))

    def finish(self, container: Container) -> None:
        """Take away what an earlier daemon has left of a container that it had removed."""
        self._background.begin(self._finish(container))

    async def _finish(self, container: Container) -> None:
        """What is not done when this daemon ends is done by the next."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._teardown.run(container)
                await self._tasks.remove_snapshot(container.container_id)
                await self._image_mounts.remove(container.container_id, container.directory)
                container.erase()
            except Unavailable:
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            except (EngineError, OSError) as error:
                logger.warning(
                    "something is left of a removed container",
                    extra={"container": container.container_id, "error": str(error)},
                )
                return
            else:
                return

    async def _end(self, container: Container) -> None:
        if container.state.restarting:
            await self._stopper.end_restarting(container)
        if container.running:
            container.manually_stopped = True
            await self._stopper.end(container, signal.SIGKILL, None)

    def resume(self, container: Container) -> None:
        """Finish a removal that an earlier daemon began, or owed to ``--rm``."""
        volumes = container.removing_volumes or bool(container.host.get("AutoRemove"))
        self._background.begin(self._resume(container, volumes=volumes))

    async def _resume(self, container: Container, *, volumes: bool) -> None:
        async with container.lock:
            # Meanwhile a client may have started it, or removed it.
            gone = self._store.find(container.container_id) is not container
            wanted = not container.removal_due and (container.running or container.state.restarting)
            if gone or wanted or container.removing:
                return
            container.removing = True
        await self._insist(container, volumes=volumes)

    async def _insist(self, container: Container, *, volumes: bool) -> None:
        """Nobody would ask for this removal again: it outlasts a containerd that is away."""
        pause = _FIRST_PAUSE
        while self._store.find(container.container_id) is container:
            try:
                await self._remove(container, volumes=volumes)
            except Unavailable:
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            except EngineError as error:
                logger.warning(
                    "removal failed",
                    extra={"container": container.container_id, "error": error.message},
                )
                return
            else:
                return

    def remove_soon(self, container: Container) -> None:
        """For ``--rm``: in the background, by force, with its anonymous volumes."""
        self._background.begin(self._remove_quietly(container))

    async def _remove_quietly(self, container: Container) -> None:
        if not container.removing:
            container.removing = True
            await self._insist(container, volumes=True)

    async def _remove_anonymous(self, container: Container) -> None:
        for point in container.mounts:
            if point["Type"] == "volume":
                volume = self._volumes.record(point["Name"])
                if volume is not None and volume.anonymous:
                    with contextlib.suppress(EngineError):
                        await self._volumes.remove(volume.name, but=container.container_id)

    async def close(self) -> None:
        """Leave the rest to the next daemon."""
        await self._background.close()


def _takes_steps(container: Container, *, volumes: bool) -> bool:
    """Whether a daemon that dies could leave it half removed; what goes by itself needs no mark after its end."""
    if container.host.get("AutoRemove") and container.state.started_at != NEVER:
        return False
    return container.running or container.state.restarting or (volumes and bool(container.mounts))
