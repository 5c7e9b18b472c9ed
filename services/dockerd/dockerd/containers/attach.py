"""`docker attach`: clients are handed to the shim, now or when their container starts."""

from __future__ import annotations

import os
from typing import Any

from dockerd.containers import handover
from dockerd.containers.announce import Announcer
from dockerd.containers.errors import IsRestarting
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from wire.addresses import ensure_dir, short_dir
from wire.errors import Conflict


class Attacher:
    """Knows where shims take clients."""

    def __init__(self, store: ContainerStore, announcer: Announcer, exec_root: str) -> None:
        self._store = store
        self._announcer = announcer
        self._socket_dir = ensure_dir(short_dir(exec_root))

    def path(self, container_id: str) -> str:
        """Where the shim of a container takes clients."""
        return f"{self._socket_dir}/{container_id[:16]}.a"

    def attachable(self, reference: str) -> Container:
        """The container, if a client may attach to it now; raises NotFound, Conflict."""
        container = self._store.get(reference)
        if container.state.paused:
            raise Conflict(f"container {reference} is paused, unpause the container before attach")
        if container.state.restarting:
            raise IsRestarting(container.container_id)
        return container

    async def attach(self, container: Container, message: dict[str, Any], client: int) -> None:
        """Hand a client over, now or when the container starts; ``client`` belongs to us from now on."""
        self._announcer.say(container, "attach")
        if container.running:
            await handover.hand_over(self.path(container.container_id), message, client)
        else:
            container.pending.append((message, client))

    async def deliver(self, container: Container) -> None:
        """Hand over the clients that came before the start; their shim is there, their process does not run yet."""
        while container.pending:
            message, client = container.pending.pop(0)
            await handover.hand_over(self.path(container.container_id), message, client)

    @staticmethod
    def dismiss(container: Container) -> None:
        """Let go of the clients of a container that will not start."""
        for _, client in container.pending:
            os.close(client)
        container.pending.clear()
