"""`docker rename`."""

from __future__ import annotations

from dockerd.containers import names
from dockerd.containers.announce import Announcer
from dockerd.containers.errors import EmptyName, SameName
from dockerd.containers.store import ContainerStore
from dockerd.networks.controller import NetworkController
from wire.errors import EngineError
from wire.status import error_for


class Renamer:
    """Gives containers other names."""

    def __init__(
        self, store: ContainerStore, networks: NetworkController, announcer: Announcer
    ) -> None:
        self._store = store
        self._networks = networks
        self._announcer = announcer

    async def rename(self, reference: str, name: str) -> None:
        """Raises EmptyName, SameName, InvalidName, NameInUse."""
        if not name:
            raise EmptyName
        container = self._store.get(reference)
        async with container.lock:
            if name.removeprefix("/") == container.name:
                raise SameName
            try:
                name = names.checked(f"/{name.removeprefix('/')}")
                self._store.reserve(name, container.container_id)
            except EngineError as error:
                text = f"Error when allocating new name: {error.message}"
                raise error_for(error.kind, text, error.reason, error.details) from error
            old, container.name = container.name, name
            try:
                container.save()
            except OSError:
                container.name = old
                self._store.release(name)
                raise
            self._store.release(old)
            await self._networks.rename(container.container_id, name)
        self._announcer.say(container, "rename", {"oldName": f"/{old}"})
