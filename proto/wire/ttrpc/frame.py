"""The frame of ttrpc: a 10 byte header (length, stream id, type, flags; big endian) and its data."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

HEADER: Final = struct.Struct(">IIBB")
HEADER_SIZE: Final = HEADER.size
MAX_DATA: Final = 4 << 20

REQUEST: Final = 1
RESPONSE: Final = 2
DATA: Final = 3

REMOTE_CLOSED: Final = 0x01
REMOTE_OPEN: Final = 0x02
NO_DATA: Final = 0x04


def encode(stream_id: int, kind: int, data: bytes, flags: int = 0) -> bytes:
    """One frame on the wire. The caller keeps ``data`` within MAX_DATA."""
    return HEADER.pack(len(data), stream_id, kind, flags) + data


class Reader:
    """Cuts a byte stream into frames; a frame that is too large is skipped and reported with data None."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0

    @property
    def empty(self) -> bool:
        """Whether it holds no part of a frame."""
        return not self._buffer and not self._skip

    def feed(self, data: bytes) -> list[tuple[int, int, int, bytes | None]]:
        """Add received bytes; returns complete frames as (stream id, type, flags, data or None if oversized)."""
        frames: list[tuple[int, int, int, bytes | None]] = []
        buffer = self._buffer
        buffer += data
        while True:
            if self._skip:
                dropped = min(self._skip, len(buffer))
                del buffer[:dropped]
                self._skip -= dropped
                if self._skip:
                    return frames
            if len(buffer) < HEADER_SIZE:
                return frames
            length, stream_id, kind, flags = HEADER.unpack_from(buffer)
            if length > MAX_DATA:
                del buffer[:HEADER_SIZE]
                self._skip = length
                frames.append((stream_id, kind, flags, None))
                continue
            end = HEADER_SIZE + length
            if len(buffer) < end:
                return frames
            frames.append((stream_id, kind, flags, bytes(buffer[HEADER_SIZE:end])))
            del buffer[:end]
