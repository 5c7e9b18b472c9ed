"""All plugins in their order: each of them must allow what is done (Docker's authorization plugin protocol)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dockerd.config import LiveConfig
from dockerd.plugins.activation import Plugins
from dockerd.plugins.call import call
from wire.errors import EngineError, Internal, InvalidArgument, PermissionDenied

KIND: Final = "authz"
_REQUEST: Final = "AuthZPlugin.AuthZReq"
_ANSWER: Final = "AuthZPlugin.AuthZRes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as plugins see it; ``certificate`` is the client's in PEM, ``body`` None where it is none of theirs."""

    method: str
    uri: str
    headers: Mapping[str, str]
    user: str = ""
    certificate: str = ""
    body: bytes | None = None

    def document(self) -> dict[str, Any]:
        """In the protocol's JSON, where empty fields are left out."""
        found: dict[str, Any] = {
            "User": self.user,
            "UserAuthNMethod": "TLS" if self.certificate else "",
            "RequestMethod": self.method,
            "RequestUri": self.uri,
            "RequestBody": _encoded(self.body),
            "RequestHeaders": dict(self.headers),
        }
        if self.certificate:
            found["RequestPeerCertificates"] = [_encoded(self.certificate.encode())]
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer as plugins see it."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None = None


class Authorization:
    """Asks the plugins that the configuration names now."""

    def __init__(self, plugins: Plugins, config: LiveConfig) -> None:
        self._plugins = plugins
        self._config = config

    @property
    def active(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._config.current.authorization_plugins)

    async def check(self, names: Sequence[str]) -> None:
        """Raises InvalidArgument if one of these is no authorization plugin that can be reached."""
        for name in names:
            try:
                await self._plugins.get(name, KIND)
            except EngineError as error:
                raise InvalidArgument(
                    f"failed to validate authorization plugin: {error.message}"
                ) from None

    async def request(self, asked: Asked) -> None:
        """May it be carried out? Raises PermissionDenied, Internal for a plugin that fails."""
        await self._ask(_REQUEST, asked.document())

    async def answer(self, asked: Asked, answered: Answered) -> None:
        """May it be told? Raises as ``request``."""
        more = {
            "ResponseStatusCode": answered.status,
            "ResponseHeaders": dict(answered.headers),
            "ResponseBody": _encoded(answered.body),
        }
        found = {key: value for key, value in more.items() if value}
        await self._ask(_ANSWER, {**asked.document(), **found})

    async def _ask(self, method: str, document: dict[str, Any]) -> None:
        for name in self._config.current.authorization_plugins:
            try:
                address = await self._plugins.get(name, KIND)
                verdict = await call(address, method, document)
            except EngineError as error:
                problem = f"plugin {name} failed with error: {error.message}"
                raise Internal(problem) from None
            if verdict.get("Allow") is not True:
                raise PermissionDenied(
                    f"authorization denied by plugin {name}: {verdict.get('Msg') or ''}"
                )


def _encoded(data: bytes | None) -> str:
    return base64.b64encode(data).decode() if data else ""
