"""The controller against the real kernel: bridge, addresses, published ports, restart and clean-up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.isolated import run_isolated

from dockerd.linux import namespaces
from dockerd.networks.controller import NetworkController
from dockerd.networks.errors import ConnectivityFailed
from dockerd.networks.leftovers import remove_leftovers
from dockerd.networks.model import Attachment, AttachRequest, NetworkSettings, PortBinding

pytestmark = pytest.mark.root


def _settings(root: Path) -> NetworkSettings:
    return NetworkSettings(
        data_root=str(root / "data"),
        exec_root=str(root / "exec"),
        bridge="dy-test",
        bip="10.99.0.1/24",
    )


def _request(name: str, ports: dict[str, tuple[PortBinding, ...]] | None = None) -> AttachRequest:
    return AttachRequest(
        container_id=name * 32,
        container_name=name,
        port_bindings=ports or {},
        exposed_ports=tuple(ports or ()),
    )


@contextlib.contextmanager
def _echo(attachment: Attachment, kind: socket.SocketKind, port: int) -> Iterator[None]:
    """A server inside the container's namespace that answers with what it got."""
    assert attachment.netns_path
    ready = threading.Event()
    stop, stopper = socket.socketpair()

    def serve() -> None:
        descriptor = os.open(attachment.netns_path or "", os.O_RDONLY)
        namespaces.setns(descriptor, namespaces.CLONE_NEWNET)
        os.close(descriptor)
        with socket.socket(socket.AF_INET, kind) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("0.0.0.0", port))
            if kind == socket.SOCK_STREAM:
                server.listen()
            ready.set()
            import select

            while True:
                readable, _, _ = select.select([server, stop], [], [])
                if stop in readable:
                    return
                if kind == socket.SOCK_STREAM:
                    connection, _ = server.accept()
                    connection.sendall(connection.recv(100))
                    connection.close()
                else:
                    data, peer = server.recvfrom(100)
                    server.sendto(data, peer)

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(5)
    try:
        yield
    finally:
        stopper.close()
        thread.join()
        stop.close()


def _ask(kind: socket.SocketKind, host: str, port: int) -> bytes:
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(3)
        client.connect((host, port))
        client.sendall(b"hello")
        return client.recv(100)


def _ask_from(attachment: Attachment, kind: socket.SocketKind, host: str, port: int) -> bytes:
    answers: list[bytes] = []

    def ask() -> None:
        descriptor = os.open(attachment.netns_path or "", os.O_RDONLY)
        namespaces.setns(descriptor, namespaces.CLONE_NEWNET)
        os.close(descriptor)
        answers.append(_ask(kind, host, port))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]


def _links() -> list[str]:
    listing = subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout
    return [link["ifname"] for link in json.loads(listing)]


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_published_port_is_reachable_from_host_loopback_and_containers(
    tmp_path: Path, kind: socket.SocketKind
) -> None:
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"

    async def scenario() -> None:
        controller = NetworkController(_settings(tmp_path))
        await controller.open()
        server = await controller.attach(
            _request("aa", {f"80/{protocol}": (PortBinding(host_port="18080"),)})
        )
        client = await controller.attach(_request("bb"))
        assert server.ports == {f"80/{protocol}": [{"HostIp": "0.0.0.0", "HostPort": "18080"}]}
        address = server.endpoints[0].ipv4
        with _echo(server, kind, 80):
            assert await asyncio.to_thread(_ask, kind, address, 80) == b"hello"
            assert await asyncio.to_thread(_ask, kind, "10.99.0.1", 18080) == b"hello"
            assert await asyncio.to_thread(_ask, kind, "127.0.0.1", 18080) == b"hello"
            assert await asyncio.to_thread(_ask_from, client, kind, address, 80) == b"hello"
            assert await asyncio.to_thread(_ask_from, client, kind, "10.99.0.1", 18080) == b"hello"
            assert await asyncio.to_thread(_ask_from, server, kind, "10.99.0.1", 18080) == b"hello"
        await controller.detach("aa" * 32)
        await controller.detach("bb" * 32)
        await controller.close()

    run_isolated(scenario)


def test_host_port_in_use_fails_and_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(_settings(tmp_path))
        await controller.open()
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 18081))
            taken.listen()
            with pytest.raises(ConnectivityFailed, match="address already in use"):
                await controller.attach(
                    _request("aa", {"80/tcp": (PortBinding(host_port="18081"),)})
                )
        assert controller.attachment("aa" * 32) is None
        assert os.listdir(tmp_path / "exec/netns") == []
        first = await controller.attach(_request("bb"))
        assert first.endpoints[0].ipv4 == "10.99.0.2"
        await controller.attach(_request("cc", {"80/tcp": (PortBinding(host_port="18081"),)}))
        with pytest.raises(ConnectivityFailed, match="port is already allocated"):
            await controller.attach(_request("dd", {"80/tcp": (PortBinding(host_port="18081"),)}))
        for name in ("bb", "cc"):
            await controller.detach(name * 32)
        await controller.close()

    run_isolated(scenario)


def test_restart_keeps_the_living_and_removes_the_dead(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(_settings(tmp_path))
        await controller.open()
        living = await controller.attach(
            _request("aa", {"80/tcp": (PortBinding(host_port="18082"),)})
        )
        await controller.attach(_request("bb", {"80/tcp": (PortBinding(host_port="18083"),)}))
        network = controller.inspect("bridge").network.network_id
        await controller.close()

        # Somebody broke things while the daemon was away.
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        subprocess.run(["ip", "link", "del", "dy-test"], check=True)
        again = NetworkController(_settings(tmp_path))
        await again.open()
        await again.reconcile({"aa" * 32})
        assert again.inspect("bridge").network.network_id == network
        assert again.attachment("bb" * 32) is None
        assert os.listdir(tmp_path / "exec/netns") == [os.path.basename(living.netns_path or "")]
        with _echo(living, socket.SOCK_STREAM, 80):
            assert await asyncio.to_thread(_ask, socket.SOCK_STREAM, "127.0.0.1", 18082) == b"hello"
        await again.detach("aa" * 32)
        await again.close()
        remove_leftovers(_settings(tmp_path))
        assert "dy-test" not in _links()
        assert subprocess.run(["nft", "list", "ruleset"], capture_output=True).stdout.strip() == b""

    run_isolated(scenario)
