"""HTTP proxies on the way to registries: those of the environment, by Go's rules, or those that a caller sends along.

Our dockerd tells our containerd its own in a transfer's metadata, because Docker's daemon fetches with what it was given itself.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from wire.errors import InvalidArgument

HEADER: Final = "dockyard-proxies"
_NAMES: Final = ("http_proxy", "https_proxy", "no_proxy")
_PORTS: Final = {"http": 80, "https": 443}

_current: ContextVar[Mapping[str, str] | None] = ContextVar("proxies", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Where to connect instead; ``authorization`` is a header's value, empty for none."""

    host: str
    port: int
    authorization: str = ""


def configured(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The proxies of an environment by their names in small letters; the large ones come first, as in Go."""
    found = {name: environment.get(name.upper()) or environment.get(name, "") for name in _NAMES}
    return {name: value for name, value in found.items() if value}


def header() -> tuple[tuple[str, str], ...]:
    """What tells our own proxies, if there are any."""
    found = configured()
    return ((HEADER, json.dumps(found)),) if found else ()


@contextmanager
def bind(metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[None]:
    """Run a block with the proxies that a caller sent, if it sent any."""
    found = None
    try:
        document = json.loads(dict(metadata).get(HEADER) or "null")
    except ValueError:
        document = None
    if isinstance(document, dict):
        found = {name: str(document[name]) for name in _NAMES if name in document}
    token = _current.set(found)
    try:
        yield
    finally:
        _current.reset(token)


def chosen(scheme: str, authority: str) -> Proxy | None:
    """The proxy to ``authority``, None if there is none on the way; raises InvalidArgument for one that is no URL."""
    settings = _current.get()
    if settings is None:
        settings = configured()
    text = settings.get(f"{scheme}_proxy", "")
    if not text:
        return None
    parts = urllib.parse.urlsplit(f"//{authority}")
    if _direct(parts.hostname or "", parts.port or _PORTS[scheme], settings.get("no_proxy", "")):
        return None
    return _parsed(text)


def _parsed(text: str) -> Proxy:
    url = urllib.parse.urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme != "http" or not url.hostname:
        raise InvalidArgument(f"proxy {masked(text)}: only proxies at http:// are supported")
    authorization = ""
    if url.username is not None:
        pair = f"{urllib.parse.unquote(url.username)}:{urllib.parse.unquote(url.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Proxy(host=url.hostname, port=url.port or 80, authorization=authorization)


def masked(url: str) -> str:
    """An address without the credentials in it."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}xxxxx:xxxxx@{place}" if at and credentials else url


def _direct(host: str, port: int, excepted: str) -> bool:
    """Loopback always, and what NO_PROXY names: ``*``, addresses, networks, domains with what is below, with a port or none."""
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(
        _excepts(entry.strip().lower(), host.lower(), port, address)
        for entry in excepted.split(",")
        if entry.strip()
    )


def _excepts(
    entry: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, separator, number = entry.rpartition(":")
    if separator and number.isdigit() and (name.endswith("]") or ":" not in name):
        if int(number) != port:
            return False
        entry = name.strip("[]")
    if address is not None:
        return _address(entry) == address
    name = entry.removeprefix("*").removeprefix(".")
    # As in Go, a name with a dot before it excepts what is below it, not itself.
    return host.endswith(f".{name}") or (host == name and not entry.startswith((".", "*")))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
