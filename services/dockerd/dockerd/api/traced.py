"""Each request as a part of the trace that its client names in `traceparent`, or as the begin of one."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dockerd.api.streams import URI
from wire import tracing
from wire.tracing import Kind, Span

_SERVER_ERROR = 500


class TracingMiddleware:
    """Only in the application while spans are exported."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        header = next((value for key, value in scope["headers"] if key == b"traceparent"), b"")
        tracing.attach(header.decode("latin-1"))
        described = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with tracing.span(str(scope["method"]), Kind.SERVER, **described) as span:
            if span is None:
                await self._app(scope, receive, send)
                return
            await self._app(scope, receive, _watched(send, span))
            _name(span, scope)


def _watched(send: Send, span: Span) -> Send:
    async def answer(event: Message) -> None:
        if event["type"] == "http.response.start":
            span.attributes["http.response.status_code"] = event["status"]
            if event["status"] >= _SERVER_ERROR:
                span.error = f"status {event['status']}"
        await send(event)

    return answer


def _name(span: Span, scope: Scope) -> None:
    """Call a request by its route, whose names are few."""
    route: Any = scope.get("route")
    path = getattr(route, "path", "")
    if path:
        span.name = f"{scope['method']} {path}"
        span.attributes["http.route"] = path
    version = scope.get("api_version")
    if version and URI in scope:
        span.attributes["docker.api_version"] = ".".join(map(str, version))
