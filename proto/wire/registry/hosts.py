"""Which endpoints serve a registry: the registry itself, or what a directory of ``hosts.toml`` files says.

The format is containerd's (docs/hosts.md); a directory without ``hosts.toml`` is read as Docker's ``certs.d``.
"""

from __future__ import annotations

import ipaddress
import os
import posixpath
import re
import tomllib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, Final

from wire.errors import InvalidArgument, Unavailable

DOCKER_HUB: Final = "registry-1.docker.io"
_DIAL_TIMEOUT: Final = 30.0
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_KEYS: Final = frozenset(
    {"capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"}
)


class Capability(Flag):
    """What an endpoint may be asked to do."""

    PULL = auto()
    RESOLVE = auto()
    PUSH = auto()
    REFERRERS = auto()


EVERYTHING: Final = Capability.PULL | Capability.RESOLVE | Capability.PUSH | Capability.REFERRERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One endpoint; hashable, because connections are kept by it.

    ``plain_fallback``: plain HTTP is used if the endpoint turns out not to speak TLS.
    """

    scheme: str
    authority: str
    path: str = "/v2"
    capabilities: Capability = EVERYTHING
    ca: tuple[str, ...] = ()
    client: tuple[tuple[str, str], ...] = ()
    skip_verify: bool = False
    plain_fallback: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    dial_timeout: float = _DIAL_TIMEOUT


def is_loopback(authority: str) -> bool:
    """Whether a ``host[:port]`` is this machine, as it is written: what a name resolves to does not count."""
    name = urllib.parse.urlsplit(f"//{authority}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def find_hosts(registry: str, directories: str = "", default_scheme: str = "") -> Sequence[Host]:
    """The endpoints of a registry, those to be tried first in front.

    ``directories`` is a colon-separated list of roots of host directories. Raises InvalidArgument for a file that is
    malformed.
    """
    if default_scheme not in {"", "http", "https"}:
        raise InvalidArgument(f"unknown default scheme {default_scheme!r}: invalid argument")
    for root in filter(None, directories.split(":")):
        for name in _directory_names(registry):
            directory = os.path.join(root, name)
            if os.path.isdir(directory):
                return list(_load(directory, registry, default_scheme))
    return [_registry_itself(registry, default_scheme)]


def _directory_names(registry: str) -> Iterator[str]:
    name, separator, port = registry.rpartition(":")
    if separator:
        yield f"{name}_{port}_"
    yield registry
    yield "_default"


def _registry_itself(registry: str, default_scheme: str) -> Host:
    if registry == "docker.io":
        return Host(scheme="https", authority=DOCKER_HUB)
    if default_scheme or not is_loopback(registry):
        return Host(scheme=default_scheme or "https", authority=registry)
    port = urllib.parse.urlsplit(f"//{registry}").port
    # As containerd: what the port does not decide is tried; nobody can stand between us and a loopback address.
    if port == 80:
        return Host(scheme="http", authority=registry)
    return Host(
        scheme="https",
        authority=registry,
        skip_verify=True,
        plain_fallback=port is not None and port != 443,
    )


def _load(directory: str, registry: str, default_scheme: str) -> Iterator[Host]:
    path = os.path.join(directory, "hosts.toml")
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        yield _with_certificates(_registry_itself(registry, default_scheme), directory)
        return
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"{path}: {error}") from error
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    try:
        tables = document.pop("host", {})
        server = document.pop("server", "")
        for url, table in tables.items():
            yield _parsed(url, table, directory)
        if server:
            yield _parsed(server, document, directory)
        else:
            default = _registry_itself(registry, default_scheme)
            url = f"{default.scheme}://{default.authority}"
            found = _parsed(url, document, directory)
            yield found if document else default
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidArgument(f"{path}: {error}") from error


def _parsed(url: str, table: Mapping[str, Any], directory: str) -> Host:
    if unknown := set(table) - _KEYS:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))}")
    parts = urllib.parse.urlsplit(url if url.startswith("http") else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
        raise ValueError(f"{url!r} is not the address of a registry")
    path = posixpath.normpath(parts.path).rstrip("/") if parts.path not in {"", "/"} else ""
    if not path.endswith("/v2") and not table.get("override_path"):
        path += "/v2"
    authority = DOCKER_HUB if parts.netloc == "docker.io" else parts.netloc
    certified = any(key in table for key in ("ca", "client", "skip_verify"))
    fallback = parts.scheme == "http" and certified and parts.port != 80
    return Host(
        # A TLS setting with an http address: TLS is tried first, as containerd does.
        scheme="https" if fallback else parts.scheme,
        authority=authority,
        path=path,
        capabilities=_capabilities(table.get("capabilities", ())),
        ca=tuple(os.path.join(directory, each) for each in _strings(table.get("ca", ()))),
        client=tuple(_pairs(table.get("client", ()), directory)),
        skip_verify=bool(table.get("skip_verify", False)),
        plain_fallback=fallback,
        headers=tuple(_headers(table.get("header", {}))),
        dial_timeout=_seconds(table.get("dial_timeout", "")),
    )


def _capabilities(names: Sequence[str]) -> Capability:
    found = Capability(0)
    for name in names:
        try:
            found |= Capability[str(name).upper()]
        except KeyError:
            raise ValueError(f"unknown capability {name!r}") from None
    return found or EVERYTHING


def _strings(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise ValueError(f"{value!r} is neither a string nor a list of strings")


def _pairs(value: object, directory: str) -> Iterator[tuple[str, str]]:
    """Client certificates: a file with both parts, a list of them, or a list of pairs."""
    if isinstance(value, (list, tuple)) and all(isinstance(each, list) for each in value):
        for each in value:
            names = _strings(each)
            if not 1 <= len(names) <= 2:
                raise ValueError("a client pair is a certificate and a key")
            certificate = os.path.join(directory, names[0])
            yield certificate, os.path.join(directory, names[1]) if len(names) == 2 else certificate
        return
    for each in _strings(value):
        path = os.path.join(directory, each)
        yield path, path


def _headers(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        for each in _strings(value):
            if re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is None or re.search(
                r"[\r\n\0]", each
            ):
                raise ValueError(f"header {name!r} is malformed")
            yield name, each


def _seconds(text: str) -> float:
    """A Go duration of one unit, such as ``500ms`` or ``3s``."""
    if not text:
        return _DIAL_TIMEOUT
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration")
    return float(match[1]) * _UNITS[match[2]]


def _with_certificates(host: Host, directory: str) -> Host:
    """Docker's layout: ``*.crt`` are authorities, ``*.cert`` with ``*.key`` are ours."""
    names = sorted(os.listdir(directory))
    ca = tuple(os.path.join(directory, name) for name in names if name.endswith(".crt"))
    client = []
    for name in names:
        stem, dot, kind = name.rpartition(".")
        if dot and kind == "cert":
            key = f"{stem}.key"
            if key not in names:
                raise InvalidArgument(
                    f"missing key {key} for client certificate {name} in {directory}"
                )
            client.append((os.path.join(directory, name), os.path.join(directory, key)))
    if not ca and not client:
        return host
    return Host(
        scheme=host.scheme,
        authority=host.authority,
        ca=ca,
        client=tuple(client),
        skip_verify=host.skip_verify and not ca,
        plain_fallback=host.plain_fallback,
    )
