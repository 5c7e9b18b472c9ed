"""IPv6 on bridges against the real kernel: addresses, sysctls, published ports, isolation, and what outlives a daemon."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.isolated import run_isolated
from tests.support.sandboxes import ask, command, echo, inside, outside, path_of, reaches

from dockerd.networks.controller import NetworkController
from dockerd.networks.creation import parse
from dockerd.networks.errors import (
    AddressInUse,
    AddressOutOfRange,
    InvalidAddress,
    StaticAddressOnOwnPool,
)
from dockerd.networks.leftovers import remove_leftovers
from dockerd.networks.model import (
    Attachment,
    AttachRequest,
    EndpointRequest,
    NetworkRecord,
    NetworkSettings,
    PortBinding,
)

pytestmark = pytest.mark.root
KINDS = [socket.SOCK_STREAM, socket.SOCK_DGRAM]
DUAL = {
    "EnableIPv6": True,
    "IPAM": {"Config": [{"Subnet": "10.98.1.0/24"}, {"Subnet": "fd00:98:1::/64"}]},
}


def settings(root: Path, **more: Any) -> NetworkSettings:
    return NetworkSettings(
        data_root=str(root / "data"),
        exec_root=str(root / "exec"),
        bridge="dy-test",
        bip="10.99.0.1/24",
        engine_id="499d4bc0-b0b3-416f-b1ee-cf6486315593",
        **more,
    )


async def create(
    controller: NetworkController, name: str, document: dict[str, Any]
) -> NetworkRecord:
    return await controller.create(parse({"Name": name, **document}))


def request(
    name: str, network: str = "default", ports: dict[str, Any] | None = None, **wanted: Any
) -> AttachRequest:
    return AttachRequest(
        container_id=name * 32,
        container_name=name,
        network=network,
        port_bindings=ports or {},
        exposed_ports=tuple(ports or ()),
        primary=EndpointRequest(network=network, **wanted),
    )


def at(port: int, host: str = "") -> tuple[PortBinding, ...]:
    return (PortBinding(host_port=str(port), host_ip=host),)


def setting(attachment: Attachment, name: str) -> str:
    path = f"/proc/sys/net/ipv6/conf/eth0/{name}"
    return inside(path_of(attachment), lambda: Path(path).read_text().strip())


def test_two_versions_side_by_side(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        record = await create(controller, "dual", DUAL)
        one = await controller.attach(request("aa", "dual"))
        two = await controller.attach(request("bb", "dual", ipv6="fd00:98:1::50"))
        assert (one.endpoints[0].ipv4, one.endpoints[0].ipv6) == ("10.98.1.2", "fd00:98:1::2")
        assert (one.endpoints[0].gateway6, one.endpoints[0].prefix6) == ("fd00:98:1::1", 64)
        assert two.endpoints[0].ipv6 == "fd00:98:1::50"
        shown = {each.name: each.ipv6 for each in controller.inspect("dual").containers}
        assert shown == {"aa": "fd00:98:1::2/64", "bb": "fd00:98:1::50/64"}
        assert "default via fd00:98:1::1" in command(one, "ip", "-6", "route")
        assert "tentative" not in command(one, "ip", "-6", "addr", "show", "scope", "global")
        assert one.files is not None
        assert "fd00:98:1::2\t" in one.files.hosts
        with echo(path_of(one), socket.SOCK_STREAM, 80):
            tcp = socket.SOCK_STREAM
            assert inside(path_of(two), lambda: ask(tcp, "fd00:98:1::2", 80)) == "fd00:98:1::50"
            assert await asyncio.to_thread(ask, tcp, "fd00:98:1::2", 80) == "fd00:98:1::1"
        bridge = f"br-{record.network_id[:12]}"
        for name, value in (("accept_ra", "0"), ("disable_ipv6", "0")):
            assert Path(f"/proc/sys/net/ipv6/conf/{bridge}/{name}").read_text().strip() == value
            assert setting(one, name) == value
        with pytest.raises(AddressInUse):
            await controller.attach(request("cc", "dual", ipv6="fd00:98:1::50"))
        with pytest.raises(AddressOutOfRange):
            await controller.attach(request("cc", "dual", ipv6="fd00:99::50"))
        await controller.close()

    run_isolated(scenario)


def test_default_pools_are_the_engines_own(tmp_path: Path) -> None:
    """The prefix that Docker derives of the same engine id: fd, 40 bits of a hash, then a subnet each."""

    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        found = []
        for name in ("one", "two"):
            await create(controller, name, {"EnableIPv6": True, "EnableIPv4": False})
            (pool,) = controller.inspect(name).network.ipam
            found.append((pool.subnet, pool.gateway))
        assert found == [
            ("fd62:fb69:18af::/64", "fd62:fb69:18af::1"),
            ("fd62:fb69:18af:1::/64", "fd62:fb69:18af:1::1"),
        ]
        with pytest.raises(StaticAddressOnOwnPool):
            await controller.attach(request("aa", "one", ipv6="fd62:fb69:18af::9"))
        await controller.close()

    run_isolated(scenario)


def test_a_network_without_ipv4(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        subnet = {"IPAM": {"Config": [{"Subnet": "fd00:98:2::/64"}]}}
        await create(controller, "six", {"EnableIPv4": False, "EnableIPv6": True, **subnet})
        one = await controller.attach(request("aa", "six", {"80/tcp": at(18080)}))
        assert (one.endpoints[0].ipv4, one.endpoints[0].gateway) == ("", "")
        assert one.ports == {"80/tcp": [{"HostIp": "::", "HostPort": "18080"}]}
        addresses = json.loads(command(one, "ip", "-j", "addr", "show", "dev", "eth0"))
        assert [each["family"] for each in addresses[0]["addr_info"]] == ["inet6", "inet6"]
        with echo(path_of(one), socket.SOCK_STREAM, 80):
            assert await asyncio.to_thread(ask, socket.SOCK_STREAM, "fd00:98:2::1", 18080)
        await controller.close()

    run_isolated(scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_published_ports(tmp_path: Path, kind: socket.SocketKind) -> None:
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"

    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await create(controller, "dual", DUAL)
        ports = {
            f"80/{protocol}": at(18080),
            f"81/{protocol}": at(18081, "fd00:98:1::1"),
            f"82/{protocol}": at(18082, "0.0.0.0"),
        }
        server = await controller.attach(request("aa", "dual", ports))
        client = await controller.attach(request("bb", "dual"))
        assert server.ports[f"80/{protocol}"] == [
            {"HostIp": "0.0.0.0", "HostPort": "18080"},
            {"HostIp": "::", "HostPort": "18080"},
        ]
        with echo(path_of(server), kind, 80), echo(path_of(server), kind, 81):
            for host in ("10.98.1.1", "fd00:98:1::1"):
                assert await asyncio.to_thread(ask, kind, host, 18080)
                assert inside(path_of(client), lambda host=host: ask(kind, host, 18080))
                assert inside(path_of(server), lambda host=host: ask(kind, host, 18080))
            assert await asyncio.to_thread(ask, kind, "fd00:98:1::1", 18081)
        await controller.detach("aa" * 32)
        again = await controller.attach(request("cc", "dual", ports))
        assert again.endpoints[0].ipv6 == "fd00:98:1::2"
        with echo(path_of(again), kind, 80):
            assert await asyncio.to_thread(ask, kind, "fd00:98:1::1", 18080)
        await controller.close()

    run_isolated(scenario)


@pytest.mark.parametrize(
    ("network", "host", "message"),
    [
        ("default", "::", "the container has no IPv6 address"),
        ("six", "127.0.0.1", "the container has no IPv4 address"),
        ("dual", "::1", "no container is reached by it"),
    ],
)
def test_host_addresses_that_lead_nowhere_are_refused(
    tmp_path: Path, network: str, host: str, message: str
) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await create(controller, "dual", DUAL)
        await create(controller, "six", {"EnableIPv4": False, "EnableIPv6": True})
        wanted = request("aa", network, {"80/tcp": at(18080, host)})
        with pytest.raises(InvalidAddress, match=message):
            await controller.attach(wanted)
        assert controller.attachment("aa" * 32) is None
        await controller.close()

    run_isolated(scenario)


def test_bridges_are_isolated_and_internal_ones_sealed(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await create(controller, "dual", DUAL)
        for number, more in ((3, {}), (4, {"Internal": True})):
            pools = [{"Subnet": f"10.98.{number}.0/24"}, {"Subnet": f"fd00:98:{number}::/64"}]
            document = {"EnableIPv6": True, "IPAM": {"Config": pools}, **more}
            await create(controller, f"net{number}", document)
        tcp = socket.SOCK_STREAM
        server = await controller.attach(request("aa", "dual"))
        other = await controller.attach(request("bb", "net3"))
        sealed = await controller.attach(request("cc", "net4"))
        beside = await controller.attach(request("dd", "net4"))
        assert "default" not in command(sealed, "ip", "-6", "route")
        with echo(path_of(server), tcp, 80), echo(path_of(sealed), tcp, 80):
            for target in ("10.98.1.2", "fd00:98:1::2", "10.98.4.2", "fd00:98:4::2"):
                assert not inside(path_of(other), lambda t=target: reaches(tcp, t, 80))
            assert inside(path_of(beside), lambda: reaches(tcp, "fd00:98:4::2", 80, 3))
            subprocess.run(
                ["nsenter", f"--net={path_of(sealed)}", "ip", "-6", "route", "add", "default", "via", "fd00:98:4::1"],
                check=True,
            )  # fmt: skip
            assert not inside(path_of(sealed), lambda: reaches(tcp, "fd00:98:1::2", 80))
        await controller.close()

    run_isolated(scenario)


def test_to_the_outside_and_back(tmp_path: Path) -> None:
    """Masqueraded on the way out; from outside only published ports are reached, also with a route."""

    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await create(controller, "dual", DUAL)
        server = await controller.attach(request("aa", "dual", {"80/tcp": at(18080)}))
        tcp, netns = socket.SOCK_STREAM, path_of(server)
        with outside() as out, echo(out, tcp, 90), echo(netns, tcp, 80), echo(netns, tcp, 81):
            assert inside(netns, lambda: ask(tcp, "2001:db8::2", 90)) == "2001:db8::1"
            assert inside(out, lambda: ask(tcp, "2001:db8::1", 18080)) == "2001:db8::2"
            for port in (80, 81):
                assert not inside(out, lambda p=port: reaches(tcp, "fd00:98:1::2", p))
        await controller.close()

    run_isolated(scenario)


def test_link_local_addresses_and_settings_of_an_interface(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await create(controller, "dual", DUAL)
        options = {
            "com.docker.network.endpoint.ifname": "front",
            "com.docker.network.endpoint.sysctls": "net.ipv6.conf.IFNAME.accept_ra=2,net.ipv4.conf.IFNAME.log_martians=1",
        }
        found = await controller.attach(
            request("aa", "dual", link_local=("169.254.7.7", "fe80::77"), options=options)
        )
        await create(controller, "late", {})
        wanted = EndpointRequest(network="late")
        found = await controller.connect(request("aa", "dual"), wanted)
        assert [each.interface for each in found.endpoints] == ["front", "eth0"]
        shown = command(found, "ip", "addr", "show", "dev", "front")
        assert "169.254.7.7/16" in shown
        assert "fe80::77/64" in shown
        read = inside(
            path_of(found),
            lambda: [
                Path(f"/proc/sys/net/{name}").read_text().strip()
                for name in ("ipv6/conf/front/accept_ra", "ipv4/conf/front/log_martians")
            ],
        )
        assert read == ["2", "1"]
        await controller.close()

    run_isolated(scenario)


def test_the_highest_priority_has_the_route_of_each_version(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await create(controller, "dual", DUAL)
        await create(controller, "four", {"IPAM": {"Config": [{"Subnet": "10.98.9.0/24"}]}})
        wanted = EndpointRequest(network="four", gateway_priority=5)
        found = await controller.attach(request("aa", "dual"))
        found = await controller.connect(request("aa", "dual"), wanted)
        assert "default via 10.98.9.1" in command(found, "ip", "route")
        assert "default via fd00:98:1::1" in command(found, "ip", "-6", "route")
        found = await controller.disconnect(request("aa", "dual"), "four")
        assert "default via 10.98.1.1" in command(found, "ip", "route")
        await controller.close()

    run_isolated(scenario)


def test_restart_keeps_everything(tmp_path: Path) -> None:
    async def scenario() -> None:
        controller = NetworkController(
            settings(tmp_path, ipv6=True, fixed_cidr_v6="fd00:98:7::/64")
        )
        await controller.open()
        living = await controller.attach(request("aa", "default", {"80/tcp": at(18080)}))
        assert living.endpoints[0].ipv6 == "fd00:98:7::2"
        await controller.close()
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        subprocess.run(["ip", "link", "del", "dy-test"], check=True)
        again = NetworkController(settings(tmp_path, ipv6=True, fixed_cidr_v6="fd00:98:7::/64"))
        await again.open()
        await again.reconcile({"aa" * 32})
        assert (await again.attach(request("bb"))).endpoints[0].ipv6 == "fd00:98:7::3"
        with echo(path_of(living), socket.SOCK_STREAM, 80):
            assert await asyncio.to_thread(ask, socket.SOCK_STREAM, "fd00:98:7::1", 18080)
        for name in ("aa", "bb"):
            await again.detach(name * 32)
        await again.close()
        remove_leftovers(settings(tmp_path))
        left = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
        assert left.strip() == b""

    run_isolated(scenario)


@pytest.mark.parametrize("back_end", ["nft", "legacy"])
def test_a_foreign_filter_that_drops_is_served(tmp_path: Path, back_end: str) -> None:
    async def scenario() -> None:
        tool = f"ip6tables-{back_end}"
        subprocess.run([tool, "-P", "FORWARD", "DROP"], check=True)
        controller = NetworkController(settings(tmp_path))
        await controller.open()
        await create(controller, "dual", DUAL)
        one = await controller.attach(request("aa", "dual"))
        two = await controller.attach(request("bb", "dual"))
        with echo(path_of(one), socket.SOCK_STREAM, 80):
            # Same-bridge packets are forwarded ones where br_netfilter is on, as in fresh namespaces.
            assert inside(path_of(two), lambda: ask(socket.SOCK_STREAM, "fd00:98:1::2", 80))
        rules = subprocess.run([tool, "-S"], capture_output=True, text=True, check=True).stdout
        assert rules.count("dockyard:") == 2
        await controller.close()
        remove_leftovers(settings(tmp_path))
        rules = subprocess.run([tool, "-S"], capture_output=True, text=True, check=True).stdout
        assert "dockyard:" not in rules

    run_isolated(scenario)
