"""What happened while containerd was away reaches clients that come back a moment after it."""

from __future__ import annotations

import asyncio

import pytest

from containerd.events.exchange import Exchange
from wire.gen.containerd.types import event_pb2


def envelope(topic: str, *, seconds: float) -> event_pb2.Envelope:
    """An event that is ``seconds`` old."""
    found = event_pb2.Envelope(namespace="moby", topic=topic)
    found.timestamp.GetCurrentTime()
    found.timestamp.FromNanoseconds(found.timestamp.ToNanoseconds() - int(seconds * 1e9))
    return found


async def told(exchange: Exchange, *filters: str) -> list[str]:
    found = []
    with exchange.subscribe(filters) as envelopes:
        exchange.forward(envelope("/last", seconds=0))
        async for each in envelopes:
            found.append(each.topic)
            if each.topic == "/last":
                break
    return found


def test_old_events_wait_for_those_who_come_back() -> None:
    exchange = Exchange()
    exchange.forward(envelope("/tasks/exit", seconds=5))
    exchange.forward(envelope("/tasks/start", seconds=-1))
    assert asyncio.run(told(exchange)) == ["/tasks/exit", "/last"]
    assert asyncio.run(told(exchange, 'topic=="/last"')) == ["/last"]


def test_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange()
    exchange.forward(envelope("/tasks/exit", seconds=5))
    monkeypatch.setattr(exchange, "_until", 0.0)
    assert asyncio.run(told(exchange)) == ["/last"]
