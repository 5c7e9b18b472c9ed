"""A blocking netlink socket: batches of requests with one send, and dumps.

A netlink socket stays in the namespace that it was born in, whatever its thread does later.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from dockerd.networks.netlink import message

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12
_SOL_NETLINK: Final = 270
_NETLINK_EXT_ACK: Final = 11
_NETLINK_GET_STRICT_CHK: Final = 12
_NLM_F_CAPPED: Final = 0x100
_NLM_F_ACK_TLVS: Final = 0x200
_EXT_ACK_MESSAGE: Final = 1
_BUFFER: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Request:
    """A message before it has a sequence number; ``what`` names it in an error."""

    kind: int
    payload: bytes
    flags: int = 0
    what: str = "change link"


class NetlinkConnection:
    """One netlink socket in the namespace of the thread that makes it."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; harmless when called again."""
        self._socket.close()

    def run(self, requests: Sequence[Request]) -> None:
        """Send all requests at once and wait for every acknowledgement.

        Raises the OSError of the first that failed; the kernel has then run the others all the same.
        """
        first = self._sequence + 1
        datagram = bytearray()
        for request in requests:
            self._sequence += 1
            datagram += message.header(
                len(request.payload),
                request.kind,
                message.NLM_F_REQUEST | message.NLM_F_ACK | request.flags,
                self._sequence,
            )
            datagram += request.payload
            datagram += b"\0" * (-len(request.payload) & 3)
        self._socket.send(datagram)
        failures: dict[int, OSError] = {}
        missing = len(requests)
        while missing:
            for kind, flags, sequence, payload in message.parse_messages(
                self._socket.recv(_BUFFER)
            ):
                if kind != message.NLMSG_ERROR or sequence < first:
                    continue
                missing -= 1
                code = -struct.unpack_from("=i", payload)[0]
                if code:
                    request = requests[sequence - first]
                    failures[sequence] = _failure(code, flags, payload, request.what)
        if failures:
            raise failures[min(failures)]

    def dump(
        self, kind: int, payload: bytes, what: str = "list links"
    ) -> Iterator[tuple[int, bytes]]:
        """The (type, payload) of every object of a kind."""
        self._sequence += 1
        flags = message.NLM_F_REQUEST | message.NLM_F_DUMP
        self._socket.send(message.header(len(payload), kind, flags, self._sequence) + payload)
        collected: list[tuple[int, bytes]] = []
        while True:
            for answer, answer_flags, sequence, body in message.parse_messages(
                self._socket.recv(_BUFFER)
            ):
                if sequence != self._sequence:
                    continue
                if answer == message.NLMSG_DONE:
                    return iter(collected)
                if answer == message.NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    raise _failure(code, answer_flags, body, what)
                collected.append((answer, body))

    def get(self, kind: int, payload: bytes, what: str) -> bytes | None:
        """One object, or None if there is none of that name."""
        self._sequence += 1
        self._socket.send(
            message.header(len(payload), kind, message.NLM_F_REQUEST, self._sequence) + payload
        )
        while True:
            for answer, flags, sequence, body in message.parse_messages(self._socket.recv(_BUFFER)):
                if sequence != self._sequence:
                    continue
                if answer == message.NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code in {errno.ENODEV, errno.ENOENT}:
                        return None
                    raise _failure(code, flags, body, what)
                return body


def _failure(code: int, flags: int, payload: bytes, what: str) -> OSError:
    """An OSError that carries the kernel's own explanation where it gave one."""
    explanation = ""
    if flags & _NLM_F_ACK_TLVS:
        # struct nlmsgerr: the code, then the header of the request, and its body unless capped.
        size: int = struct.unpack_from("=I", payload, 4)[0]
        offset = 4 + (message.HEADER_SIZE if flags & _NLM_F_CAPPED else (size + 3) & ~3)
        given = message.parse_attributes(payload, offset).get(_EXT_ACK_MESSAGE)
        if given:
            explanation = ": " + given.rstrip(b"\0").decode(errors="replace")
    return OSError(code, f"failed to {what}: {os.strerror(code)}{explanation}")
