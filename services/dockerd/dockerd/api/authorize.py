"""Every request and every answer goes by the authorization plugins, if there are any.

What a plugin is shown is what is carried out: the body is read to its end first, whatever the headers say of its length, and
the same bytes are handed on. A body too large to be shown is refused (CVE-2024-41110, CVE-2026-34040).
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dockerd.api.errors import message
from dockerd.api.hijack import PEER
from dockerd.api.streams import URI
from dockerd.authorization.chain import Answered, Asked, Authorization
from wire.errors import EngineError
from wire.status import http_status

logger = logging.getLogger(__name__)

_LARGEST: Final = 4 << 20
# So much more is read and dropped, so that its sender hears why.
_DRAINED: Final = 64 << 20
_JSON: Final = "application/json"
# Credentials are nobody's business.
_SECRET: Final = frozenset({"authorization", "x-registry-auth", "x-registry-config"})
_ELSEWHERE: Final = frozenset({"host", "transfer-encoding"})
_AUTH: Final = re.compile(r"/auth(?:/|$)")


class AuthorizationMiddleware:
    """Asks before and after."""

    def __init__(self, app: ASGIApp, authorization: Authorization) -> None:
        self._app = app
        self._authorization = authorization

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if not self._authorization.active:
            await self._app(scope, receive, send)
            return
        body: bytes | None = None
        shown = _shown(scope["path"], scope["headers"])
        if shown:
            body = await _read(receive)
            if body is None:
                text = f"request body too large for authorization plugin: size exceeds {_LARGEST} bytes"
                await message(403, text)(scope, receive, send)
                return
        asked = _asked(scope, body)
        try:
            await self._authorization.request(asked)
        except EngineError as error:
            await message(http_status(error.kind), error.message)(scope, receive, send)
            return
        answer = _Answer(self._authorization, asked, scope["path"], send)
        await self._app(scope, receive if body is None else _replay(body, receive), answer.send)
        await answer.finish()


class _Answer:
    """Holds an answer back until the plugins have allowed it; one without a length is a stream, and judged by its head."""

    def __init__(self, authorization: Authorization, asked: Asked, path: str, send: Send) -> None:
        self._authorization = authorization
        self._asked = asked
        self._path = path
        self._send = send
        self._head: Message | None = None
        self._body = bytearray()
        self._passing = False
        self._denied = False

    async def send(self, event: Message) -> None:
        if self._denied:
            return
        if self._passing:
            await self._send(event)
            return
        if event["type"] == "http.response.start":
            self._head = event
            if not _has_length(event):
                await self._judge(None)
            return
        self._body += event.get("body", b"")
        if not event.get("more_body") or len(self._body) > _LARGEST:
            await self._judge(event)

    async def finish(self) -> None:
        """A connection that was taken over has no answer that could be held back; plugins hear of it."""
        if self._head is not None:
            return
        try:
            await self._authorization.answer(self._asked, Answered(status=101, headers={}))
        except EngineError as error:
            logger.warning(
                "a stream was begun before its answer was denied", extra={"error": error.message}
            )

    async def _judge(self, last: Message | None) -> None:
        assert self._head is not None
        headers = self._head.get("headers", [])
        answered = Answered(
            status=self._head["status"],
            headers=_flat(headers),
            body=bytes(self._body) if self._body and _shown(self._path, headers) else None,
        )
        try:
            await self._authorization.answer(self._asked, answered)
        except EngineError as error:
            self._denied = True
            refusal = message(http_status(error.kind), error.message)
            await refusal({"type": "http"}, _nothing, self._send)
            return
        self._passing = True
        await self._send(self._head)
        if last is not None:
            await self._send({**last, "body": bytes(self._body)})


def _asked(scope: Scope, body: bytes | None) -> Asked:
    peer: dict[str, Any] = scope["extensions"].get(PEER) or {}
    certificate: bytes = peer.get("certificate") or b""
    return Asked(
        method=scope["method"],
        uri=scope[URI],
        headers=_flat(scope["headers"]),
        user=peer.get("name") or "",
        certificate=ssl.DER_cert_to_PEM_cert(certificate) if certificate else "",
        body=body,
    )


def _flat(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """One value for each name in Go's notation; the first of several, as our routes see it."""
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.decode("latin-1").lower()
        # The upgrade has another name inside of the daemon.
        lower = "upgrade" if lower == "x-upgrade" else lower
        if lower not in _SECRET and lower not in _ELSEWHERE:
            found.setdefault(lower.title(), value.decode("latin-1"))
    return found


def _shown(path: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether plugins see the body: JSON alone, and never credentials."""
    kinds = [value for name, value in headers if name.lower() == b"content-type"]
    kind = kinds[0].decode("latin-1").partition(";")[0].strip().lower() if kinds else ""
    return kind == _JSON and not _AUTH.match(path)


def _has_length(event: Message) -> bool:
    return event["status"] in {204, 304} or any(
        name.lower() == b"content-length" for name, _ in event.get("headers", [])
    )


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None for one that is larger than plugins are shown."""
    body = bytearray()
    length = 0
    while True:
        event = await receive()
        if event["type"] == "http.request":
            length += len(event.get("body", b""))
            if length <= _LARGEST:
                body += event.get("body", b"")
            if event.get("more_body") and length <= _DRAINED:
                continue
        return bytes(body) if length <= _LARGEST else None


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
