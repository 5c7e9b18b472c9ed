"""What dockerd asks registries itself, beside containerd's transfers: logins, tags, what a name stands for there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from dockerd.images.reference import Reference
from dockerd.images.registries import RegistryHosts
from wire.registry.auth import Credentials
from wire.registry.endpoint import FindCredentials
from wire.registry.hosts import DOCKER_HUB, Host, find_hosts
from wire.registry.reference import Reference as Target
from wire.registry.registry import Registry

AGENT: Final = {"User-Agent": "docker/28.2.0 (dockyard)"}
_HUB: Final = "docker.io"

Auth = Mapping[str, str]


class Repositories:
    """Opens repositories at registries, by the daemon's mirrors and insecure registries. What it opens is for threads."""

    def __init__(self, registries: RegistryHosts) -> None:
        self._registries = registries

    async def open(self, reference: Reference, auth: Auth | None) -> Registry:
        """The repository of a reference, wherever it is served; raises InvalidArgument for settings that are malformed."""
        target = Target(
            reference.host, reference.path, reference.digest or reference.tag or "latest"
        )
        own = {DOCKER_HUB, _HUB} if reference.host == _HUB else {reference.host}
        hosts = await self._hosts(reference.host)
        return Registry(target, hosts, credentials(auth, own), AGENT)

    async def itself(self, host: str) -> Host:
        """A registry's own endpoint, not its mirrors: they get no passwords."""
        return (await self._hosts(host))[-1]

    async def _hosts(self, host: str) -> list[Host]:
        directories = await self._registries.directories(host)
        return list(await asyncio.to_thread(find_hosts, host, directories))


def credentials(auth: Auth | None, hosts: frozenset[str] | set[str]) -> FindCredentials:
    """Answers for these hosts, and for no others."""
    found = None
    if auth and auth.get("registrytoken"):
        found = Credentials(header=f"Bearer {auth['registrytoken']}")
    elif auth and auth.get("identitytoken"):
        found = Credentials("", auth["identitytoken"])
    elif auth and auth.get("username"):
        found = Credentials(auth["username"], auth.get("password", ""))
    return lambda host: found if host in hosts else None
