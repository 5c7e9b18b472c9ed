"""Networks that are only a configuration, and those that are made with one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.stack import Stack

_POOL = {"Subnet": "10.234.17.0/24", "IPRange": "10.234.17.128/25", "Gateway": "10.234.17.7"}
_MTU = "com.docker.network.driver.mtu"


@pytest.fixture
def configuration(stack: Stack) -> Iterator[str]:
    """A configuration by its name; everything that tests make with it is removed before it."""
    options = ("--subnet", _POOL["Subnet"], "--gateway", _POOL["Gateway"])
    more = ("--ip-range", _POOL["IPRange"], "-o", f"{_MTU}=1400", "--label", "a=b")
    stack.docker("network", "create", "--config-only", *options, *more, "settings")
    yield "settings"
    stack.remove_all()
    stack.docker("network", "prune", "-f")
    stack.call("network", "rm", "settings")


def shown(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.docker("network", "inspect", name))[0]
    return found


def test_a_configuration_is_only_remembered(stack: Stack, configuration: str) -> None:
    found = shown(stack, configuration)
    assert (found["Driver"], found["Scope"], found["ConfigOnly"]) == ("null", "local", True)
    assert (found["IPAM"]["Config"], found["Options"]) == ([_POOL], {_MTU: "1400"})
    assert found["Labels"] == {"a": "b"}
    # It takes no addresses: another network may have them.
    stack.docker("network", "create", "--subnet", _POOL["Subnet"], "taker")
    stack.docker("network", "prune", "-f")
    names = stack.docker("network", "ls", "--format", "{{.Name}}").split()
    assert "taker" not in names
    assert configuration in names
    error = stack.fails("run", "--rm", "--network", configuration, "busybox", "true", code=125)
    assert "cannot create endpoint on configuration-only network" in error
    stack.docker("run", "-d", "--name", "box", "busybox", "sleep", "100")
    error = stack.fails("network", "connect", configuration, "box")
    assert "cannot create endpoint on configuration-only network" in error


def test_a_network_made_with_it_has_what_it_says(stack: Stack, configuration: str) -> None:
    stack.docker("network", "create", "--config-from", configuration, "made")
    found = shown(stack, "made")
    assert (found["Driver"], found["ConfigFrom"]) == ("bridge", {"Network": configuration})
    assert (found["IPAM"]["Config"], found["Options"]) == ([_POOL], {_MTU: "1400"})
    assert (found["ConfigOnly"], found["Labels"]) == (False, {"a": "b"})
    script = "cat /sys/class/net/eth0/mtu; ip -o -4 addr show eth0; ip route"
    out = stack.docker("run", "--rm", "--network", "made", "busybox", "sh", "-c", script)
    assert out.startswith("1400\n")
    assert " 10.234.17.128/24 " in out
    assert "default via 10.234.17.7 " in out
    # Static addresses are allowed where the user chose the subnet.
    options = ("--network", "made", "--ip", "10.234.17.200")
    assert "10.234.17.200" in stack.docker("run", "--rm", *options, "busybox", "hostname", "-i")
    error = stack.fails("network", "rm", configuration)
    assert f'configuration network "{configuration}" is in use' in error
    stack.docker("network", "rm", "made")
    stack.docker("network", "rm", configuration)


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        ({"ConfigFrom": {"Network": "nope"}}, 404, 'configuration network "nope" does not exist'),
        ({"ConfigFrom": {"Network": "bridge"}}, 404, 'configuration network "bridge" does not exist'),
        ({"ConfigFrom": {"Network": "settings"}, "Labels": {"a": "b"}}, 403, "user specified configurations are not"),
        ({"ConfigFrom": {"Network": "settings"}, "EnableIPv6": True}, 403, "user specified configurations are not"),
        ({"ConfigFrom": {"Network": "settings"}, "IPAM": {"Config": [{"Subnet": "10.9.0.0/24"}]}}, 403,
         "user specified configurations are not"),
        ({"ConfigFrom": {"Network": "settings"}, "Options": {"a": "b"}}, 403, "network driver options are not"),
        ({"ConfigFrom": {"Network": "settings"}, "ConfigOnly": True}, 403, "cannot depend on another configuration"),
        ({"ConfigOnly": True, "Internal": True}, 403, "[ ingress | internal | attachable | scope ] are not supported"),
        ({"ConfigOnly": True, "Scope": "local"}, 403, "[ ingress | internal | attachable | scope ] are not supported"),
        ({"ConfigFrom": {"Network": 7}}, 400, "ConfigReference.Network"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(
    stack: Stack, configuration: str, document: dict[str, Any], status: int, words: str
) -> None:
    found, answer = stack.request("POST", "/networks/create", {"Name": "x", **document})
    assert (found, words in answer["message"]) == (status, True), answer
