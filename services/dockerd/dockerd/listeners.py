"""Where the API listens: sockets made from `-H`, and those that the supervisor holds."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from dockerd.config import DEFAULT_SOCKET, Config
from wire.errors import InvalidArgument

logger = logging.getLogger(__name__)

_BACKLOG: Final = 4096
_DEFAULT_PORT: Final = 2375
_OPEN: Final = (
    (
        "Binding to IP address without --tlsverify is insecure and gives root access on this machine to everyone who has"
        " access to your network."
    ),
    "Binding to an IP address, even on localhost, can also give access to scripts run in a browser. Be safe out there!",
)
_WIDE_OPEN: Final = (
    (
        "Please consider generating tls certificates with client validation to prevent exposing unauthenticated root"
        " access to your network"
    ),
    "You can override this by explicitly specifying '--tls=false' or '--tlsverify=false'",
)


def listening(given: Iterable[int]) -> list[int]:
    """Those of the descriptors that we were started with on which clients connect, whatever systemd or we call them."""
    return [descriptor for descriptor in given if _accepts(descriptor)]


def _accepts(descriptor: int) -> bool:
    try:
        probe = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        # Not a socket.
        return False
    with probe:
        return bool(probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def opened(config: Config, inherited: list[int]) -> list[socket.socket]:
    """A listening socket for each host; ``inherited`` are those for ``fd://``. Raises InvalidArgument, OSError."""
    found = []
    for host in config.hosts:
        scheme, separator, rest = host.partition("://")
        if not separator:
            scheme, rest = "tcp", host
        match scheme:
            case "fd":
                found += [socket.socket(fileno=each) for each in _activated(rest, inherited)]
            case "unix":
                found.append(_unix(rest or DEFAULT_SOCKET, config.group))
            case "tcp":
                _warn(host, rest, config)
                found.append(tcp(rest))
            case _:
                raise InvalidArgument(f"-H: invalid bind address format: {host}")
    return found


def _activated(which: str, inherited: list[int]) -> list[int]:
    """``fd://`` and ``fd://*`` are all of them, ``fd://<number>`` is one."""
    if not inherited:
        raise InvalidArgument(
            "no sockets found via socket activation: make sure the service was started by its supervisor"
        )
    if which in {"", "*"}:
        return inherited
    if not which.isdecimal():
        raise InvalidArgument(f"failed to parse systemd fd address: should be a number: {which}")
    if int(which) not in inherited:
        raise InvalidArgument(
            f"-H fd://{which}: no listening socket was passed in with that number"
        )
    return [int(which)]


def _warn(host: str, rest: str, config: Config) -> None:
    """Say in the original's words what a listener without verified clients means. It waits for nobody to read that."""
    if config.tls is not None and config.tls.verify:
        return
    for words in _OPEN if config.open_on_purpose or _is_loopback(rest) else (*_OPEN, *_WIDE_OPEN):
        logger.warning(words, extra={"host": host})


def _is_loopback(rest: str) -> bool:
    name = urlsplit(f"//{rest}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def tcp(address: str) -> socket.socket:
    """A listening socket at ``host:port``; raises InvalidArgument, OSError."""
    try:
        parts = urlsplit(f"//{address}")
        port = _DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        raise InvalidArgument(f"-H: invalid bind address format: {address}") from None
    if parts.path or parts.query or parts.username:
        raise InvalidArgument(f"-H: invalid bind address format: {address}")
    name = parts.hostname or "127.0.0.1"
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    return socket.create_server((name, port), family=family, backlog=_BACKLOG)


def _unix(path: str, group: str) -> socket.socket:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    with contextlib.suppress(KeyError):
        os.chown(path, 0, grp.getgrnam(group).gr_gid)
    listener.listen(_BACKLOG)
    return listener
