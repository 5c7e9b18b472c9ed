"""`docker attach`: clients are handed to the shim, now or when their container starts."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Collection
from typing import Any, Final

from dockerd.containers import handover
from dockerd.containers.announce import Announcer
from dockerd.containers.errors import IsRestarting
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.fdstore import FdStore
from dockerd.linux.sockets import has_answer
from wire.addresses import ensure_dir, short_dir
from wire.errors import Conflict

PREFIX: Final = "attach-"


Message = Callable[[str], dict[str, Any]]
Take = Callable[[Callable[[int, str], None] | None], tuple[int, str]]


class Attacher:
    """Knows where shims take clients."""

    def __init__(
        self, store: ContainerStore, announcer: Announcer, kept: FdStore, exec_root: str
    ) -> None:
        """``kept`` holds clients that wait for a start, so that they outlive this daemon."""
        self._store = store
        self._announcer = announcer
        self._kept = kept
        self._socket_dir = ensure_dir(short_dir(exec_root))
        self._notes = ensure_dir(os.path.join(exec_root, "attach"))

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

    async def attach(self, container: Container, message: Message, take: Take) -> None:
        """Take a client, and hand it over now or when the container starts.

        ``take(keep)`` answers the client and returns its descriptor and early bytes, as text; ``keep`` is for what must be there
        before the client knows. ``message`` makes the request to the shim from the early bytes.
        """
        self._announcer.say(container, "attach")
        if container.running:
            client, early = take(None)
            await handover.hand_over(self.path(container.container_id), message(early), client)
            return
        name = f"{PREFIX}{container.container_id}.{secrets.token_hex(8)}"

        def keep(client: int, early: str) -> None:
            # The note first: the next daemon drops a client without one.
            with open(os.path.join(self._notes, name), "w", encoding="utf-8") as file:
                json.dump(message(early), file)
            self._kept.keep(name, client)

        client, early = take(keep)
        container.pending.append((name, message(early), client))

    def resume_all(self, given: Collection[tuple[str, int]]) -> None:
        """The clients that wait for starts since the daemon before us: names and descriptors."""
        waiting = [each for each in given if each[0].startswith(PREFIX)]
        for name in set(os.listdir(self._notes)) - {name for name, _ in waiting}:
            self._forget(name)
        for name, client in waiting:
            container = self._store.find(name.removeprefix(PREFIX).partition(".")[0])
            try:
                with open(os.path.join(self._notes, name), encoding="utf-8") as file:
                    message = json.load(file)
            except (OSError, ValueError):
                message = None
            # A client without an answer does not know that it waits.
            if container is None or message is None or not has_answer(client):
                os.close(client)
                self._forget(name)
            else:
                container.pending.append((name, message, client))

    async def deliver(self, container: Container) -> None:
        """Hand over the clients that came before the start; their shim is there, their process does not run yet."""
        while container.pending:
            name, message, client = container.pending.pop(0)
            self._forget(name)
            await handover.hand_over(self.path(container.container_id), message, client)

    def dismiss(self, container: Container) -> None:
        """Let go of the clients of a container that will not start."""
        for name, _, client in container.pending:
            os.close(client)
            self._forget(name)
        container.pending.clear()

    def _forget(self, name: str) -> None:
        self._kept.drop(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._notes, name))
