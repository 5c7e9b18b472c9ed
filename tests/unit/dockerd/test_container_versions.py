"""What requests for containers meant in older API versions."""

from __future__ import annotations

from typing import Any

import pytest

from dockerd.api import container_versions
from wire.errors import InvalidArgument

_NOW = (1, 51)
_SYSCTLS = "com.docker.network.endpoint.sysctls"


def _rewritten(
    version: tuple[int, int],
    host: dict[str, Any] | None = None,
    endpoints: dict[str, Any] | None = None,
    **config: Any,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str]]:
    host, endpoints = host or {}, endpoints or {}
    warnings = container_versions.create_request(config, host, endpoints, version)
    return config, host, endpoints, warnings


def test_fields_of_later_versions_are_left_out() -> None:
    host = {"AutoRemove": True, "ConsoleSize": [1, 2], "Annotations": {"a": "b"}}
    health = {"Test": ["CMD", "x"], "StartInterval": 5}
    config, old, _, _ = _rewritten((1, 24), dict(host), Healthcheck=health)
    assert old == {"AutoRemove": False, "IpcMode": "shareable"}
    assert config["Healthcheck"] == {"Test": ["CMD", "x"], "StartInterval": 0}
    config, new, _, _ = _rewritten(_NOW, dict(host), Healthcheck=health)
    assert (new, config["Healthcheck"]) == (host, health)


def test_options_of_mounts_of_later_versions() -> None:
    def mounts() -> list[dict[str, Any]]:
        options = {"NonRecursive": True, "CreateMountpoint": True}
        return [{"Type": "bind", "BindOptions": options, "VolumeOptions": {}}]

    _, old, _, _ = _rewritten((1, 39), {"Mounts": mounts()})
    assert old["Mounts"] == [{"Type": "bind", "BindOptions": {}}]
    _, new, _, _ = _rewritten(_NOW, {"Mounts": mounts()})
    assert new["Mounts"] == mounts()


@pytest.mark.parametrize(
    ("version", "mount", "words"),
    [
        ((1, 43), {"Type": "bind", "BindOptions": {"ReadOnlyForceRecursive": True}}, "needs API v1.44 or newer"),
        ((1, 44), {"Type": "volume", "VolumeOptions": {"Subpath": "a"}}, "needs API v1.45 or newer"),
        ((1, 47), {"Type": "image"}, "needs API v1.48 or newer"),
    ],
)  # fmt: skip
def test_mounts_that_would_mean_something_else_are_refused(
    version: tuple[int, int], mount: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words):
        _rewritten(version, {"Mounts": [mount]})
    _rewritten(_NOW, {"Mounts": [mount]})


def test_several_networks() -> None:
    with pytest.raises(InvalidArgument, match="multiple network endpoints: a, b"):
        _rewritten((1, 43), endpoints={"a": {}, "b": None})
    _, _, found, _ = _rewritten((1, 47), endpoints={"a": {"GwPriority": 7}, "b": None})
    assert found == {"a": {}, "b": None}


def test_the_containers_mac_address_becomes_that_of_its_network() -> None:
    mac = "02:42:ac:11:00:07"
    config, _, found, warnings = _rewritten(_NOW, {"NetworkMode": "default"}, MacAddress=mac)
    assert (config, found) == ({}, {"bridge": {"MacAddress": mac}})
    assert "deprecated" in warnings[0]
    config, _, found, warnings = _rewritten(
        (1, 43), {"NetworkMode": "n"}, {"n": None}, MacAddress=mac
    )
    assert (config, found, warnings) == ({}, {"n": {"MacAddress": mac}}, [])
    # That of the endpoint came later.
    _, _, found, _ = _rewritten((1, 43), endpoints={"bridge": {"MacAddress": mac}})
    assert found == {"bridge": {}}
    with pytest.raises(InvalidArgument, match="mac-address and the network mode"):
        _rewritten((1, 43), {"NetworkMode": "host"}, MacAddress=mac)
    with pytest.raises(InvalidArgument, match="must match the endpoint-specific MAC address"):
        _rewritten(_NOW, {}, {"bridge": {"MacAddress": "02:42:ac:11:00:08"}}, MacAddress=mac)


def test_settings_of_the_first_interface_become_those_of_its_network() -> None:
    sysctls = {"net.ipv4.conf.eth0.log_martians": "1", "net.core.somaxconn": "9"}
    _, host, found, warnings = _rewritten((1, 47), {"Sysctls": dict(sysctls)})
    assert host["Sysctls"] == {"net.core.somaxconn": "9"}
    assert found == {"bridge": {"DriverOpts": {_SYSCTLS: "net.ipv4.conf.IFNAME.log_martians=1"}}}
    assert warnings[0].startswith('Migrated sysctl "net.ipv4.conf.eth0.log_martians"')
    with pytest.raises(InvalidArgument, match="must be supplied using driver option"):
        _rewritten(_NOW, {"Sysctls": dict(sysctls)})


def test_a_driver_for_all_volumes_is_not_one_for_mounts() -> None:
    host = {"VolumeDriver": "d", "Mounts": [{"Type": "volume"}]}
    assert "volume-driver configuration is ignored" in _rewritten(_NOW, dict(host))[3][0]
    assert _rewritten((1, 47), dict(host))[3] == []


def test_how_containers_are_shown() -> None:
    document = {
        "Id": "0123456789abcdef",
        "Config": {"Hostname": "h"},
        "NetworkSettings": {"Networks": {"bridge": {"Aliases": None}, "n": {"Aliases": ["a"]}}},
        "ImageManifestDescriptor": {},
    }
    old = container_versions.inspected(document, (1, 44))
    assert old["NetworkSettings"]["Networks"] == {
        "bridge": {"Aliases": None},
        "n": {"Aliases": ["a", "0123456789ab", "h"]},
    }
    assert "ImageManifestDescriptor" not in old
    assert container_versions.inspected(document, _NOW) == document
    entry = {"HostConfig": {"NetworkMode": "n", "Annotations": {}}, "ImageManifestDescriptor": {}}
    assert container_versions.listed(entry, (1, 45)) == {"HostConfig": {"NetworkMode": "n"}}
    assert container_versions.listed(entry, _NOW) == entry
