"""Drivers that are plugins: the VolumeDriver protocol of Docker's volume plugins."""

from __future__ import annotations

import asyncio
from typing import Any

from dockerd.plugins.address import Address
from dockerd.plugins.call import call
from dockerd.volumes.model import LOCAL, Found, Volume
from wire.errors import EngineError, Internal

_SCOPES = frozenset({LOCAL, "global"})


class RemoteDriver:
    """One plugin. What a call raises are Unavailable, and Internal with the plugin's words."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = address.name
        self.scope = LOCAL

    @staticmethod
    def check(_name: str, _options: dict[str, str]) -> None:
        """Only the plugin knows."""

    async def ask_scope(self) -> None:
        """Learn the scope of its volumes; older plugins do not say, and theirs is this host."""
        try:
            answer = await self._call("Capabilities", {})
            scope = str(answer.get("Capabilities", {}).get("Scope", "")).lower()
        except (EngineError, AttributeError):
            return
        if scope in _SCOPES:
            self.scope = scope

    async def create(self, volume: Volume) -> None:
        """Have it made."""
        await self._call("Create", {"Name": volume.name, "Opts": volume.options})

    async def remove(self, volume: Volume) -> None:
        """Have it removed."""
        await self._call("Remove", {"Name": volume.name})

    async def mount(self, volume: Volume, holder: str) -> str:
        """Have it mounted for ``holder``; the path."""
        answer = await self._call("Mount", {"Name": volume.name, "ID": holder})
        path = _text(answer, "Mountpoint")
        if not path.startswith("/"):
            raise Internal(
                f"VolumeDriver.Mount: {self.name} gave no absolute Mountpoint for {volume.name}: '{path}'"
            )
        return path

    async def unmount(self, volume: Volume, holder: str, *, last: bool) -> None:
        """``holder`` needs it no more. The plugin counts; ``last`` is for drivers that do not."""
        del last
        await self._call("Unmount", {"Name": volume.name, "ID": holder})

    async def find(self, name: str, *, quick: bool = False) -> Found | None:
        """None if the plugin refuses to tell: the protocol has no word for what does not exist. ``quick`` waits for no plugin."""
        patience = {"patience": 0.0} if quick else {}
        try:
            answer = await self._call("Get", {"Name": name}, **patience)
        except Internal:
            return None
        return _found(answer.get("Volume"))

    async def list(self) -> list[Found]:
        """All that it has, whoever made them."""
        volumes = (await self._call("List", {}, patience=0.0)).get("Volumes") or []
        found = (_found(each) for each in volumes)
        return [each for each in found if each is not None]

    async def _call(
        self, method: str, document: dict[str, Any], **patience: float
    ) -> dict[str, Any]:
        return await call(self.address, f"VolumeDriver.{method}", document, **patience)


def _found(document: Any) -> Found | None:
    if not isinstance(document, dict) or not document.get("Name"):
        return None
    status = document.get("Status")
    return Found(
        name=str(document["Name"]),
        mountpoint=_text(document, "Mountpoint"),
        created=_text(document, "CreatedAt"),
        status=status if isinstance(status, dict) and status else None,
    )


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


async def drivers_of(addresses: list[Address]) -> list[RemoteDriver]:
    """Drivers for plugins, with what they can do."""
    found = [RemoteDriver(address) for address in addresses]
    await asyncio.gather(*(each.ask_scope() for each in found))
    return found
