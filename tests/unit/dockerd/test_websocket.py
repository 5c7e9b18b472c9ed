"""WebSocket frames, fed in every way that a network may deliver them, and handshakes that are none."""

from __future__ import annotations

import os
import struct

import pytest
from starlette.datastructures import Headers

from dockerd.api.websocket import frames, handshake
from dockerd.api.websocket.frames import Decoder, Event, Opcode, ProtocolError
from wire.errors import InvalidArgument, PermissionDenied

HANDSHAKE = {
    "x-upgrade": "websocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "host": "localhost:2375",
}


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    size = len(payload)
    first = (0x80 if final else 0) | opcode
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    mask = os.urandom(4)
    return head + mask + bytes(each ^ mask[n % 4] for n, each in enumerate(payload))


@pytest.mark.parametrize("step", [1, 3, 7, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_in_pieces(size: int, step: int) -> None:
    payload = os.urandom(size)
    stream = (
        masked(Opcode.BINARY, payload, final=False)
        + masked(Opcode.PING, b"there?")
        + masked(Opcode.CONTINUATION, b"end")
        + masked(Opcode.CLOSE, b"\x03\xe8")
    )
    decoder = Decoder()
    found: list[Event] = []
    for start in range(0, len(stream), step):
        found += decoder.feed(stream[start : start + step])
    data = b"".join(each.payload for each in found if not each.opcode.control)
    assert data == payload + b"end"
    assert [each for each in found if each.opcode.control] == [
        Event(Opcode.PING, b"there?"),
        Event(Opcode.CLOSE, b"\x03\xe8"),
    ]


def test_nothing_but_a_header_is_kept() -> None:
    """A frame of a terabyte passes through."""
    decoder = Decoder()
    head = struct.pack("!BBQ", 0x82, 0x80 | 127, 1 << 40) + b"\0\0\0\0"
    assert list(decoder.feed(head)) == []
    for _ in range(3):
        assert list(decoder.feed(b"x" * 5000)) == [Event(Opcode.BINARY, b"x" * 5000)]
    assert not decoder._buffer


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\x01x",  # not masked
        b"\xc2\x80\0\0\0\0",  # a reserved bit
        b"\x83\x80\0\0\0\0",  # an opcode that there is not
        b"\x80\x80\0\0\0\0",  # a continuation of nothing
        b"\x09\x80\0\0\0\0",  # a ping in pieces
        b"\x89\xfe\0\x7e\0\0\0\0",  # a ping that is too long
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # a negative length
        b"\x02\x80\0\0\0\0\x82\x80\0\0\0\0",  # a message inside a message
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(data))


@pytest.mark.parametrize(("size", "head"), [(5, 2), (126, 4), (65535, 4), (65536, 10)])
def test_frames_of_the_server(size: int, head: int) -> None:
    frame = frames.encode(Opcode.BINARY, b"x" * size)
    assert len(frame) == size + head
    assert frame[0] == 0x82
    assert not frame[1] & 0x80


def test_the_example_of_the_standard() -> None:
    assert handshake.accept(Headers(HANDSHAKE)) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    same = {**HANDSHAKE, "origin": "http://localhost:2375"}
    assert handshake.accept(Headers(same))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x-upgrade": "tcp"}, "not websocket protocol"),
        ({"connection": "close"}, "not websocket protocol"),
        ({"sec-websocket-version": "8"}, "missing or bad WebSocket Version"),
        ({"sec-websocket-key": "c2hvcnQ="}, "mismatch challenge/response"),
        ({"sec-websocket-key": "%%%"}, "mismatch challenge/response"),
    ],
)
def test_what_is_no_handshake(change: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        handshake.accept(Headers({**HANDSHAKE, **change}))


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:2375.evil"])
def test_pages_of_other_origins_stay_outside(origin: str) -> None:
    with pytest.raises(PermissionDenied):
        handshake.accept(Headers({**HANDSHAKE, "origin": origin}))
