"""`docker restart`."""

from __future__ import annotations

import asyncio

from dockerd.containers import signals
from dockerd.containers.announce import Announcer
from dockerd.containers.model import Container
from dockerd.containers.start import Starter
from dockerd.containers.stop import Stopper
from dockerd.containers.store import ContainerStore


class Restarter:
    """Stops and starts containers, in one piece."""

    def __init__(
        self, store: ContainerStore, stopper: Stopper, starter: Starter, announcer: Announcer
    ) -> None:
        self._store = store
        self._stopper = stopper
        self._starter = starter
        self._announcer = announcer

    async def restart(self, reference: str, timeout: int | None, text: str = "") -> None:
        """Also of one that does not run; a client that leaves does not stop it half way."""
        container = self._store.get(reference)
        number = signals.number_of(text) if text else signals.stop_signal(container.config)
        await asyncio.shield(self._restart(container, timeout, number))

    async def _restart(self, container: Container, timeout: int | None, number: int) -> None:
        if container.state.restarting:
            await self._stopper.end_restarting(container)
        if container.running:
            # Neither its policy nor --rm shall act on this end.
            container.held = True
            try:
                await self._stopper.end(container, number, timeout)
                self._announcer.say(container, "stop")
            finally:
                container.held = False
        async with container.lock:
            container.manually_stopped = False
            if not container.running:
                await self._starter.run(container)
        self._announcer.say(container, "restart")
