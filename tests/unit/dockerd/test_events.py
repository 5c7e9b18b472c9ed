"""The bus remembers, and forgets what a crash cut off."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dockerd.events.bus import EventBus
from dockerd.events.filters import wanted
from dockerd.filters import Filters


def past(bus: EventBus) -> list[str]:
    async def gather() -> list[str]:
        found = []
        stream = bus.listen(1.0, None)
        try:
            while True:
                async with asyncio.timeout(0.05):
                    found.append((await anext(stream))["Action"])
        except TimeoutError:
            return found

    return asyncio.run(gather())


def test_events_come_back_and_half_a_line_does_not(tmp_path: Path) -> None:
    path = tmp_path / "events"
    bus = EventBus(str(path))
    bus.publish("container", "create", "one", {"image": "x"})
    bus.publish("container", "start", "one", {})
    bus.close()
    with path.open("ab") as file:
        file.write(b'{"Type": "conta')
    again = EventBus(str(path))
    assert past(again) == ["create", "start"]
    again.publish("container", "die", "one", {})
    again.close()
    assert past(EventBus(str(path))) == ["create", "start", "die"]


def test_a_disk_that_cannot_be_written_costs_history_only(tmp_path: Path) -> None:
    bus = EventBus(str(tmp_path / "missing" / "events"))
    bus.publish("network", "create", "n", {})
    assert past(bus) == ["create"]


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({}, True),
        ({"type": ["container"]}, True),
        ({"type": ["image"]}, False),
        ({"event": ["exec_start"]}, True),
        ({"event": ["exec_start: sh"]}, False),
        ({"container": ["web"]}, True),
        ({"container": ["abc"]}, True),
        ({"container": ["other"]}, False),
        ({"image": ["busybox"]}, True),
        ({"image": ["busybox:1"]}, True),
        ({"label": ["a=1"]}, True),
        ({"label": ["a=2"]}, False),
        ({"scope": ["swarm"]}, False),
    ],
)
def test_filters(filters: dict[str, list[str]], passes: bool) -> None:
    event = {
        "Type": "container",
        "Action": "exec_start: ls",
        "scope": "local",
        "Actor": {"ID": "abcdef", "Attributes": {"name": "web", "image": "busybox:1", "a": "1"}},
    }
    assert wanted(event, Filters(filters)) is passes
