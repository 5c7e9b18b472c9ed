"""Events from services and shims to subscribers, each with a queue of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from containerd.filters.match import Filter
from wire import namespaces, typeurl
from wire.errors import InvalidArgument, ResourceExhausted
from wire.gen.containerd.types import event_pb2

_QUEUE: Final = 10_000
# Seconds that clients have to come back after a restart: those of Go pause up to three between two attempts.
_RETURN: Final = 10.0
_MISSED: Final = 1_000


class Exchange:
    """Publishes envelopes to every subscriber whose filters match, in order.

    Shims tell at once what happened while containerd was away, often before its clients have come back: who subscribes
    within the first seconds gets that, too, first.
    """

    def __init__(self) -> None:
        self._born = time.time_ns()
        self._until = time.monotonic() + _RETURN
        self._missed: list[event_pb2.Envelope] = []
        self._subscribers: list[tuple[Filter, asyncio.Queue[event_pb2.Envelope]]] = []

    def publish(self, topic: str, event: Message, *, at: Timestamp | None = None) -> None:
        """An event of ours in the current namespace; ``at`` is when it happened if that was not now."""
        envelope = event_pb2.Envelope(
            namespace=namespaces.current(), topic=topic, event=typeurl.pack(event)
        )
        if at is None:
            envelope.timestamp.GetCurrentTime()
        else:
            envelope.timestamp.CopyFrom(at)
        self.forward(envelope)

    def forward(self, envelope: event_pb2.Envelope) -> None:
        """An envelope of somebody else's; raises InvalidArgument if it is incomplete."""
        if not envelope.namespace or not envelope.topic.startswith("/"):
            raise InvalidArgument(
                f"envelope with topic {envelope.topic!r} is invalid: invalid argument"
            )
        if envelope.timestamp.ToNanoseconds() < self._born and self._welcoming():
            self._missed = [*self._missed, envelope][-_MISSED:]
        for filters, queue in self._subscribers:
            if filters.matches(partial(_field, envelope)) and queue.qsize() <= _QUEUE:
                queue.put_nowait(envelope)

    @contextlib.contextmanager
    def subscribe(self, expressions: Sequence[str]) -> Iterator[AsyncIterator[event_pb2.Envelope]]:
        """Every matching envelope from now on; reading raises ResourceExhausted for a reader that falls behind."""
        queue: asyncio.Queue[event_pb2.Envelope] = asyncio.Queue()
        filters = Filter(expressions)
        if self._welcoming():
            for envelope in self._missed:
                if filters.matches(partial(_field, envelope)):
                    queue.put_nowait(envelope)
        entry = (filters, queue)
        self._subscribers.append(entry)
        try:
            yield _taken(queue)
        finally:
            self._subscribers.remove(entry)

    def _welcoming(self) -> bool:
        if time.monotonic() < self._until:
            return True
        self._missed = []
        return False


async def _taken(queue: asyncio.Queue[event_pb2.Envelope]) -> AsyncIterator[event_pb2.Envelope]:
    while True:
        envelope = await queue.get()
        if queue.qsize() >= _QUEUE:
            raise ResourceExhausted("event subscriber is too slow")
        yield envelope


def _field(envelope: event_pb2.Envelope, path: tuple[str, ...]) -> str | None:
    match path:
        case ("namespace",):
            return str(envelope.namespace)
        case ("topic",):
            return str(envelope.topic)
        case ("event", *rest):
            value: object = typeurl.unpack(envelope.event)
            for name in rest:
                value = getattr(value, name, None)
            return None if value is None else str(value)
        case _:
            return None
