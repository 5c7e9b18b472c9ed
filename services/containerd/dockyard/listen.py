"""Unix listeners at paths of any length."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
from typing import Final

from wire.addresses import SOCKET_PATH_LIMIT

_BACKLOG: Final = 4096


def listen(path: str, mode: int, group: str | None) -> socket.socket:
    """A unix listener at ``path``; a path longer than sun_path is bound through its directory's descriptor."""
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    name = os.path.basename(path)
    # Tools that look for a socket's owner in /proc/net/unix compare with the path that was bound.
    fits = len(os.fsencode(path)) <= SOCKET_PATH_LIMIT
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        before = os.umask(0o777 & ~mode)
        try:
            listener.bind(path if fits else f"/proc/self/fd/{directory}/{name}")
        finally:
            os.umask(before)
        with contextlib.suppress(KeyError):
            if group:
                os.chown(name, 0, grp.getgrnam(group).gr_gid, dir_fd=directory)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(directory)
    return listener
