"""Events of this daemon: kept for `since`, streamed to who listens."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

_KEPT: Final = 256

Event = dict[str, Any]


class EventBus:
    """Publishes to every listener in order."""

    def __init__(self) -> None:
        self._recent: deque[Event] = deque(maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[Event]] = set()

    def publish(self, kind: str, action: str, actor: str, attributes: dict[str, str]) -> None:
        """One event, in Docker's shape."""
        now = time.time_ns()
        event: Event = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": actor, "Attributes": attributes},
            "scope": "local",
            "time": now // 1_000_000_000,
            "timeNano": now,
        }
        if kind == "container":
            event |= {"status": action, "id": actor, "from": attributes.get("image", "")}
        self._recent.append(event)
        for listener in self._listeners:
            listener.put_nowait(event)

    async def listen(self, since: float | None, until: float | None) -> AsyncIterator[Event]:
        """Past events from ``since``, then those to come until ``until`` (seconds since 1970)."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            if since is not None:
                for event in tuple(self._recent):
                    if event["timeNano"] / 1e9 >= since and (
                        until is None or event["timeNano"] / 1e9 <= until
                    ):
                        yield event
            while True:
                left = None if until is None else until - time.time()
                if left is not None and left <= 0:
                    return
                try:
                    async with asyncio.timeout(left):
                        event = await queue.get()
                except TimeoutError:
                    return
                yield event
        finally:
            self._listeners.discard(queue)
