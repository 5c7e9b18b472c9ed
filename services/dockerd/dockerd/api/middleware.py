"""What happens to every request: the API version is taken off the path, the daemon's headers are put on the answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dockerd import api_version
from dockerd.api.errors import message
from dockerd.api.streams import HEADERS, URI

MAXIMUM: Final = api_version.MAXIMUM
_INSIDE: Final = re.compile(r"/(?:debug(?:/|$)|docs(?:/|$)|redoc$|openapi\.json$)")
_VERSION: Final = re.compile(r"^/v([0-9]{1,9})\.([0-9]{1,9})(?=/|$)")


def _uri(scope: Scope) -> str:
    query = scope.get("query_string", b"")
    whole: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return whole.decode("latin-1")


def _number(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


class DebugMiddleware:
    """The paths that show the daemon's inside, and FastAPI's own documents, exist only while it is debugged."""

    def __init__(self, app: ASGIApp, enabled: Callable[[], bool]) -> None:
        self._app = app
        self._enabled = enabled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if _INSIDE.match(scope["path"]) and not self._enabled():
            await message(404, "page not found")(scope, receive, send)
            return
        await self._app(scope, receive, send)


class VersionMiddleware:
    """``/v1.43/info`` is ``/info`` with ``api_version`` (1, 43) in the scope."""

    def __init__(self, app: ASGIApp, minimum: str, *, experimental: bool) -> None:
        """``minimum`` is the least version that is served."""
        self._app = app
        self._minimum = minimum
        self._headers = [
            (b"api-version", MAXIMUM.encode()),
            (b"docker-experimental", b"true" if experimental else b"false"),
            (b"ostype", b"linux"),
            (b"server", b"Docker/28.2.0 (linux)"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(event: Message) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event.get("headers", []), *self._headers]
            await send(event)

        path: str = scope["path"]
        found = _VERSION.match(path)
        version = _number(MAXIMUM)
        if found:
            version = (int(found[1]), int(found[2]))
            if version > _number(MAXIMUM):
                text = f"client version {found[1]}.{found[2]} is too new. Maximum supported API version is {MAXIMUM}"
                await message(400, text)(scope, receive, answer)
                return
            if version < _number(self._minimum):
                text = (
                    f"client version {found[1]}.{found[2]} is too old. Minimum supported API version is {self._minimum},"
                    " please upgrade your client to a newer version"
                )
                await message(400, text)(scope, receive, answer)
                return
            path = path[found.end() :] or "/"
        inner: dict[str, Any] = {
            **scope,
            "path": path,
            "raw_path": path.encode(),
            "api_version": version,
            HEADERS: self._headers,
            URI: _uri(scope),
        }
        await self._app(inner, receive, answer)
