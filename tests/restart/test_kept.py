"""What outlives dockerd is kept before its client can know of it: the supervisor holds waits and attaches first."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterator

import pytest
from tests.support.dockerd import Dockerd, own_dockerd

from dockerd.linux.sockets import has_answer


@pytest.fixture(scope="module")
def daemon() -> Iterator[Dockerd]:
    with own_dockerd() as own:
        own.start()
        yield own


@pytest.fixture
def supervisor(daemon: Dockerd) -> Iterator[socket.socket]:
    """Takes the daemon's notifications from here on."""
    path = daemon.root / "notify"
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        yield listening


def _fill(daemon: Dockerd) -> None:
    """Let the supervisor be so busy that the daemon has to wait for it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(b"busy", str(daemon.root / "notify"))


def _kept(supervisor: socket.socket) -> tuple[str, int]:
    """The next descriptor that the daemon leaves, and its name."""
    supervisor.settimeout(20)
    while True:
        data, descriptors, _, _ = socket.recv_fds(supervisor, 4096, 1)
        if descriptors:
            return data.decode().partition("FDNAME=")[2], descriptors[0]


@pytest.mark.parametrize(
    ("request_line", "head", "prefix"),
    [
        ("wait?condition=next-exit", b"HTTP/1.1 200 OK", "wait-"),
        ("attach?stream=1&stdout=1", b"HTTP/1.1 101 UPGRADED", "attach-"),
    ],
)
def test_kept_before_it_is_answered(
    daemon: Dockerd, supervisor: socket.socket, request_line: str, head: bytes, prefix: str
) -> None:
    name = daemon.docker("create", "busybox", "true")
    _fill(daemon)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(daemon.url.removeprefix("unix://"))
        client.sendall(
            f"POST /containers/{name}/{request_line} HTTP/1.1\r\nHost: d\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
        )
        assert select.select([client], [], [], 0.3)[0] == []
        known, descriptor = _kept(supervisor)
        try:
            assert known.startswith(prefix)
            client.settimeout(20)
            assert client.recv(4096).startswith(head)
            # The note follows the head; the next request is served after both.
            daemon.docker("version")
            assert has_answer(descriptor)
        finally:
            os.close(descriptor)
    daemon.docker("rm", name)
