"""How registries are reached: mirrors of Docker Hub, and registries without trusted TLS, told to containerd as host directories.

containerd reads a ``hosts.toml`` for each registry; Docker's own ``/etc/docker/certs.d`` has the same layout.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import shutil
import socket
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wire.atomic import write_atomic
from wire.errors import InvalidArgument

_CERTIFICATES: Final = "/etc/docker/certs.d"
_CONTAINERD: Final = "/etc/containerd/certs.d"
_HUB: Final = "docker.io"
_HUB_SERVER: Final = "https://registry-1.docker.io"
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """What the daemon was told: mirrors as URLs, insecure registries as host[:port] or as networks."""

    mirrors: Sequence[str] = ()
    insecure_hosts: Sequence[str] = ()
    insecure_networks: Sequence[Network] = ()

    @property
    def networks(self) -> Sequence[str]:
        """All networks whose registries need no trusted TLS, as ``docker info`` shows them."""
        return (*(str(each) for each in self.insecure_networks), *_LOOPBACK)


def parse_settings(mirrors: Sequence[str], insecure: Sequence[str]) -> RegistrySettings:
    """Raises InvalidArgument in Docker's words."""
    hosts, networks = [], []
    for text in insecure:
        try:
            networks.append(ipaddress.ip_network(text))
            continue
        except ValueError:
            pass
        if "://" in text or "/" in text or not text:
            raise InvalidArgument(
                f"insecure registry {text} should not contain '://'"
                if "://" in text
                else f"insecure registry {text} is not valid: invalid host {text!r}"
            )
        hosts.append(text)
    return RegistrySettings(
        mirrors=tuple(_mirror(each) for each in mirrors),
        insecure_hosts=tuple(hosts),
        insecure_networks=tuple(networks),
    )


def _mirror(text: str) -> str:
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in {"http", "https"}:
        raise InvalidArgument(f'invalid mirror: unsupported scheme "{parts.scheme}" in "{text}"')
    if parts.username or parts.password:
        raise InvalidArgument(f'invalid mirror: username/password not allowed in URI "{text}"')
    if parts.query or parts.fragment or not parts.netloc:
        raise InvalidArgument(f'invalid mirror: query or fragment at end of the URI "{text}"')
    return f"{text.rstrip('/')}/"


class RegistryHosts:
    """The directory that containerd is pointed at."""

    def __init__(self, settings: RegistrySettings, directory: str) -> None:
        self._directory = directory
        self.replace(settings)

    @property
    def settings(self) -> RegistrySettings:
        """What holds now."""
        return self._settings

    def replace(self, settings: RegistrySettings) -> None:
        """From now on this holds; pulls under way have read what held before."""
        self._settings = settings
        shutil.rmtree(self._directory, ignore_errors=True)
        if settings.mirrors:
            self._write(_HUB, _mirrored(settings))
        for host in settings.insecure_hosts:
            self._write(host, _insecure(host))

    async def directories(self, registry: str) -> str:
        """Where containerd finds how to reach a registry: a colon-separated list."""
        if self._settings.insecure_networks and registry not in (
            _HUB,
            *self._settings.insecure_hosts,
        ):
            # Asked each time: what a name led to once says nothing of where it leads now.
            if await asyncio.to_thread(_within, registry, self._settings.insecure_networks):
                self._write(registry, _insecure(registry))
            else:
                shutil.rmtree(os.path.join(self._directory, registry), ignore_errors=True)
        return f"{self._directory}:{_CERTIFICATES}:{_CONTAINERD}"

    def _write(self, registry: str, document: str) -> None:
        directory = os.path.join(self._directory, registry)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        write_atomic(os.path.join(directory, "hosts.toml"), document.encode())


def _mirrored(settings: RegistrySettings) -> str:
    lines = [f"server = {json.dumps(_HUB_SERVER)}"]
    for mirror in settings.mirrors:
        url = mirror.rstrip("/")
        authority = urllib.parse.urlsplit(mirror).netloc
        insecure = authority in settings.insecure_hosts or _within(
            authority, settings.insecure_networks, resolve=False
        )
        lines += [
            f"[host.{json.dumps(url)}]",
            'capabilities = ["pull", "resolve"]',
            *(["skip_verify = true"] if insecure and url.startswith("https:") else []),
        ]
    return "\n".join(lines) + "\n"


def _insecure(host: str) -> str:
    # TLS without verification first, then plain HTTP: that is what an http address with a TLS setting means.
    return f"server = {json.dumps(f'http://{host}')}\nskip_verify = true\n"


def _within(registry: str, networks: Sequence[Network], *, resolve: bool = True) -> bool:
    name = urllib.parse.urlsplit(f"//{registry}").hostname or ""
    try:
        addresses = (
            {name} if not resolve else {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
        )
    except OSError:
        return False
    # Of several addresses one may be anybody's: all of them must be inside (CVE-2026-92543).
    return bool(addresses) and all(_inside(address, networks) for address in addresses)


def _inside(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks if network.version == parsed.version)
