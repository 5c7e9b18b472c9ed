"""Events of this daemon: kept on disk for `since`, streamed to who listens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

_KEPT: Final = 256
_LARGEST_FILE: Final = 1 << 20

Event = dict[str, Any]


class EventBus:
    """Publishes to every listener in order, and remembers the last events, over restarts, too."""

    def __init__(self, path: str) -> None:
        """``path`` is the file that remembers; what a crash cut off in it is left out."""
        self._path = path
        self._recent: deque[Event] = deque(_read(path), maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._file = self._rewrite()
        self.published = 0

    @property
    def listening(self) -> int:
        """How many listen now."""
        return len(self._listeners)

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
        elif kind == "image":
            event |= {"status": action, "id": actor}
        self.published += 1
        self._recent.append(event)
        self._write(event)
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

    def close(self) -> None:
        """The daemon ends."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, event: Event) -> None:
        """One line in one write: the page cache outlives the daemon, and an event is worth no fsync."""
        if self._file < 0:
            return
        # A full disk costs history, never an event.
        with contextlib.suppress(OSError):
            os.write(self._file, json.dumps(event).encode() + b"\n")
            if os.fstat(self._file).st_size > _LARGEST_FILE:
                self.close()
                self._file = self._rewrite()

    def _rewrite(self) -> int:
        """Replace the file by what is remembered; the descriptor of the new one, or -1."""
        temporary = f"{self._path}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(temporary, flags, 0o600)
            os.write(
                descriptor, b"".join(json.dumps(each).encode() + b"\n" for each in self._recent)
            )
            os.rename(temporary, self._path)
        except OSError:
            return -1
        return descriptor


def _read(path: str) -> Iterator[Event]:
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "timeNano" in event:
                yield event
