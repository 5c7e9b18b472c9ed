"""The file descriptors that a daemon leaves with its supervisor: systemd's FDSTORE protocol (sd_notify(3)), receiving side."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# systemd's FileDescriptorStoreMax has no default worth copying; this bounds what a runaway daemon can leave here.
_LIMIT: Final = 4096
_MESSAGE_LIMIT: Final = 64 << 10
_FDS_PER_MESSAGE: Final = 253


@dataclass(frozen=True, slots=True)
class Notification:
    """One sd_notify datagram: its fields, the descriptors that came with it, and the pid that sent it."""

    fields: dict[str, str]
    descriptors: tuple[int, ...]
    pid: int


def bind_notify(path: str) -> socket.socket:
    """A datagram socket that tells who sent each message."""
    receiver = socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    if os.path.lexists(path):
        os.unlink(path)
    receiver.bind(path)
    os.chmod(path, 0o600)
    return receiver


def receive(receiver: socket.socket) -> Notification | None:
    """The next datagram, or None if none is waiting. Malformed lines are dropped."""
    space = socket.CMSG_SPACE(12) + socket.CMSG_SPACE(4 * _FDS_PER_MESSAGE)
    try:
        data, ancillary, _, _ = receiver.recvmsg(_MESSAGE_LIMIT, space, socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        return None
    descriptors: list[int] = []
    pid = 0
    for level, kind, payload in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            usable = len(payload) // 4 * 4
            descriptors += (
                int.from_bytes(payload[at : at + 4], "little") for at in range(0, usable, 4)
            )
        elif kind == socket.SCM_CREDENTIALS:
            pid = int.from_bytes(payload[:4], "little")
    fields = dict(
        line.split("=", 1) for line in data.decode(errors="replace").splitlines() if "=" in line
    )
    return Notification(fields, tuple(descriptors), pid)


class FdStore:
    """Named descriptors, in the order in which they came; a name may hold several."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, int]] = []

    def add(self, name: str, descriptors: tuple[int, ...]) -> bool:
        """Keep ``descriptors`` under ``name``; False (and they are closed) when the store is full."""
        if len(self._entries) + len(descriptors) > _LIMIT:
            for descriptor in descriptors:
                os.close(descriptor)
            return False
        self._entries += ((name, descriptor) for descriptor in descriptors)
        return True

    def remove(self, name: str) -> list[int]:
        """Forget and close what ``name`` holds; the closed numbers."""
        removed = [descriptor for held, descriptor in self._entries if held == name]
        self._entries = [entry for entry in self._entries if entry[0] != name]
        for descriptor in removed:
            os.close(descriptor)
        return removed

    def drop(self, descriptor: int) -> None:
        """Forget one descriptor whose peer has gone."""
        kept = [entry for entry in self._entries if entry[1] != descriptor]
        if len(kept) != len(self._entries):
            self._entries = kept
            os.close(descriptor)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
