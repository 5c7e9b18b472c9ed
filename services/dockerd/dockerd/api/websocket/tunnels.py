"""Carrying the messages of a WebSocket to and from a raw stream, for who knows of no frames."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from typing import Final

from dockerd.api.websocket import frames
from dockerd.api.websocket.frames import Decoder, Opcode, ProtocolError
from dockerd.background import Background

_PIECE: Final = 1 << 16
_PATIENCE: Final = 10.0


class Tunnels:
    """All WebSockets of the daemon. They end with it."""

    def __init__(self) -> None:
        self._background = Background()

    def begin(self, client: int, early: bytes, *, binary: bool) -> int:
        """Serve the connection ``client``, which is ours from now on; the descriptor of a raw stream with what it says.

        ``early`` is what was read of it already. ``binary`` says how our messages are marked.
        """
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        opcode = Opcode.BINARY if binary else Opcode.TEXT
        self._background.begin(_carry(client, early, ours, opcode))
        return theirs.detach()

    async def close(self) -> None:
        """Hang up."""
        await self._background.close()


async def _carry(client: int, early: bytes, inner: socket.socket, opcode: Opcode) -> None:
    with inner, socket.socket(fileno=client) as outer:
        from_client, to_client = await asyncio.open_connection(sock=outer.dup())
        from_inner, to_inner = await asyncio.open_connection(sock=inner.dup())
    decoder = Decoder()
    inward = asyncio.ensure_future(_inward(decoder, early, from_client, to_client, to_inner))
    outward = asyncio.ensure_future(_outward(from_inner, to_client, opcode))
    try:
        with contextlib.suppress(OSError):
            done, _ = await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
            await _cancelled(inward, outward)
            to_client.write(frames.close(done.pop().result()))
            await to_client.drain()
            if outward.cancelled():
                # What is left to be sent is sent before it is closed.
                to_client.close()
                await _deliver(from_inner, to_inner)
            else:
                await _goodbye(decoder, from_client)
    finally:
        await _cancelled(inward, outward)
        to_client.close()
        to_inner.close()


async def _goodbye(decoder: Decoder, source: asyncio.StreamReader) -> None:
    """Wait for the client's: closed before, its sending fails, and it forgets what it has not read yet."""
    with contextlib.suppress(ProtocolError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while data := await source.read(_PIECE):
                if any(each.opcode is Opcode.CLOSE for each in decoder.feed(data)):
                    return


async def _cancelled(*tasks: asyncio.Future[int]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _deliver(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Let what the client said last be read. As Docker, look at the next output whether there is still a reason to stay."""
    target.write_eof()
    inner = target.get_extra_info("socket")
    while await source.read(_PIECE):
        (unread,) = struct.unpack("i", fcntl.ioctl(inner.fileno(), termios.TIOCOUTQ, bytes(4)))
        if not unread and not target.transport.get_write_buffer_size():
            return


async def _inward(
    decoder: Decoder,
    early: bytes,
    source: asyncio.StreamReader,
    answers: asyncio.StreamWriter,
    target: asyncio.StreamWriter,
) -> int:
    """Until the client says goodbye, leaves or talks nonsense; the code of our own goodbye."""
    data = early or await source.read(_PIECE)
    while data:
        try:
            for event in decoder.feed(data):
                if event.opcode is Opcode.CLOSE:
                    return frames.NORMAL
                if event.opcode is Opcode.PING:
                    answers.write(frames.encode(Opcode.PONG, event.payload))
                elif not event.opcode.control:
                    target.write(event.payload)
        except ProtocolError:
            return frames.PROTOCOL_ERROR
        await target.drain()
        await answers.drain()
        data = await source.read(_PIECE)
    return frames.NORMAL


async def _outward(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, opcode: Opcode
) -> int:
    while data := await source.read(_PIECE):
        target.write(frames.encode(opcode, data))
        await target.drain()
    return frames.NORMAL
