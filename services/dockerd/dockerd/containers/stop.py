"""`docker stop` and `docker kill`: signals, and patience."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from dockerd.background import Background
from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import restart_policy, signals, wait
from dockerd.containers.announce import Announcer
from dockerd.containers.errors import AlreadyStopped, NotRunning
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from wire.errors import EngineError, NotFound

_PATIENCE = 10


class Stopper:
    """Ends containers."""

    def __init__(self, store: ContainerStore, tasks: Tasks, announcer: Announcer) -> None:
        self._store = store
        self._tasks = tasks
        self._announcer = announcer
        self._background = Background()

    async def kill(self, reference: str, text: str) -> None:
        """Send a signal, and after SIGKILL wait for the end; raises NotRunning, InvalidSignal."""
        number = signals.number_of(text or "SIGKILL")
        container = self._store.get(reference)
        # A start in progress is waited for: its client may have seen output already, and sends us a signal.
        async with container.lock:
            if container.state.restarting:
                self._give_up(container)
                return
            if not container.running:
                raise NotRunning(container.container_id)
            container.manually_stopped = True
            container.save()
            await self._send(container, number)
        if number == signal.SIGKILL:
            await wait.until(container)

    async def stop(self, reference: str, timeout: int | None, text: str = "") -> None:
        """Ask it to end, and kill it after ``timeout`` seconds (negative: never); raises AlreadyStopped."""
        container = self._store.get(reference)
        number = signals.number_of(text) if text else signals.stop_signal(container.config)
        async with container.lock:
            if container.state.restarting:
                self._give_up(container)
                self._announcer.say(container, "stop")
                return
            if not container.running:
                raise AlreadyStopped
            container.manually_stopped = True
            container.save()
        await self.end(container, number, timeout)
        self._announcer.say(container, "stop")

    async def end(self, container: Container, number: int, timeout: int | None) -> None:
        """Send the signal, and SIGKILL when the time is over; returns when it has ended."""
        if timeout is None:
            timeout = container.config.get("StopTimeout")
        patience = _PATIENCE if timeout is None else timeout
        ended = self._background.spawn(wait.until(container))
        await self._send(container, number)
        try:
            async with asyncio.timeout(patience if patience >= 0 else None):
                await asyncio.shield(ended)
        except TimeoutError:
            await self._send(container, signal.SIGKILL)
            await asyncio.shield(ended)

    async def _send(self, container: Container, number: int) -> None:
        with contextlib.suppress(NotFound):
            await self._tasks.kill(container.container_id, number)
        if container.state.paused and number in {
            signal.SIGKILL,
            signals.stop_signal(container.config),
        }:
            # A frozen process would never see it.
            with contextlib.suppress(EngineError):
                await self._tasks.pause(container.container_id, paused=False)
        self._announcer.say(container, "kill", {"signal": str(int(number))})

    async def end_restarting(self, container: Container) -> None:
        """Have the restart that is due not happen; a start in progress is waited for."""
        async with container.lock:
            if container.state.restarting:
                self._give_up(container)

    @staticmethod
    def _give_up(container: Container) -> None:
        container.manually_stopped = True
        if restart_policy.give_up(container):
            container.save()
            wait.finish_ended(container)

    async def close(self) -> None:
        """Stop waiting."""
        await self._background.close()
