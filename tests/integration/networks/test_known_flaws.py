"""Flaws of Docker's networks that have a number, each tried here against ours, with an attacker in a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.isolated import run_isolated
from tests.support.sandboxes import ask, command, echo, inside, outside, path_of, reaches

from dockerd.networks.controller import NetworkController
from dockerd.networks.creation import parse
from dockerd.networks.leftovers import remove_leftovers
from dockerd.networks.model import AttachRequest, NetworkSettings, PortBinding

pytestmark = pytest.mark.root
TCP = socket.SOCK_STREAM
DUAL = [{"Subnet": "10.98.1.0/24"}, {"Subnet": "fd00:98:1::/64"}]
CANARY = "127.0.0.99"


def settings(root: Path, **more: Any) -> NetworkSettings:
    return NetworkSettings(
        data_root=str(root / "data"),
        exec_root=str(root / "exec"),
        bridge="dyt0",
        bip="10.99.0.1/24",
        engine_id="engine",
        **more,
    )


def request(name: str, network: str = "dual", **ports: tuple[PortBinding, ...]) -> AttachRequest:
    return AttachRequest(
        container_id=name * 32, container_name=name, network=network,
        port_bindings={key.replace("_", "/"): value for key, value in ports.items()},
    )  # fmt: skip


async def dual(controller: NetworkController, name: str = "dual", **more: Any) -> str:
    document = {"Name": name, "EnableIPv6": True, "IPAM": {"Config": DUAL}, **more}
    record = await controller.create(parse(document))
    return f"br-{record.network_id[:12]}"


async def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)


def forge_advertisement(interface: str) -> None:
    """A router's advertisement for everybody: default route, and a prefix to make an address of."""
    network = socket.inet_pton(socket.AF_INET6, "2001:db8:666::")
    prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 9999, 9999, 0, network)
    advertisement = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sender.sendto(advertisement, ("ff02::1", 0, 0, socket.if_nametoindex(interface)))


def test_cve_2020_13401_no_router_advertisement_is_believed(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        bridge = await dual(controller)
        # The state in which the flaw was: the host believes in general.
        for key in ("default", "all"):
            Path(f"/proc/sys/net/ipv6/conf/{key}/accept_ra").write_text("2")
        attacker = await controller.attach(request("aa"))
        victim = await controller.attach(request("bb"))
        inside(path_of(attacker), lambda: forge_advertisement("eth0"))
        # What was sent afterwards has arrived, so the advertisement has, too.
        with echo(path_of(victim), TCP, 80):
            assert inside(path_of(attacker), lambda: ask(TCP, "fd00:98:1::3", 80))
        for _ in range(2):
            inside(path_of(attacker), lambda: forge_advertisement("eth0"))
        await asyncio.sleep(0.2)
        # Other routes may come later: the kernel learns in its own time that its links are up.
        routes = subprocess.check_output(["ip", "-6", "route"], text=True)
        assert "fd00:98:1::/64" in routes
        assert "proto ra" not in routes
        assert "2001:db8:666" not in routes
        assert "2001:db8:666" not in command(victim, "ip", "-6", "addr")
        assert "default via fd00:98:1::1" in command(victim, "ip", "-6", "route")
        assert command(victim, "ip", "-6", "route").count("default") == 1
        # It was a real one: who is told to believe it does.
        subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.{bridge}.accept_ra=2"], check=True)
        inside(path_of(attacker), lambda: forge_advertisement("eth0"))
        read = ["ip", "-6", "addr", "show", "dev", bridge]
        await until(
            lambda: "2001:db8:666" in subprocess.check_output(read, text=True), "the forgery"
        )
        assert "proto ra" in subprocess.check_output(["ip", "-6", "route"], text=True)
        await controller.close()

    run_isolated(scenario)


def test_cve_2024_32473_no_ipv6_where_the_network_has_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        record = await controller.create(parse({"Name": "four"}))
        for name, network, bridge in (
            ("aa", "four", f"br-{record.network_id[:12]}"),
            ("bb", "default", "dyt0"),
        ):
            found = await controller.attach(request(name, network))
            inner = Path("/proc/thread-self/net/if_inet6")
            known = inside(path_of(found), lambda inner=inner: inner.read_text())
            assert {line.split()[-1] for line in known.splitlines()} == {"lo"}
            assert bridge not in inner.read_text()
        await controller.close()

    run_isolated(scenario)


@contextlib.contextmanager
def canary(address: str) -> Iterator[list[bytes]]:
    """A name server of the host that remembers what it is asked, and never answers."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))

        def listen() -> None:
            while data := server.recv(512):
                asked.append(data)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield asked
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (address, 53))
            thread.join()


def lookup(netns: str, name: str, patience: float) -> int:
    """The status of a container's question for an address; -1 if nobody answers."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"

    def query() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(patience)
            client.sendto(question, ("127.0.0.11", 53))
            try:
                return client.recv(512)[3] & 0xF
            except TimeoutError:
                return -1

    return inside(netns, query)


def test_cve_2024_29018_nothing_of_an_internal_network_is_forwarded(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path, dns=(CANARY,)))
        await controller.open()
        try:
            await dual(controller, "inner", Internal=True)
            await controller.create(parse({"Name": "open"}))
            inner = path_of(await controller.attach(request("aa", "inner")))
            wide = path_of(await controller.attach(request("bb", "open")))
            with canary(CANARY) as asked:
                no_name = 3
                assert await asyncio.to_thread(lookup, inner, "secret.example", 5) == no_name
                assert asked == []
                # The canary sings, for those who may ask it.
                await asyncio.to_thread(lookup, wide, "public.example", 0.3)
                # Nobody answers, so it may be asked again.
                await until(lambda: bool(asked), "the question")
                assert all(b"public" in each for each in asked)
                assert await asyncio.to_thread(lookup, inner, "secret.example", 5) == no_name
                assert not any(b"secret" in each for each in asked)
        finally:
            await controller.close()
            remove_leftovers(settings(tmp_path))

    run_isolated(scenario)


def reload_firewall() -> None:
    """What a reload by others does at its worst."""
    subprocess.run(["nft", "flush", "ruleset"], check=True)


def has_tables() -> bool:
    listing = subprocess.check_output(["nft", "list", "tables"], text=True)
    return {"table ip dockyard_dyt0", "table ip6 dockyard_dyt0"} <= set(listing.splitlines())


def test_cve_2025_54388_ports_on_the_hosts_loopback_stay_private_after_a_reload(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await dual(controller)
        binding = (PortBinding(host_ip="127.0.0.1", host_port="18080"),)
        server = path_of(await controller.attach(request("aa", **{"80_udp": binding})))
        attacker = path_of(await controller.attach(request("bb")))
        # Its own loopback out of the way, 127.0.0.1 is the host's as far as it knows.
        subprocess.run(
            ["nsenter", f"--net={attacker}", "sh", "-ec", """
            ip route flush table local type local dev lo; ip link set lo down
            echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
            ip route add 127.0.0.1/32 via 10.98.1.1 dev eth0"""],
            check=True,
        )  # fmt: skip
        with (
            inside(server, lambda: datagrams("0.0.0.0", 80)) as published,
            datagrams("127.0.0.1", 19090) as private,
        ):
            for _ in range(2):
                for port in (18080, 19090):
                    inside(attacker, lambda port=port: send("127.0.0.1", port, b"attack"))
                send("127.0.0.1", 18080, b"friend")
                # What the attacker sent came first, if it came at all.
                assert await asyncio.to_thread(published.recv, 100) == b"friend"
                send("127.0.0.1", 19090, b"friend")
                assert await asyncio.to_thread(private.recv, 100) == b"friend"
                reload_firewall()
                await until(has_tables, "the tables to come back")
        await controller.close()

    run_isolated(scenario)


def datagrams(address: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.settimeout(5)
    found.bind((address, port))
    return found


def send(address: str, port: int, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(data, (address, port))


def test_cve_2025_54410_networks_stay_apart_after_a_reload(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await dual(controller)
        await controller.create(parse({"Name": "other", "EnableIPv6": True}))
        server = path_of(await controller.attach(request("aa")))
        attacker = path_of(await controller.attach(request("bb", "other")))
        with outside() as out, echo(server, TCP, 80):
            for _ in range(2):
                for host in ("10.98.1.2", "fd00:98:1::2"):
                    assert await asyncio.to_thread(reaches, TCP, host, 80, 3)
                    assert not inside(attacker, lambda host=host: reaches(TCP, host, 80))
                    assert not inside(out, lambda host=host: reaches(TCP, host, 80))
                reload_firewall()
                await until(has_tables, "the tables to come back")
        await controller.close()

    run_isolated(scenario)


def test_cve_2025_67499_others_ports_are_not_taken(tmp_path: Path) -> None:
    """A published port is one of this host's addresses, not of every packet that passes."""

    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await dual(controller)
        binding = (PortBinding(host_port="18080"),)
        server = path_of(await controller.attach(request("aa", **{"80_tcp": binding})))
        client = path_of(await controller.attach(request("bb")))
        with outside() as out, echo(server, TCP, 80), echo(out, TCP, 18080):
            for theirs, seen in (("203.0.113.2", "203.0.113.1"), ("2001:db8::2", "2001:db8::1")):
                assert inside(client, lambda theirs=theirs: ask(TCP, theirs, 18080)) == seen
                assert await asyncio.to_thread(ask, TCP, theirs, 18080) == seen
        await controller.close()

    run_isolated(scenario)


def test_cve_2021_20199_a_published_port_shows_who_calls(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await dual(controller)
        binding = (PortBinding(host_port="18080"),)
        server = path_of(await controller.attach(request("aa", **{"80_tcp": binding})))
        with outside() as out, echo(server, TCP, 80):
            assert inside(out, lambda: ask(TCP, "203.0.113.1", 18080)) == "203.0.113.2"
            assert inside(out, lambda: ask(TCP, "2001:db8::1", 18080)) == "2001:db8::2"
        await controller.close()

    run_isolated(scenario)
