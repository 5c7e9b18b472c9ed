"""Requests that have not been answered yet: a daemon that ends waits for them, and for no stream."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class UnderWay:
    """Counts them."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def begin(self) -> None:
        """One more."""
        self._count += 1
        self._none.clear()

    def end(self) -> None:
        """One less."""
        self._count -= 1
        if not self._count:
            self._none.set()

    async def finish(self, patience: float | None) -> bool:
        """Wait so many seconds, None for ever; whether all of them are answered."""
        try:
            async with asyncio.timeout(patience):
                await self._none.wait()
        except TimeoutError:
            return False
        return True


class UnderWayMiddleware:
    """Each request is under way until its answer is complete, or until that turns out to be a stream."""

    def __init__(self, app: ASGIApp, requests: UnderWay) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        counted = True
        self._requests.begin()

        async def answer(event: Message) -> None:
            nonlocal counted
            if counted and event["type"] == "http.response.start" and _streams(event):
                counted = False
                self._requests.end()
            await send(event)

        try:
            await self._app(scope, receive, answer)
        finally:
            if counted:
                self._requests.end()


def _streams(event: Message) -> bool:
    if event["status"] in {204, 304}:
        return False
    return all(name.lower() != b"content-length" for name, _ in event.get("headers", []))
