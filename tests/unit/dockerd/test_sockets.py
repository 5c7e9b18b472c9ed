"""How much of what was written the other end of a socket has read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from dockerd.linux.sockets import read_by_peer

_LONG = 20.0
_SHORT = 0.05


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with near, far:
        yield near, far


def test_nothing_written_is_not_waited_for(ends: tuple[socket.socket, socket.socket]) -> None:
    assert asyncio.run(read_by_peer(ends[0].fileno(), _LONG))


def test_waits_until_the_last_byte_is_read(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends

    async def body() -> None:
        near.sendall(b"one")
        near.sendall(b"two")
        waiting = asyncio.create_task(read_by_peer(near.fileno(), _LONG))
        await asyncio.sleep(0)
        assert far.recv(3) == b"one"
        assert not (await asyncio.wait([waiting], timeout=_SHORT))[0]
        assert far.recv(100) == b"two"
        assert await waiting

    asyncio.run(body())


def test_a_peer_that_does_not_read_is_not_waited_for_long(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ends[0].sendall(b"one")
    assert not asyncio.run(read_by_peer(ends[0].fileno(), _SHORT))


def test_a_peer_that_is_gone_has_nothing_unread(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends

    async def body() -> None:
        near.sendall(b"one")
        waiting = asyncio.create_task(read_by_peer(near.fileno(), _LONG))
        await asyncio.sleep(0)
        far.close()
        assert await waiting

    asyncio.run(body())


def test_other_sockets_do_not_know() -> None:
    with socket.socket() as client:
        assert not asyncio.run(read_by_peer(client.fileno(), _LONG))
