"""Plugins by name and by what they implement."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from dockerd.plugins.address import Address, Directory
from dockerd.plugins.call import call
from wire.errors import EngineError, NotFound

logger = logging.getLogger(__name__)


class Plugins:
    """Finds and activates plugins; an activation is remembered as long as the address stays the same."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._activated: dict[Address, frozenset[str]] = {}

    async def get(self, name: str, kind: str) -> Address:
        """The plugin ``name`` that implements ``kind``, such as ``VolumeDriver``.

        Raises NotFound with Docker's words, and what a failed activation raises.
        """
        address = self._directory.find(name)
        if address is None:
            raise NotFound(f'plugin "{name}" not found')
        if kind not in await self._kinds(address):
            raise NotFound("Plugin does not implement the requested driver")
        return address

    async def all(self, kind: str) -> list[Address]:
        """Every plugin that answers at once and implements ``kind``."""
        found = await asyncio.gather(
            *(self._find(name, kind) for name in self._directory.names()),
        )
        return [address for address in found if address is not None]

    async def _find(self, name: str, kind: str) -> Address | None:
        try:
            address = self._directory.find(name)
            if address is not None and kind in await self._kinds(address, patience=0.0):
                return address
        except EngineError as error:
            logger.warning("plugin left out", extra={"plugin": name, "error": error.message})
        return None

    async def _kinds(self, address: Address, **patience: float) -> frozenset[str]:
        known = self._activated.get(address)
        if known is None:
            answer: dict[str, Any] = await call(address, "Plugin.Activate", {}, **patience)
            known = frozenset(answer.get("Implements") or [])
            self._activated[address] = known
        return known
