"""Mirrors and insecure registries as host directories."""

from __future__ import annotations

import socket
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


@pytest.mark.parametrize(
    ("addresses", "secure"),
    [
        (["10.1.0.1"], False),
        (["10.1.0.1", "10.1.0.2"], False),
        (["10.1.0.1", "192.0.2.1"], True),
        (["192.0.2.1", "10.1.0.1"], True),
        (["10.1.0.1", "2001:db8::1"], True),
        (["127.0.0.1"], True),
        (["127.0.0.1", "192.0.2.1"], True),
        ([], True),
    ],
)
async def test_cve_2026_92543_every_address_of_a_name_must_be_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str], secure: bool
) -> None:
    """Whoever answers for a name may add an address of the insecure network, or of the loopback, to its own."""

    def resolved(*_: object) -> list[tuple[object, ...]]:
        if not addresses:
            raise socket.gaierror
        return [(0, 0, 0, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    registries = RegistryHosts(parse_settings([], ["10.1.0.0/16"]), str(tmp_path / "hosts.d"))
    for registry in ("named.example", "named.example:5000"):
        (host,) = find_hosts(registry, await registries.directories(registry))
        assert (host.scheme, host.skip_verify, host.plain_fallback) == (
            "https",
            not secure,
            not secure,
        )
    # And it is asked again: tomorrow the name may lead elsewhere.
    addresses[:] = ["192.0.2.1"]
    (host,) = find_hosts("named.example", await registries.directories("named.example"))
    assert (host.skip_verify, host.plain_fallback) == (False, False)


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.999",
        "127.0.0.1.example",
        "127.1",
        "localhost.example",
        "0.0.0.0",
        "[::ffff:10.0.0.1]",
    ],
)
def test_cve_2026_92543_only_what_is_written_as_loopback_is(name: str) -> None:
    for registry in (name, f"{name}:5000"):
        (host,) = find_hosts(registry)
        assert (host.scheme, host.skip_verify, host.plain_fallback) == ("https", False, False)
