"""Mirrors and insecure registries as host directories."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dockerd.images.registries import RegistryHosts, parse_settings
from wire.errors import InvalidArgument
from wire.registry.hosts import find_hosts


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("ftp://x", 'unsupported scheme "ftp"'),
        ("mirror.example", 'unsupported scheme ""'),
        ("https://user:pw@x", "username/password not allowed"),
        ("https://x/?a=b", "query or fragment"),
    ],
)
def test_bad_mirrors_are_named(mirror: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse_settings([mirror], [])


@pytest.mark.parametrize("registry", ["http://x:5000", "x/y"])
def test_bad_insecure_registries_are_named(registry: str) -> None:
    with pytest.raises(InvalidArgument, match="insecure registry"):
        parse_settings([], [registry])


async def test_mirrors_are_asked_before_the_hub(tmp_path: Path) -> None:
    settings = parse_settings(["http://one:1", "https://two"], ["two", "10.0.0.0/8"])
    assert settings.mirrors == ("http://one:1/", "https://two/")
    assert settings.networks == ("10.0.0.0/8", "127.0.0.0/8", "::1/128")
    directories = await RegistryHosts(settings, str(tmp_path / "hosts.d")).directories("docker.io")
    hosts = find_hosts("docker.io", directories)
    assert [(each.scheme, each.authority) for each in hosts] == [
        ("http", "one:1"),
        ("https", "two"),
        ("https", "registry-1.docker.io"),
    ]
    assert [each.skip_verify for each in hosts] == [False, True, False]


async def test_insecure_registry_is_tried_with_tls_first(tmp_path: Path) -> None:
    settings = parse_settings([], ["reg.example:5000", "10.1.0.0/16"])
    registries = RegistryHosts(settings, str(tmp_path / "hosts.d"))
    for registry in ("reg.example:5000", "10.1.2.3:5000"):
        (host,) = find_hosts(registry, await registries.directories(registry))
        assert (host.scheme, host.skip_verify, host.plain_fallback) == ("https", True, True)
    (host,) = find_hosts("10.2.0.1:5000", await registries.directories("10.2.0.1:5000"))
    assert (host.scheme, host.skip_verify, host.plain_fallback) == ("https", False, False)


async def test_settings_of_an_earlier_life_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "hosts.d"
    RegistryHosts(parse_settings([], ["old:1"]), str(path))
    RegistryHosts(parse_settings([], ["new:1"]), str(path))
    assert [each.name for each in path.iterdir()] == ["new:1"]
    tomllib.loads((path / "new:1/hosts.toml").read_text())
