"""Volume drivers by name."""

from __future__ import annotations

from typing import Protocol

from dockerd.plugins.activation import Plugins
from dockerd.volumes.model import LOCAL, Found, Volume
from dockerd.volumes.remote import RemoteDriver, drivers_of
from wire.errors import EngineError, NotFound
from wire.status import error_for

_KIND = "VolumeDriver"


class Driver(Protocol):
    """What a driver can do."""

    @property
    def name(self) -> str:
        """By which clients ask for it."""

    @property
    def scope(self) -> str:
        """``local`` or ``global``."""

    def check(self, name: str, options: dict[str, str], /) -> None:
        """Raises InvalidArgument for a name or options that it does not take."""

    async def create(self, volume: Volume, /) -> None:
        """Make the volume."""

    async def remove(self, volume: Volume, /) -> None:
        """Remove its data."""

    async def mount(self, volume: Volume, holder: str, /) -> str:
        """Make the data reachable for ``holder``; the path."""

    async def unmount(self, volume: Volume, holder: str, /, *, last: bool) -> None:
        """``holder`` needs it no more; ``last`` if nobody does."""

    async def find(self, name: str, /, *, quick: bool = False) -> Found | None:
        """What the driver knows of it; ``quick`` if nobody wants to wait for one that is starting."""

    async def list(self) -> list[Found]:
        """What the driver has, whether or not we have records of it."""


class Drivers:
    """The local driver and the plugins."""

    def __init__(self, local: Driver, plugins: Plugins) -> None:
        self._local = local
        self._plugins = plugins
        self._remote: dict[str, RemoteDriver] = {}

    async def get(self, name: str) -> Driver:
        """Raises NotFound in Docker's words."""
        if not name or name == LOCAL:
            return self._local
        try:
            address = await self._plugins.get(name, _KIND)
        except EngineError as error:
            text = f"error looking up volume plugin {name}: {error.message}"
            raise error_for(error.kind, text, error.reason, error.details) from None
        known = self._remote.get(name)
        if known is None or known.address != address:
            (known,) = await drivers_of([address])
            self._remote[name] = known
        return known

    async def remote(self) -> list[Driver]:
        """Every plugin that answers."""
        found: list[Driver] = []
        for address in await self._plugins.all(_KIND):
            try:
                found.append(await self.get(address.name))
            except NotFound:
                continue
        return found
