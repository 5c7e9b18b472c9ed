"""Frames: bytes in, events out, without buffering more than a frame's header. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_SHORT: Final = 126
_LONG: Final = 127
_LARGEST_CONTROL: Final = 125
_LARGEST_16: Final = 1 << 16
_HEADER: Final = 2
_MASK: Final = 4
NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

    @property
    def control(self) -> bool:
        """Whether it may come between the frames of a message."""
        return self >= Opcode.CLOSE


class ProtocolError(ValueError):
    """A client that does not speak the protocol."""


@dataclass(frozen=True, slots=True)
class Event:
    """A piece of a message, or a whole control frame."""

    opcode: Opcode
    payload: bytes


class Decoder:
    """Reads what a client sends. A message's borders mean nothing to a stream, so its pieces come as they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode: Opcode | None = None
        self._left = 0
        self._mask = b""
        self._in_message = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events in these bytes; raises ProtocolError."""
        self._buffer += data
        while True:
            if self._opcode is None and not self._header():
                return
            event = self._piece()
            if event is None:
                return
            yield event

    def _header(self) -> bool:
        """Take a frame's header off the buffer, if all of it is there."""
        if len(self._buffer) < _HEADER:
            return False
        first, second = self._buffer[:_HEADER]
        opcode = _opcode(first, second)
        size = second & ~_MASKED
        extended = {_SHORT: 2, _LONG: 8}.get(size, 0)
        total = _HEADER + extended + _MASK
        if len(self._buffer) < total:
            return False
        if extended:
            size = int.from_bytes(self._buffer[_HEADER : _HEADER + extended], "big")
        if size >> 63:
            raise ProtocolError("length with its highest bit set")
        self._mask = bytes(self._buffer[total - _MASK : total])
        del self._buffer[:total]
        if not opcode.control:
            if (opcode is Opcode.CONTINUATION) != self._in_message:
                raise ProtocolError("frames out of order")
            self._in_message = not first & _FINAL
        self._opcode, self._left = opcode, size
        return True

    def _piece(self) -> Event | None:
        opcode = self._opcode
        assert opcode is not None
        size = min(self._left, len(self._buffer))
        if opcode.control and size < self._left:
            return None
        if not size and self._left:
            return None
        piece = _unmasked(bytes(self._buffer[:size]), self._mask)
        del self._buffer[:size]
        self._left -= size
        turn = size % _MASK
        self._mask = self._mask[turn:] + self._mask[:turn]
        if not self._left:
            self._opcode = None
        return Event(opcode, piece)


def encode(opcode: Opcode, payload: bytes) -> bytes:
    """A whole frame of a server."""
    size = len(payload)
    if size < _SHORT:
        return bytes([_FINAL | opcode, size]) + payload
    if size < _LARGEST_16:
        return struct.pack("!BBH", _FINAL | opcode, _SHORT, size) + payload
    return struct.pack("!BBQ", _FINAL | opcode, _LONG, size) + payload


def close(code: int) -> bytes:
    """A frame that ends the conversation."""
    return encode(Opcode.CLOSE, struct.pack("!H", code))


def _opcode(first: int, second: int) -> Opcode:
    if first & _RESERVED:
        raise ProtocolError("reserved bits")
    if not second & _MASKED:
        raise ProtocolError("frame of a client without a mask")
    try:
        opcode = Opcode(first & 0x0F)
    except ValueError:
        raise ProtocolError("unknown opcode") from None
    if opcode.control and (not first & _FINAL or second & ~_MASKED > _LARGEST_CONTROL):
        raise ProtocolError("control frame in pieces, or too long")
    return opcode


def _unmasked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    key = (mask * (size // _MASK + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
