"""Which of the clients that the daemon before us kept go on waiting."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from dockerd.containers.attach import Attacher
from dockerd.containers.tombstones import Tombstones
from dockerd.containers.wait import Waits
from dockerd.linux.sockets import note_answer

_ID = "c" * 64


class Kept:
    """In place of the supervisor's store."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def drop(self, name: str) -> None:
        self.dropped.append(name)


class Containers:
    """In place of the store: ``container``, if there is one."""

    def __init__(self, container: Any = None) -> None:
        self.container = container

    def find(self, _name: str) -> Any:
        return self.container


class Waiting:
    """A container that has not been started."""

    def __init__(self) -> None:
        self.pending: list[tuple[str, dict[str, Any], int]] = []


async def _told(client: socket.socket) -> bytes:
    client.setblocking(False)
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), 20)


@pytest.mark.parametrize("answered", [True, False])
def test_a_wait(tmp_path: Path, answered: bool) -> None:
    """Of a container that is gone, so that the answer comes at once."""

    async def scenario() -> bytes:
        kept, tombstones = Kept(), Tombstones(str(tmp_path))
        tombstones.put(_ID, 7)
        waits: Any = Waits(Containers(), kept, tombstones)  # type: ignore[arg-type]
        ours, client = socket.socketpair()
        with client:
            if answered:
                note_answer(ours.fileno())
            name = f"wait-{_ID}.not-running.0.1x1"
            waits.resume_all([(name, ours.detach())])
            told = await _told(client)
        assert kept.dropped == [name]
        await waits.close()
        return told

    told = asyncio.run(scenario())
    assert (json.loads(told.split(b"\r\n")[1]) == {"StatusCode": 7}) if answered else told == b""


@pytest.mark.parametrize("answered", [True, False])
def test_an_attach(tmp_path: Path, answered: bool) -> None:
    async def scenario() -> None:
        container, kept = Waiting(), Kept()
        attacher = Attacher(Containers(container), None, kept, str(tmp_path))  # type: ignore[arg-type]
        ours, client = socket.socketpair()
        with client:
            if answered:
                note_answer(ours.fileno())
            name = f"attach-{_ID}.1"
            (tmp_path / "attach" / name).write_text("{}")
            descriptor = ours.detach()
            attacher.resume_all([(name, descriptor)])
            if answered:
                assert container.pending == [(name, {}, descriptor)]
                socket.close(descriptor)
            else:
                assert container.pending == []
                assert await _told(client) == b""
            assert (tmp_path / "attach" / name).exists() is answered
        assert kept.dropped == ([] if answered else [name])

    asyncio.run(scenario())
