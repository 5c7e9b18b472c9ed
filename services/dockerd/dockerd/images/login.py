"""`docker login`: whether a registry takes a user's name and password."""

from __future__ import annotations

import asyncio
import urllib.parse
from http import HTTPStatus
from typing import Any, Final

from dockerd.images.repositories import AGENT, Auth, Repositories, credentials
from wire.errors import Internal, InvalidArgument, Unauthenticated
from wire.registry.endpoint import Endpoint
from wire.registry.hosts import Host

_HUB: Final = "docker.io"
_INDEXES: Final = frozenset({"", "index.docker.io", "registry-1.docker.io", _HUB})


class Login:
    """Tries credentials."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    async def check(self, auth: Auth) -> dict[str, Any]:
        """POST /auth; raises Unauthenticated, RegistryFailed, Internal for a registry that answers with something else."""
        server = _server(auth.get("serveraddress") or "")
        host = await self._repositories.itself(server)
        token = await asyncio.to_thread(_try, host, auth)
        return {"Status": "Login Succeeded", "IdentityToken": token}


def _server(address: str) -> str:
    """The host of a registry's address, which may be a URL."""
    text = address if "://" in address else f"https://{address}"
    try:
        parts = urllib.parse.urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise InvalidArgument(f"unable to parse server address: {error}") from None
    return _HUB if parts.netloc in _INDEXES else parts.netloc


def _try(host: Host, auth: Auth) -> str:
    """The identity token that a token service gives in place of a password, if it does."""
    endpoint = Endpoint(
        host,
        "",
        registry=host.authority,
        credentials=credentials(auth, {host.authority}),
        headers=AGENT,
        offline=True,
    )
    try:
        response = endpoint.get("", {})
    except Unauthenticated as error:
        url = endpoint.absolute(f"{host.path}/")
        raise Unauthenticated(f'Get "{url}": {error.message}') from error
    # Whether it speaks TLS is known only now.
    url = endpoint.absolute(f"{host.path}/")
    response.read()
    endpoint.forget()
    if response.status != HTTPStatus.OK:
        text = f"login attempt to {url} failed with status: {response.status} {response.reason}"
        kind = Unauthenticated if response.status == HTTPStatus.UNAUTHORIZED else Internal
        raise kind(text)
    return endpoint.identity_token
