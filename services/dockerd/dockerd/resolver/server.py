"""Answering: on sockets that dockerd made inside the containers' network namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from typing import Any, Final

from dockerd.resolver import message
from dockerd.resolver.message import Malformed, Query
from dockerd.resolver.records import Records

_PATIENCE: Final = 3.0
_IDLE: Final = 10.0
_PORT: Final = 53
_LARGEST: Final = 1 << 16


class Sandbox:
    """The two sockets of one container."""

    def __init__(
        self, sandbox: str, records: Records, udp: socket.socket, tcp: socket.socket
    ) -> None:
        self._sandbox = sandbox
        self._records = records
        self._udp = udp
        self._tcp = tcp
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        for each in (self._udp, self._tcp):
            each.setblocking(False)
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), sock=self._udp
        )
        self._server = await asyncio.start_server(self._serve, sock=self._tcp)

    def close(self) -> None:
        """The container is gone."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()

    def received(self, data: bytes, client: Any) -> None:
        """A datagram."""
        task = asyncio.get_running_loop().create_task(self._reply(data, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, client: Any) -> None:
        answer = await self.answer(data, stream=False)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, client)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            while True:
                async with asyncio.timeout(_IDLE):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    data = await reader.readexactly(length)
                answer = await self.answer(data, stream=True)
                if answer is None:
                    break
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        writer.close()

    async def answer(self, data: bytes, *, stream: bool) -> bytes | None:
        """The response to a query; None for what is none."""
        try:
            query = message.parse(data)
        except Malformed:
            return None
        own = self._own(query)
        if own is not None:
            too_long = not stream and len(own) > message.LARGEST_UDP
            return message.truncated(query) if too_long else own
        for server in self._records.servers(self._sandbox):
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    return await _forward(query, data, server, stream=stream)
        failed = bool(self._records.servers(self._sandbox))
        return message.answer(query, message.SERVER_FAILURE if failed else message.NO_NAME)

    def _own(self, query: Query) -> bytes | None:
        """What the networks of the container answer; None where others must be asked."""
        if query.address:
            name = self._records.name(self._sandbox, query.address)
            return (
                None if name is None else message.answer(query, 0, [message.pointer_record(name)])
            )
        addresses = self._records.addresses(self._sandbox, query.name)
        if addresses is None:
            return None
        known = map(message.address_record, addresses if query.dns_class == message.IN else ())
        return message.answer(query, message.OK, [each for each in known if each[0] == query.kind])


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._sandbox.received(data, addr)


async def _forward(query: Query, data: bytes, server: str, *, stream: bool) -> bytes:
    """Ask a server, from the host's own namespace, under an id and from a port that nobody can guess."""
    number = secrets.randbelow(1 << 16)
    asked = message.renumbered(data, number)
    ask = _by_stream if stream else _by_datagram
    found = await ask(asked, server, number, query.question)
    return message.renumbered(found, query.number)


async def _by_datagram(asked: bytes, server: str, number: int, question: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect((server, _PORT))
        await loop.sock_sendall(client, asked)
        while True:
            found = await loop.sock_recv(client, _LARGEST)
            if message.answers(found, number, question):
                return found


async def _by_stream(asked: bytes, server: str, number: int, question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, _PORT)
    try:
        writer.write(struct.pack("!H", len(asked)) + asked)
        await writer.drain()
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        found = await reader.readexactly(length)
    finally:
        writer.close()
    if not message.answers(found, number, question):
        raise OSError("a server answered something else")
    return found
