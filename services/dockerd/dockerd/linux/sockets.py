"""Socket options whose value is a pointer."""

from __future__ import annotations

import ctypes
import socket
import struct
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
