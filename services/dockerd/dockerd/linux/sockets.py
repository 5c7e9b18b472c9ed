"""What Linux offers for sockets beyond Python's own module: filters, and how much the other end has read."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import termios
from typing import Final

SO_ATTACH_FILTER: Final = 26
SO_DETACH_FILTER: Final = 27


def attach_filter(descriptor: socket.socket, program: bytes) -> None:
    """Attach a classic BPF program of 8-byte instructions to a socket."""
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: u16 count, padding, pointer.
    value = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    descriptor.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, value)


def drop_all(descriptor: socket.socket) -> None:
    """Let the kernel discard whatever arrives at a socket that only reserves its port."""
    attach_filter(descriptor, struct.pack("=HBBI", 0x06, 0, 0, 0))  # BPF_RET 0


def pass_netlink_types(descriptor: socket.socket, types: tuple[int, ...]) -> None:
    """Wake a netlink listener only for messages whose first header has one of these types."""
    count = len(types)
    program = struct.pack("=HBBI", 0x28, 0, 0, 4)  # ldh [4]: nlmsg_type, read as big-endian
    for index, kind in enumerate(types):
        program += struct.pack("=HBBI", 0x15, count - index, 0, socket.htons(kind))
    program += struct.pack("=HBBI", 0x06, 0, 0, 0)
    program += struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF)
    attach_filter(descriptor, program)


_NOTED: Final = 4
"""A priority that every queue treats as the usual one, and that nobody sets."""


def note_answer(descriptor: int) -> None:
    """Leave on a socket, for whoever holds a copy of it, that the head of its answer was written."""
    with socket.socket(fileno=os.dup(descriptor)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _NOTED)


def has_answer(descriptor: int) -> bool:
    """Whether `note_answer` was there."""
    with socket.socket(fileno=os.dup(descriptor)) as client:
        return client.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == _NOTED


async def read_by_peer(descriptor: int, patience: float) -> bool:
    """Until the other end of a Unix socket has read what was written, at most ``patience`` seconds; whether it has.

    Other sockets do not know that, only what has arrived: they are not waited for.
    """
    with socket.socket(fileno=os.dup(descriptor)) as client:
        if client.family != socket.AF_UNIX:
            return False
        return not _unread(client) or await _read(client, patience)


async def _read(client: socket.socket, patience: float) -> bool:
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    with select.epoll() as edges, contextlib.suppress(TimeoutError):
        # A Unix socket that is writable all the time still tells of each message that was read: as an edge.
        edges.register(client, select.EPOLLOUT | select.EPOLLET)
        loop.add_reader(edges.fileno(), changed.set)
        try:
            async with asyncio.timeout(patience):
                while _unread(client):
                    await changed.wait()
                    edges.poll(0)
                    changed.clear()
            return True
        finally:
            loop.remove_reader(edges.fileno())
    return False


def _unread(client: socket.socket) -> int:
    (found,) = struct.unpack("=i", fcntl.ioctl(client, termios.TIOCOUTQ, b"\0" * 4))
    return int(found)
