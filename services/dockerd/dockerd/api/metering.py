"""How long requests take, by what they do: for the metrics, and only with them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from dockerd.metrics.meters import Meters

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Took = Callable[[str, str, float], None]

_ACTIONS: Final = tuple(
    (method, re.compile(path), timer, action)
    for method, path, timer, action in (
        ("POST", r"/containers/create", "container_actions", "create"),
        ("DELETE", r"/containers/[^/]+", "container_actions", "delete"),
        ("GET", r"/containers/[^/]+/changes", "container_actions", "changes"),
        ("POST", r"/commit", "container_actions", "commit"),
        ("POST", r"/images/create", "image_actions", "pull"),
        ("POST", r"/images/.+/push", "image_actions", "push"),
        ("DELETE", r"/images/.+", "image_actions", "delete"),
        ("GET", r"/images/.+/history", "image_actions", "history"),
        ("POST", r"/networks/[^/]+/connect", "network_actions", "connect"),
        ("POST", r"/networks/[^/]+/disconnect", "network_actions", "release"),
        ("GET", r"/info", "host_info_functions", "system_info"),
        ("GET", r"/version", "host_info_functions", "system_version"),
    )
)


class MeteringMiddleware:
    """Each request that is an action and succeeds, from its head to the end of its answer."""

    def __init__(self, app: ASGIApp, took: Took) -> None:
        self._app = app
        self._took = took

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        found = next(
            (
                (timer, action)
                for method, path, timer, action in _ACTIONS
                if scope.get("method") == method and path.fullmatch(scope["path"])
            ),
            None,
        )
        if found is None:
            await self._app(scope, receive, send)
            return
        began, succeeded = time.perf_counter(), False

        async def answer(event: Message) -> None:
            nonlocal succeeded
            if event["type"] == "http.response.start":
                succeeded = event["status"] < 400
            await send(event)

        await self._app(scope, receive, answer)
        if succeeded:
            self._took(*found, time.perf_counter() - began)


class MetricsApplication:
    """What listens at `--metrics-addr`: GET /metrics, and nothing else."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        status, kind, body = 404, "text/plain; charset=utf-8", b"404 page not found\n"
        if scope["path"] == "/metrics":
            status, kind, body = 200, _CONTENT_TYPE, self._meters.text()
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
