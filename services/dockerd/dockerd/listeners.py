"""Where the API listens: sockets made from `-H`, and those that the supervisor holds."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import socket
from typing import Final
from urllib.parse import urlsplit

from dockerd.config import Config
from wire.errors import InvalidArgument

logger = logging.getLogger(__name__)

_BACKLOG: Final = 4096


def opened(config: Config, inherited: list[int]) -> list[socket.socket]:
    """A listening socket for each host; ``inherited`` are those for ``fd://``. Raises InvalidArgument, OSError."""
    found = []
    for host in config.hosts:
        parts = urlsplit(host)
        if host == "fd://":
            found += [socket.socket(fileno=descriptor) for descriptor in inherited]
        elif parts.scheme == "unix":
            found.append(_unix(parts.path, config.group))
        elif parts.scheme == "tcp" and parts.port:
            logger.warning(
                "API listens on TCP without TLS: whoever reaches it is root", extra={"host": host}
            )
            address = (parts.hostname or "", parts.port)
            found.append(socket.create_server(address, backlog=_BACKLOG))
        else:
            raise InvalidArgument(f"-H: invalid bind address ({host})")
    if not found:
        raise InvalidArgument(
            "no sockets found via socket activation: make sure the service was started by its supervisor"
        )
    return found


def _unix(path: str, group: str) -> socket.socket:
    os.makedirs(os.path.dirname(path), exist_ok=True)
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
