"""User-defined networks: names, isolation, static addresses, connect and disconnect, and what survives."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.stack import Stack, wait_until


@pytest.fixture(autouse=True, scope="module")
def _no_resolver_left(session_stack: Stack) -> Iterator[None]:
    yield
    wait_until(lambda: resolver_pid(session_stack) is None, what="the idle resolver's end")


@pytest.fixture(autouse=True)
def _no_networks_left(stack: Stack) -> Iterator[None]:
    yield
    stack.remove_all()
    stack.docker("network", "prune", "-f")
    names = stack.docker("network", "ls", "--format", "{{.Name}}").split()
    assert sorted(names) == ["bridge", "host", "none"]


def server(stack: Stack, name: str, *options: str) -> str:
    words = ("run", "-d", "--name", name, *options, "busybox", "httpd", "-f", "-h", "/etc")
    return stack.docker(*words)


def fetch(stack: Stack, name: str, url: str) -> str:
    """What a container gets from a URL; empty if it gets nothing."""
    done = stack.call("exec", name, "timeout", "2", "wget", "-qO-", url)
    return done.out.strip() if done.code == 0 else ""


def address(stack: Stack, name: str, network: str) -> str:
    found: str = stack.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]
    return found


def resolver_pid(stack: Stack) -> int | None:
    """The resolver of this stack: the one whose socket is in the stack's short folder, or below its root."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"dockerd.resolver" in words and words[-2].decode() in _sockets(stack):
                return int(entry.name)
    return None


def _sockets(stack: Stack) -> list[str]:
    with contextlib.suppress(OSError):
        pid = stack.pid("dockerd")
        opened = Path(f"/proc/{pid}/net/unix").read_text()
        return [line.split()[-1] for line in opened.splitlines() if line.endswith("resolver.sock")]
    return []


def test_names_and_aliases(stack: Stack) -> None:
    stack.docker("network", "create", "names")
    first = server(stack, "first", "--network", "names", "--network-alias", "other")
    second = server(stack, "second", "--network", "names", "--hostname", "called")
    for name in ("first", "other", "first.names", "FIRST", first[:12]):
        assert fetch(stack, "second", f"http://{name}/hostname") == first[:12]
    assert fetch(stack, "first", "http://second/hostname") == "called"
    assert fetch(stack, "first", "http://called/hostname") == "called"
    assert fetch(stack, "first", "http://nobody/hostname") == ""
    reverse = stack.docker("exec", "first", "nslookup", address(stack, "second", "names"))
    assert "name = second.names" in reverse
    assert stack.docker("exec", "first", "grep", "nameserver", "/etc/resolv.conf").endswith(
        "127.0.0.11"
    )
    stack.docker("rename", "second", "renamed")
    assert fetch(stack, "first", "http://renamed/hostname") == "called"
    assert fetch(stack, "first", "http://second/hostname") == ""
    assert stack.inspect(second)["NetworkSettings"]["Networks"]["names"]["DNSNames"] == [
        "renamed",
        second[:12],
        "called",
    ]
    stack.docker("rm", "-f", "renamed")
    assert fetch(stack, "first", "http://called/hostname") == ""


def test_one_alias_for_several_containers(stack: Stack) -> None:
    stack.docker("network", "create", "pool")
    for name in ("one", "two"):
        server(stack, name, "--network", "pool", "--network-alias", "all")
    found = stack.docker("exec", "one", "nslookup", "all")
    assert address(stack, "one", "pool") in found
    assert address(stack, "two", "pool") in found


def test_networks_are_isolated(stack: Stack) -> None:
    stack.docker("network", "create", "left")
    stack.docker("network", "create", "right")
    server(stack, "here", "--network", "left")
    there = server(stack, "there", "--network", "right", "-p", "127.0.0.1::80")
    server(stack, "default")
    assert fetch(stack, "here", f"http://{address(stack, 'there', 'right')}/hostname") == ""
    assert fetch(stack, "default", f"http://{address(stack, 'there', 'right')}/hostname") == ""
    assert fetch(stack, "here", "http://there/hostname") == ""
    stack.docker("network", "connect", "right", "here")
    assert fetch(stack, "here", "http://there/hostname") == there[:12]
    stack.docker("network", "disconnect", "right", "here")
    assert fetch(stack, "here", "http://there/hostname") == ""


def test_internal_network(stack: Stack) -> None:
    stack.docker("network", "create", "--internal", "inner")
    one = server(stack, "one", "--network", "inner")
    server(stack, "two", "--network", "inner")
    assert fetch(stack, "two", "http://one/hostname") == one[:12]
    assert "default" not in stack.docker("exec", "two", "ip", "route")
    server(stack, "outside")
    reached = f"http://{address(stack, 'outside', 'bridge')}/hostname"
    assert fetch(stack, "two", reached) == ""
    assert fetch(stack, "outside", f"http://{address(stack, 'one', 'inner')}/hostname") == ""


def test_subnet_and_static_addresses(stack: Stack) -> None:
    words = (
        "--subnet",
        "10.211.7.0/24",
        "--ip-range",
        "10.211.7.128/25",
        "--gateway",
        "10.211.7.9",
    )
    stack.docker(
        "network",
        "create",
        *words,
        "--aux-address",
        "kept=10.211.7.128",
        "--label",
        "a=b",
        "chosen",
    )
    stack.docker(
        "run",
        "-d",
        "--name",
        "static",
        "--network",
        "chosen",
        "--ip",
        "10.211.7.5",
        "busybox",
        "sleep",
        "99",
    )
    stack.docker("run", "-d", "--name", "given", "--network", "chosen", "busybox", "sleep", "99")
    assert address(stack, "static", "chosen") == "10.211.7.5"
    assert address(stack, "given", "chosen") == "10.211.7.129"
    assert "default via 10.211.7.9" in stack.docker("exec", "given", "ip", "route")
    taken = ("run", "--rm", "--network", "chosen", "--ip", "10.211.7.5", "busybox", "true")
    assert "Address already in use" in stack.fails(*taken, code=125)
    outside = ("run", "--rm", "--network", "chosen", "--ip", "10.9.9.9", "busybox", "true")
    assert "no configured subnet contains IP address" in stack.fails(*outside, code=125)
    _, found = stack.request("GET", "/networks/chosen")
    assert found["IPAM"]["Config"] == [
        {
            "Subnet": "10.211.7.0/24",
            "IPRange": "10.211.7.128/25",
            "Gateway": "10.211.7.9",
            "AuxiliaryAddresses": {"kept": "10.211.7.128"},
        }
    ]
    assert found["Labels"] == {"a": "b"}
    assert {each["Name"] for each in found["Containers"].values()} == {"static", "given"}
    stack.docker("network", "create", "pool")
    own = ("run", "--rm", "--network", "pool", "--ip", "10.9.9.9", "busybox", "true")
    assert "user configured subnets" in stack.fails(*own, code=125)


def test_ipv6_network(stack: Stack) -> None:
    """Addresses, names and ports of IPv6, by the CLI's own flags."""
    stack.docker("network", "create", "--ipv6", "--subnet", "fd00:97::/64", "six")
    one = server(stack, "one", "--network", "six", "--ip6", "fd00:97::77", "-p", "80")
    server(stack, "two", "--network", "six")
    found = stack.inspect("one")["NetworkSettings"]["Networks"]["six"]
    assert (found["GlobalIPv6Address"], found["GlobalIPv6PrefixLen"]) == ("fd00:97::77", 64)
    assert found["IPv6Gateway"] == "fd00:97::1"
    assert found["IPAMConfig"] == {"IPv6Address": "fd00:97::77"}
    for name in ("one", "[fd00:97::77]"):
        assert fetch(stack, "two", f"http://{name}/hostname") == one[:12]
    listed = stack.docker("exec", "two", "nslookup", "-type=aaaa", "one")
    assert "fd00:97::77" in listed
    assert address(stack, "one", "six") not in listed
    assert "name = one.six" in stack.docker("exec", "two", "nslookup", "fd00:97::77")
    four, six = stack.docker("port", "one", "80").splitlines()
    assert six == "[::]:" + four.rpartition(":")[2]
    assert fetch(stack, "two", f"http://[fd00:97::1]:{six.rpartition(':')[2]}/hostname") == one[:12]
    _, network = stack.request("GET", "/networks/six")
    assert network["EnableIPv6"] is True
    assert network["Containers"][one]["IPv6Address"] == "fd00:97::77/64"
    assert [each["Subnet"] for each in network["IPAM"]["Config"]][1] == "fd00:97::/64"
    assert "::1\tlocalhost" in stack.docker("exec", "one", "cat", "/etc/hosts")


def test_connect_gives_names_and_a_route(stack: Stack) -> None:
    stack.docker("network", "create", "late")
    server(stack, "early", "--network", "late")
    mover = server(stack, "mover", "-p", "127.0.0.1::80")
    assert fetch(stack, "mover", "http://early/hostname") == ""
    stack.docker("network", "connect", "--alias", "moved", "late", "mover")
    assert fetch(stack, "early", "http://moved/hostname") == mover[:12]
    assert fetch(stack, "mover", "http://early/hostname") != ""
    assert "already exists in network late" in stack.fails("network", "connect", "late", "mover")
    refused = stack.fails("network", "rm", "late")
    assert "network late has active endpoints" in refused
    stack.docker("restart", "-t", "0", "mover")
    assert fetch(stack, "early", "http://moved/hostname") == mover[:12]
    stack.docker("network", "disconnect", "bridge", "mover")
    assert set(stack.inspect("mover")["NetworkSettings"]["Networks"]) == {"late"}
    assert fetch(stack, "early", "http://moved/hostname") == mover[:12]
    stack.docker("network", "disconnect", "late", "mover")
    assert "is not connected to network late" in stack.fails(
        "network", "disconnect", "late", "mover"
    )
    assert stack.docker("exec", "mover", "ls", "/sys/class/net").split() == ["lo"]


def test_published_port_on_a_user_network(stack: Stack) -> None:
    stack.docker("network", "create", "front")
    stack.docker("network", "create", "back")
    name = server(stack, "web", "--network", "front", "-p", "127.0.0.1::80")
    stack.docker("network", "connect", "back", "web")
    port = stack.docker("port", "web", "80").rpartition(":")[2]
    out = stack.docker(
        "run",
        "--rm",
        "--network",
        "host",
        "busybox",
        "wget",
        "-qO-",
        f"http://127.0.0.1:{port}/hostname",
    )
    assert out == name[:12]


def test_links(stack: Stack) -> None:
    target = server(stack, "target", "--expose", "80", "-e", "SAID=hello")
    out = stack.docker(
        "run",
        "--rm",
        "--link",
        "target:goal",
        "busybox",
        "sh",
        "-c",
        "env; wget -qO- http://goal/hostname",
    )
    assert f"GOAL_PORT=tcp://{address(stack, 'target', 'bridge')}:80" in out
    assert "GOAL_ENV_SAID=hello" in out
    assert out.endswith(target[:12])
    assert "could not get container for nope" in stack.fails(
        "run", "--link", "nope", "busybox", code=125
    )


def test_names_survive_the_daemon_and_the_resolver(stack: Stack) -> None:
    stack.docker("network", "create", "lasting")
    one = server(stack, "one", "--network", "lasting")
    server(stack, "two", "--network", "lasting")
    stack.kill("dockerd")
    assert fetch(stack, "two", "http://one/hostname") == one[:12]
    three = server(stack, "three", "--network", "lasting")
    assert fetch(stack, "two", "http://three/hostname") == three[:12]
    pid = wait_until(lambda: resolver_pid(stack))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: fetch(stack, "two", "http://one/hostname") == one[:12])
    assert wait_until(lambda: resolver_pid(stack)) != pid


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        ({}, 400, "name is empty"),
        ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network"),
        ({"Name": "xx", "Driver": "host"}, 403, 'only one instance of "host" network is allowed'),
        ({"Name": "xx", "Driver": "macvlan"}, 501, "network driver macvlan is not implemented yet"),
        ({"Name": "xx", "Driver": "foo"}, 404, "could not find plugin foo in v1 plugin registry: plugin not found"),
        ({"Name": "xx", "EnableIPv4": False}, 400, "IPv4 or IPv6 must be enabled"),
        ({"Name": "xx", "EnableIPv6": True, "IPAM": {"Config": [{"Subnet": "fd00::/64", "Gateway": "10.1.0.1"}]}}, 400,
         "invalid gateway 10.1.0.1: parent subnet is an IPv6 block"),
        ({"Name": "xx", "EnableIPv6": True, "IPAM": {"Config": [{"Subnet": "fe80::/63"}]}}, 400,
         "'fe80::/63' clashes with the Link-Local prefix 'fe80::/64'"),
        ({"Name": "xx", "IPAM": {"Config": [{"Subnet": "10.1.0.0/24"}, {"Subnet": "10.2.0.0/24"}]}}, 403,
         "bridge driver doesn't support multiple subnets"),
        ({"Name": "xx", "Options": {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}}, 400,
         "gateway mode 'isolated' can only be used for an internal network"),
        ({"Name": "xx", "Options": {"com.docker.network.bridge.gateway_mode_ipv6": "other"}}, 400,
         "failed to parse com.docker.network.bridge.gateway_mode_ipv6 value: other (unknown gateway mode other)"),
        ({"Name": "xx", "IPAM": {"Config": [{"Subnet": "10.1.0.0/99"}]}}, 400, "invalid CIDR block notation"),
        ({"Name": "xx", "IPAM": {"Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.2.0.1"}]}}, 400,
         "invalid gateway 10.2.0.1: parent subnet 10.1.0.0/24 doesn't contain this address"),
        ({"Name": "xx", "IPAM": {"Config": [{"Subnet": "10.1.0.0/24", "IPRange": "10.2.0.0/25"}]}}, 400,
         "invalid ip-range 10.2.0.0/25: parent subnet 10.1.0.0/24 doesn't contain ip-range"),
        ({"Name": "xx", "Options": {"com.docker.network.bridge.enable_icc": "maybe"}}, 400, "invalid syntax"),
        ({"Name": "xx", "Options": {"com.docker.network.bridge.foo": "1"}}, 501, "com.docker.network.bridge.foo"),
        ({"Name": "xx", "Labels": ["a"]}, 400, "cannot unmarshal array into Go struct field CreateRequest.Labels"),
    ],
)  # fmt: skip
def test_bad_networks_are_refused(
    stack: Stack, document: dict[str, Any], status: int, message: str
) -> None:
    found, answer = stack.request("POST", "/networks/create", document)
    assert (found, message in answer["message"]) == (status, True), answer


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"IPAMConfig": {"IPv6Address": "10.0.0.1"}}, "invalid IPv6 address: 10.0.0.1"),
        ({"IPAMConfig": {"IPv4Address": "nonsense"}}, "invalid IPv4 address: nonsense"),
        ({"IPAMConfig": {"LinkLocalIPs": ["0.0.0.0"]}}, "invalid link-local IP address: 0.0.0.0"),
        ({"IPAMConfig": {"IPv6Address": 7}}, "EndpointIPAMConfig.IPv6Address"),
        ({"DriverOpts": {"com.docker.network.thing": "1"}}, "driver option com.docker.network.thing is not supported"),
        ({"DriverOpts": {"com.docker.network.endpoint.ifname": "a/b"}}, "invalid interface name 'a/b'"),
        ({"DriverOpts": {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.eth0.rp_filter=1"}},
         "unrecognised network interface sysctl 'net.ipv4.conf.eth0.rp_filter=1'"),
        ({"DriverOpts": {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME./../../../../kernel/core_pattern=x"}},
         "unrecognised network interface sysctl"),
    ],
)  # fmt: skip
def test_bad_endpoints_are_refused(stack: Stack, settings: dict[str, Any], message: str) -> None:
    stack.docker("network", "create", "ends")
    body = {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"ends": settings}}}
    found, answer = stack.request("POST", "/containers/create", body)
    assert (found, message in answer["message"]) == (400, True), answer


def test_overlapping_and_doubled_networks(stack: Stack) -> None:
    stack.docker("network", "create", "--subnet", "10.212.0.0/16", "big")
    assert "network with name big already exists" in stack.fails("network", "create", "big")
    refused = stack.fails("network", "create", "--subnet", "10.212.3.0/24", "small")
    assert "Pool overlaps with other one on this address space" in refused
    names = stack.docker("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}")
    assert names == "big"
    bridge = stack.docker("network", "inspect", "big", "--format", "br-{{slice .Id 0 12}}")
    assert os.path.exists(f"/sys/class/net/{bridge}")
    stack.docker("network", "rm", "big")
    assert not os.path.exists(f"/sys/class/net/{bridge}")


def test_events_of_networks(stack: Stack) -> None:
    stack.docker("network", "create", "told")
    stack.docker("run", "--rm", "--network", "told", "busybox", "true")
    stack.docker("network", "rm", "told")
    wait_until(lambda: stack.docker("ps", "-aq") == "")
    words = (
        "events",
        "--since",
        "60s",
        "--until",
        f"{time.time():.6f}",
        "--filter",
        "network=told",
    )
    out = stack.docker(*words, "--format", "{{.Action}}")
    assert out.split() == ["create", "connect", "disconnect", "destroy"]


def test_older_clients_may_make_networks_of_one_name(stack: Stack) -> None:
    """As Docker 20.10, where a client does not ask that the name be free; they outlive the daemon."""
    made = [
        stack.request("POST", "/v1.43/networks/create", {"Name": "twin"})[1]["Id"] for _ in "ab"
    ]
    asked = {"Name": "twin", "CheckDuplicate": True}
    assert stack.request("POST", "/v1.43/networks/create", asked)[0] == 409
    assert stack.request("POST", "/v1.44/networks/create", {"Name": "twin"})[0] == 409
    stack.kill("dockerd")
    status, answer = stack.request("GET", "/networks/twin")
    assert (status, answer["message"]) == (
        400,
        "network twin is ambiguous (2 matches found on name)",
    )
    for each in made:
        assert stack.request("GET", f"/networks/{each}")[1]["Name"] == "twin"
        assert stack.request("DELETE", f"/networks/{each}")[0] == 204


def test_open_ports_of_a_routed_network_are_listed(stack: Stack) -> None:
    option = "com.docker.network.bridge.gateway_mode_ipv4=routed"
    stack.docker("network", "create", "-o", option, "routed")
    server(stack, "open", "--network", "routed", "-p", "8080:80")
    # What the CLI makes of a port without one of the host.
    assert stack.docker("ps", "--format", "{{.Ports}}") in {"80/tcp", "0.0.0.0:0->80/tcp"}
    _, listed = stack.request("GET", "/containers/json")
    assert listed[0]["Ports"] == [{"PrivatePort": 80, "Type": "tcp", "IP": "0.0.0.0"}]
    assert stack.docker("ps", "-q", "--filter", "expose=80") != ""
