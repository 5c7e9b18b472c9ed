"""Every option of a bridge against the real kernel, with a host outside that has a route to the containers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.isolated import run_isolated
from tests.support.sandboxes import ask, command, echo, inside, outside, path_of, pings, reaches

from dockerd.networks.controller import NetworkController
from dockerd.networks.creation import parse
from dockerd.networks.errors import ForeignBridge, PoolsExhausted
from dockerd.networks.model import AttachRequest, NetworkRecord, NetworkSettings, PortBinding

pytestmark = pytest.mark.root
TCP = socket.SOCK_STREAM
SUBNETS = [{"Subnet": "10.98.1.0/24"}, {"Subnet": "fd00:98:1::/64"}]
BRIDGE = "com.docker.network.bridge."
HOSTS = {"10.98.1.2": "203.0.113.1", "fd00:98:1::2": "2001:db8::1"}


def settings(root: Path, **more: Any) -> NetworkSettings:
    return NetworkSettings(
        data_root=str(root / "data"),
        exec_root=str(root / "exec"),
        bridge="dy-test",
        bip="10.99.0.1/24",
        engine_id="499d4bc0-b0b3-416f-b1ee-cf6486315593",
        **more,
    )


@contextlib.asynccontextmanager
async def opened(root: Path, **more: Any) -> Any:
    controller = NetworkController(settings(root, **more))
    await controller.open()
    try:
        yield controller
    finally:
        await controller.close()


async def dual(
    controller: NetworkController, options: dict[str, str] | None = None, **more: Any
) -> NetworkRecord:
    document = {
        "Name": "dual",
        "EnableIPv6": True,
        "IPAM": {"Config": SUBNETS},
        "Options": {f"{BRIDGE}{key}": value for key, value in (options or {}).items()},
        **more,
    }
    return await controller.create(parse(document))


def request(name: str, network: str = "dual", **more: Any) -> AttachRequest:
    return AttachRequest(container_id=name * 32, container_name=name, network=network, **more)


def published(*ports: int, host: str = "", first: int = 18080) -> dict[str, Any]:
    bindings = {
        f"{port}/tcp": (PortBinding(host_ip=host, host_port=str(first + n)),)
        for n, port in enumerate(ports)
    }
    return {"port_bindings": bindings, "exposed_ports": tuple(bindings)}


def seen(netns: str, targets: dict[str, tuple[str, int]]) -> set[str]:
    """Those of the targets that answer."""

    def probe(target: tuple[str, int]) -> bool:
        return inside(netns, lambda: reaches(TCP, *target))

    with ThreadPoolExecutor() as threads:
        found = threads.map(probe, targets.values())
        return {key for key, reached in zip(targets, found, strict=True) if reached}


TARGETS = {
    "4 published": ("203.0.113.1", 18080),
    "4 direct": ("10.98.1.2", 80),
    "4 other": ("10.98.1.2", 81),
    "6 published": ("2001:db8::1", 18080),
    "6 direct": ("fd00:98:1::2", 80),
    "6 other": ("fd00:98:1::2", 81),
}
NAT = {"4 published", "6 published"}


@pytest.mark.parametrize(
    ("mode", "reached", "ports"),
    [
        ("nat", NAT, [("0.0.0.0", "18080"), ("::", "18080")]),
        ("nat-unprotected", set(TARGETS), [("0.0.0.0", "18080"), ("::", "18080")]),
        ("routed", {"4 direct", "6 direct"}, [("0.0.0.0", ""), ("::", "")]),
    ],
)
def test_gateway_modes(
    tmp_path: Path, mode: str, reached: set[str], ports: list[tuple[str, str]]
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller, {"gateway_mode_ipv4": mode, "gateway_mode_ipv6": mode})
            server = await controller.attach(request("aa", **published(80)))
            netns = path_of(server)
            assert server.ports["80/tcp"] == [
                {"HostIp": host, "HostPort": port} for host, port in ports
            ]
            with (
                outside() as out,
                echo(netns, TCP, 80),
                echo(netns, TCP, 81),
                echo(out, TCP, 90),
            ):
                assert seen(out, TARGETS) == reached
                translated = inside(netns, lambda: ask(TCP, "203.0.113.2", 90))
                assert translated == ("10.98.1.2" if mode == "routed" else "203.0.113.1")
                for host in HOSTS:
                    assert inside(out, lambda host=host: pings(host)) == (mode != "nat")
            await controller.detach("aa" * 32)
            # A port that another process has is no obstacle where none is bound.
            with socket.create_server(("0.0.0.0", 18080)):
                if mode == "routed":
                    await controller.attach(request("bb", **published(80)))

    run_isolated(scenario)


def test_one_version_translated_and_one_routed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller, {"gateway_mode_ipv6": "routed"})
            server = await controller.attach(request("aa", **published(80)))
            assert server.ports["80/tcp"] == [
                {"HostIp": "0.0.0.0", "HostPort": "18080"},
                {"HostIp": "::", "HostPort": ""},
            ]
            netns = path_of(server)
            with outside() as out, echo(netns, TCP, 80), echo(netns, TCP, 81):
                assert seen(out, TARGETS) == {"4 published", "6 direct"}

    run_isolated(scenario)


def test_isolated_networks_have_no_place_for_the_host(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            options = {
                "gateway_mode_ipv4": "isolated",
                "gateway_mode_ipv6": "isolated",
                "name": "sealed0",
            }
            record = await dual(controller, options, Internal=True)
            assert [each.gateway for each in record.ipam] == ["", ""]
            (link,) = json.loads(subprocess.check_output(["ip", "-j", "addr", "show", "sealed0"]))
            assert link["addr_info"] == []
            one = await controller.attach(request("aa"))
            two = await controller.attach(request("bb"))
            # Without a gateway its address is everybody's.
            assert (one.endpoints[0].ipv4, one.endpoints[0].ipv6) == ("10.98.1.1", "fd00:98:1::1")
            with echo(path_of(one), TCP, 80):
                for host in ("10.98.1.1", "fd00:98:1::1"):
                    assert inside(path_of(two), lambda host=host: reaches(TCP, host, 80, 3))
                    assert not await asyncio.to_thread(reaches, TCP, host, 80)

    run_isolated(scenario)


def test_trusted_interfaces_reach_published_ports_directly(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller, {"trusted_host_interfaces": "up113:up999"})
            netns = path_of(await controller.attach(request("aa", **published(80))))
            with (
                outside() as out,
                outside(114) as far,
                echo(netns, TCP, 80),
                echo(netns, TCP, 81),
            ):
                assert seen(out, TARGETS) == NAT | {"4 direct", "6 direct"}
                assert seen(far, {key: TARGETS[key] for key in ("4 direct", "6 direct")}) == set()

    run_isolated(scenario)


@pytest.mark.parametrize("masquerade", ["true", "false"])
def test_masquerading(tmp_path: Path, masquerade: str) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller, {"enable_ip_masquerade": masquerade})
            netns = path_of(await controller.attach(request("aa")))
            with outside() as out, echo(out, TCP, 90):
                for own, host in HOSTS.items():
                    target = host.replace("3.1", "3.2").replace("::1", "::2")
                    found = inside(netns, lambda target=target: ask(TCP, target, 90))
                    assert found == (host if masquerade == "true" else own)

    run_isolated(scenario)


@pytest.mark.parametrize("icc", ["true", "false"])
def test_containers_among_themselves(tmp_path: Path, icc: str) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller, {"enable_icc": icc})
            server = path_of(await controller.attach(request("aa", **published(80))))
            client = path_of(await controller.attach(request("bb")))
            with echo(server, TCP, 80):
                for host in HOSTS:
                    assert inside(client, lambda host=host: reaches(TCP, host, 80)) == (
                        icc == "true"
                    )
                    assert await asyncio.to_thread(reaches, TCP, host, 80, 3)
                # What is published is for everybody.
                for host in ("10.98.1.1", "fd00:98:1::1"):
                    assert inside(client, lambda host=host: reaches(TCP, host, 18080, 3))

    run_isolated(scenario)


def test_name_mtu_prefix_and_inhibited_gateway(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            options = {
                f"{BRIDGE}name": "chosen0",
                f"{BRIDGE}inhibit_ipv4": "true",
                "com.docker.network.driver.mtu": "1300",
                "com.docker.network.container_iface_prefix": "net",
            }
            await dual(controller, Options=options)
            (link,) = json.loads(subprocess.check_output(["ip", "-j", "addr", "show", "chosen0"]))
            assert link["mtu"] == 1300
            assert [each["local"] for each in link["addr_info"] if each["scope"] == "global"] == [
                "fd00:98:1::1"
            ]
            one = await controller.attach(request("aa"))
            assert one.endpoints[0].interface == "net0"
            assert "mtu 1300" in command(one, "ip", "link", "show", "net0")
            # Somebody else is the gateway.
            assert "default via 10.98.1.1 dev net0" in command(one, "ip", "route")
            subprocess.run(["ip", "link", "add", "taken0", "type", "veth"], check=True)
            more = parse({"Name": "more", "Options": {f"{BRIDGE}name": "taken0"}})
            with pytest.raises(ForeignBridge):
                await controller.create(more)
            assert {each.network.name for each in controller.list_networks()} == {
                "bridge", "host", "none", "dual",
            }  # fmt: skip

    run_isolated(scenario)


def test_host_binding(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller, {"host_binding_ipv4": "127.0.0.1"})
            ports = {**published(80), "exposed_ports": ("80/tcp",)}
            server = await controller.attach(request("aa", **ports))
            assert server.ports == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}]}
            with outside() as out, echo(path_of(server), TCP, 80):
                assert seen(out, TARGETS) == set()
                assert await asyncio.to_thread(reaches, TCP, "127.0.0.1", 18080, 3)

    run_isolated(scenario)


def test_ranges_auxiliary_addresses_and_pools(tmp_path: Path) -> None:
    async def scenario() -> None:
        pools = (("10.97.0.0/29", 30), ("fd00:97::/63", 64))
        async with opened(tmp_path, address_pools=pools) as controller:
            config = [
                {"Subnet": "10.98.1.0/24", "IPRange": "10.98.1.128/30", "AuxiliaryAddresses": {"a": "10.98.1.130"}},
                {"Subnet": "fd00:98:1::/64", "IPRange": "fd00:98:1::f0/124", "AuxiliaryAddresses": {"b": "fd00:98:1::f2"}},
            ]  # fmt: skip
            await dual(controller, IPAM={"Config": config})
            record = controller.inspect("dual").network
            assert [each.gateway for each in record.ipam] == ["10.98.1.128", "fd00:98:1::f0"]
            one = await controller.attach(request("aa"))
            two = await controller.attach(request("bb"))
            assert (one.endpoints[0].ipv4, two.endpoints[0].ipv4) == ("10.98.1.129", "10.98.1.131")
            assert two.endpoints[0].ipv6 == "fd00:98:1::f3"
            found = []
            for name in ("p1", "p2"):
                made = await controller.create(parse({"Name": name, "EnableIPv6": True}))
                found.append([each.subnet for each in made.ipam])
            assert found == [["10.97.0.0/30", "fd00:97::/64"], ["10.97.0.4/30", "fd00:97:0:1::/64"]]
            with pytest.raises(PoolsExhausted):
                await controller.create(parse({"Name": "p3"}))

    run_isolated(scenario)


def test_port_ranges(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller)
            bindings = {
                "7000-7002/tcp": (PortBinding(host_port="17000-17002"),),
                "8000/tcp": (PortBinding(host_port="18000-18002"),),
                "9000/tcp": (PortBinding(),),
            }
            first = await controller.attach(request("aa", port_bindings=bindings))
            second = await controller.attach(
                request("bb", port_bindings={"8000/tcp": bindings["8000/tcp"]})
            )
            assert [first.ports[f"{port}/tcp"][0]["HostPort"] for port in (7000, 7001, 7002)] == [
                "17000", "17001", "17002",
            ]  # fmt: skip
            assert first.ports["8000/tcp"][0]["HostPort"] == "18000"
            assert second.ports["8000/tcp"][0]["HostPort"] == "18001"
            four, six = first.ports["9000/tcp"]
            assert four["HostPort"] == six["HostPort"]
            with echo(path_of(first), TCP, 7001):
                for host in ("10.98.1.1", "fd00:98:1::1"):
                    assert await asyncio.to_thread(reaches, TCP, host, 17001, 3)

    run_isolated(scenario)


def test_sctp_is_led_by_the_kernel(tmp_path: Path) -> None:
    """The same elements as for other protocols. Sending takes a kernel with SCTP, which not every one has."""

    async def scenario() -> None:
        async with opened(tmp_path) as controller:
            await dual(controller)
            ports = {"132/sctp": (PortBinding(host_port="18132"),)}
            found = await controller.attach(request("aa", port_bindings=ports))
            assert found.ports["132/sctp"][0] == {"HostIp": "0.0.0.0", "HostPort": "18132"}
            words = ["nft", "list", "map", "ip", "dockyard_dy_test_d2ad17d1", "published_any"]
            listing = subprocess.check_output(words, text=True)
            assert "sctp . 18132 : 10.98.1.2 . 132" in listing
            if has_sctp():
                await asyncio.to_thread(_by_sctp, path_of(found))

    run_isolated(scenario)


def has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, TCP, 132).close()
    except OSError as error:
        return error.errno not in {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT}
    return True


def _by_sctp(netns: str) -> None:
    server = inside(netns, lambda: socket.socket(socket.AF_INET, TCP, 132))
    with server, socket.socket(socket.AF_INET, TCP, 132) as client:
        server.bind(("0.0.0.0", 132))
        server.listen()
        client.settimeout(3)
        client.connect(("10.98.1.1", 18132))
