"""The supervisor's side of this process: inherited sockets, readiness, and descriptors that outlive us (sd_notify, FDSTORE)."""

from __future__ import annotations

import os
import socket
from typing import Final

_FIRST: Final = 3


def inherited() -> list[tuple[str, int]]:
    """The descriptors that we were started with, by name; the variables are consumed."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for offset in range(int(count)):
        descriptor = _FIRST + offset
        os.set_inheritable(descriptor, False)
        found.append((names[offset] if offset < len(names) else "", descriptor))
    return found


class FdStore:
    """Sends notifications; does nothing without a supervisor."""

    def __init__(self) -> None:
        self._path = os.environ.pop("NOTIFY_SOCKET", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def ready(self) -> None:
        """We serve."""
        self._send("READY=1")

    def keep(self, name: str, descriptor: int) -> None:
        """Leave a copy of a descriptor with the supervisor."""
        self._send(f"FDSTORE=1\nFDNAME={name}", descriptor)

    def hold(self, name: str, descriptor: int) -> None:
        """The same for one that looks hung up and is not: a socket that is bound and does not listen."""
        self._send(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", descriptor)

    def drop(self, name: str) -> None:
        """Have it closed."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def _send(self, text: str, descriptor: int | None = None) -> None:
        if not self._path:
            return
        control = []
        if descriptor is not None:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor.to_bytes(4, "little"))]
        try:
            self._socket.sendmsg([text.encode()], control, 0, self._path)
        except OSError:
            # A supervisor that is gone cannot keep anything.
            return
