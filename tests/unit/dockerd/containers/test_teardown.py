"""What an end leaves to take away, and how a removal cuts that short."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from dockerd.containers.model import Container
from dockerd.containers.teardown import Teardown
from wire.errors import Unavailable

_VOLUME = {"Type": "volume", "Name": "kept", "Destination": "/kept"}


class Below:
    """Tasks, networks, mounts and volumes; a deletion lasts until it is allowed."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.allowed = asyncio.Event()
        self.attached = True

    async def delete(self, container_id: str) -> None:
        self.told.append("delete")
        await self.allowed.wait()
        self.told.append("deleted")

    def attachment(self, container_id: str) -> str | None:
        return "an attachment" if self.attached else None

    async def detach(self, container_id: str) -> None:
        if self.attached:
            self.told.append("detach")
        self.attached = False

    def say_network(self, container: Container, action: str, attachment: str | None) -> None:
        if attachment:
            self.told.append(action)

    def unmount(self, container: Container) -> None:
        self.told.append("unmount")

    async def end(self, container: Container) -> None:
        self.told.append("volumes")


def made(directory: Path, *mounts: dict[str, Any]) -> tuple[Teardown, Below, Container]:
    below = cast("Any", Below())
    container = Container(
        container_id="c" * 64,
        name="c",
        created="",
        image="",
        image_name="",
        top="",
        config={},
        host={},
        networking={},
        path="",
        args=[],
        mounts=list(mounts),
        directory=str(directory),
    )
    return Teardown(below, below, below, below, below), below, container


async def test_a_removal_does_not_wait_for_the_task(tmp_path: Path) -> None:
    teardown, below, container = made(tmp_path)
    ending = asyncio.ensure_future(teardown.end(container))
    await asyncio.sleep(0.01)
    assert not ending.done()
    container.removal.set()
    await ending
    await teardown.release(container)
    assert sorted(below.told) == ["delete", "detach", "disconnect"]
    assert not container.torn_down
    finishing = asyncio.ensure_future(teardown.run(container))
    await asyncio.sleep(0.01)
    assert not finishing.done()
    below.allowed.set()
    await finishing
    # Once each.
    assert below.told[3:] == ["deleted", "unmount", "volumes"]
    assert container.torn_down
    await teardown.run(container)
    assert len(below.told) == 6


async def test_without_a_removal_an_end_takes_everything_away(tmp_path: Path) -> None:
    teardown, below, container = made(tmp_path)
    below.allowed.set()
    await teardown.end(container)
    assert container.torn_down
    assert sorted(below.told) == sorted(
        ["delete", "deleted", "detach", "disconnect", "unmount", "volumes"]
    )


@pytest.mark.parametrize("verb", ["end", "release"])
async def test_volumes_are_used_until_the_task_is_gone(tmp_path: Path, verb: str) -> None:
    teardown, below, container = made(tmp_path, _VOLUME)
    container.removal.set()
    waiting = asyncio.ensure_future(getattr(teardown, verb)(container))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    below.allowed.set()
    await waiting
    assert container.torn_down
    assert below.told.index("deleted") < below.told.index("volumes")


async def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    teardown, below, container = made(tmp_path)

    async def away(container_id: str) -> None:
        raise Unavailable("containerd is away")

    kept, cast("Any", below).delete = below.delete, away
    await teardown.end(container)
    assert not container.torn_down
    cast("Any", below).delete = kept
    below.allowed.set()
    await teardown.run(container)
    assert container.torn_down
