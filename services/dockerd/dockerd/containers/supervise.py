"""From below upwards: ends of processes become states, policies act on them, and a daemon that starts finds the truth."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from dockerd.background import Background
from dockerd.containerd_client.tasks import Exited, TaskEvent, Tasks, TaskState
from dockerd.containers import restart_policy, wait
from dockerd.containers.announce import Announcer
from dockerd.containers.health import HealthMonitor
from dockerd.containers.image_mounts import ImageMounts
from dockerd.containers.model import Container, moment, now, seconds_of
from dockerd.containers.remove import Remover
from dockerd.containers.restart_policy import Backoff
from dockerd.containers.start import Starter
from dockerd.containers.state import Change
from dockerd.containers.store import ContainerStore
from dockerd.containers.teardown import Teardown
from dockerd.linux import cgroups
from dockerd.spec import resources
from dockerd.volumes.catalog import Catalog
from wire.errors import EngineError

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_KILLED: Final = 137


class Supervisor:
    """Watches containerd, for as long as the daemon lives."""

    def __init__(
        self,
        *,
        store: ContainerStore,
        tasks: Tasks,
        starter: Starter,
        remover: Remover,
        teardown: Teardown,
        announcer: Announcer,
        backoff: Backoff,
        health: HealthMonitor,
        volumes: Catalog,
        image_mounts: ImageMounts,
        on_exec_exit: Callable[[str, str, Exited], None],
        on_reconcile: Callable[[], Awaitable[None]],
    ) -> None:
        """``on_exec_exit`` hears of ends of execs: container, exec, status; ``on_reconcile`` comes after ours."""
        self._store = store
        self._tasks = tasks
        self._starter = starter
        self._remover = remover
        self._teardown = teardown
        self._announcer = announcer
        self._backoff = backoff
        self._health = health
        self._volumes = volumes
        self._image_mounts = image_mounts
        self._on_exec_exit = on_exec_exit
        self._on_reconcile = on_reconcile
        self._background = Background()

    # -- watching

    async def watch(self) -> None:
        """Follow containerd's events for ever; after each interruption the truth is fetched again."""
        pause = _FIRST_PAUSE
        while True:
            subscribed = asyncio.Event()
            watching = self._background.spawn(self._watch_once(subscribed.set))
            try:
                # What ends after the truth was fetched must come as an event.
                await subscribed.wait()
                await self.reconcile()
                pause = _FIRST_PAUSE
                await watching
            except (EngineError, OSError) as error:
                logger.warning("containerd is away", extra={"error": str(error)})
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _watch_once(self, on_subscribed: Callable[[], None]) -> None:
        async for event in self._tasks.watch(on_subscribed):
            if event.kind == "oom":
                self._oom(event.container_id)
            elif event.exited is not None:
                if event.process_id == event.container_id:
                    self._background.begin(self._exited(event))
                else:
                    self._on_exec_exit(event.container_id, event.process_id, event.exited)

    def _oom(self, container_id: str) -> None:
        """The kernel killed a process of the container for memory."""
        container = self._store.find(container_id)
        if container is not None and not container.state.oom_killed:
            container.state.oom_killed = True
            self._announcer.say(container, "oom")

    # -- ends

    async def _exited(self, event: TaskEvent) -> None:
        container = self._store.find(event.container_id)
        if container is None or event.exited is None:
            return
        async with container.lock:
            # A shim repeats what containerd was not there to hear: the end may be that of an earlier run.
            known = self._store.find(event.container_id) is container
            if known and container.running and event.pid in {0, container.state.pid}:
                await self._end(container, event.exited)

    async def _end(self, container: Container, ended: Exited) -> None:
        # The event of it may have come while nobody listened; the cgroup stays until the task is deleted.
        if cgroups.oom_kills(resources.cgroup_path(container.container_id, container.host)):
            self._oom(container.container_id)
        self._health.stop(container)
        at = ended.at / 1e9
        restarts = not container.held and restart_policy.restarts(container, ended.status)
        removes = bool(container.host.get("AutoRemove")) and not restarts and not container.held
        state = container.state
        state.change(Change.BACK_OFF if restarts else Change.END)
        state.pid, state.exit_code, state.finished_at = 0, ended.status, moment(at)
        if restarts:
            container.restart_count += 1
        # Durable before visible: a client that saw the end must find it after a crash.
        container.save()
        duration = max(0, int(at - seconds_of(state.started_at)))
        attributes = {"exitCode": str(ended.status), "execDuration": str(duration)}
        self._announcer.say(container, "die", attributes)
        if not removes:
            wait.finish_ended(container)
        await self._teardown.end(container)
        if restarts:
            delay = self._backoff.next(container, at)
            container.restarting = self._background.spawn(self._restart_later(container, delay))
        elif removes:
            wait.finish_ended(container)
            self._remover.remove_soon(container)

    async def _restart_later(self, container: Container, delay: float) -> None:
        await asyncio.sleep(delay)
        async with container.lock:
            container.restarting = None
            if container.removing or not container.state.restarting:
                return
            with contextlib.suppress(EngineError):
                await self._starter.run(container)

    # -- reconciling

    async def reconcile(self) -> None:
        """Bring the records in line with containerd."""
        for container in self._store:
            async with container.lock:
                await self._reconcile(container, await self._tasks.state(container.container_id))
        await self._on_reconcile()
        logger.info("reconciled", extra={"containers": sum(1 for _ in self._store)})

    async def _reconcile(self, container: Container, found: TaskState | None) -> None:
        runs = found is not None and found.running
        if container.running and runs:
            self._health.resume(container)
        if container.running and not runs:
            lost = Exited(_KILLED, time.time_ns())
            await self._end(container, found.exited or lost if found is not None else lost)
        elif found is not None and runs and not container.running and not container.removing:
            # Started by a daemon that died before it could write that down.
            container.state.change(Change.START)
            if found.paused:
                container.state.change(Change.PAUSE)
            container.state.pid, container.state.started_at = found.pid, now()
            container.save()
        elif not container.running and (found is not None or self._teardown.is_due(container)):
            # Of a start, or of an end, that was cut short.
            container.torn_down = False
            await self._teardown.run(container)

    async def sweep(self) -> None:
        """At the daemon's start: take away what is left of removed containers, and of creations that have no record yet."""
        for container in self._store.retired():
            self._remover.finish(container)
        for container_id in self._store.unfinished():
            try:
                await self._tasks.remove_snapshot(container_id)
                await self._image_mounts.remove(container_id, self._store.directory(container_id))
                await self._volumes.forget_made_for(container_id)
                self._store.sweep(container_id)
            except EngineError as error:
                logger.warning("sweep", extra={"container": container_id, "error": error.message})

    def start_wanted(self) -> None:
        """At the daemon's start: removals that were begun are finished, and containers whose policy says so are started."""
        for container in self._store:
            if _is_owed_removal(container):
                self._remover.resume(container)
            elif restart_policy.wanted_at_start(container) and container.restarting is None:
                if not container.state.restarting:
                    container.state.change(Change.BACK_OFF)
                container.restarting = self._background.spawn(self._restart_later(container, 0))

    async def close(self) -> None:
        """Stop watching; containers go on."""
        await self._background.close()


def _is_owed_removal(container: Container) -> bool:
    """Whether its removal was begun, or it was to go by itself and does not run (as in Docker, also if it never did).

    The CLI waits for the removal of a `--rm` container whose start it saw fail, because the daemon was killed.
    """
    removes = bool(container.host.get("AutoRemove")) and not container.running
    if container.removing:
        return False
    return container.removal_due or (removes and not container.state.restarting)
