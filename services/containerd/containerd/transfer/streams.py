"""The streams of a transfer: opened by the client on the Streaming service, used by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from containerd.transfer.pipes import Pipe
from wire import typeurl
from wire.errors import AlreadyExists, Cancelled, NotFound
from wire.gen.containerd.types.transfer import streaming_pb2

_WINDOW: Final = 2 << 20
_QUEUED: Final = 8


class Stream:
    """One open stream: what the client sent, and what it should get."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Any | None] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Any | None] = asyncio.Queue()
        # Where the bytes go instead of into messages.
        self.pipe: Pipe | None = None
        self._room = asyncio.Event()
        self._gone = False

    def send(self, message: Message) -> None:
        """Queue a message for the client."""
        self.outgoing.put_nowait(typeurl.pack(message))

    def close(self) -> None:
        """No more messages come from us."""
        self.outgoing.put_nowait(None)

    def sent(self) -> None:
        """One more message has left the queue."""
        self._room.set()

    def left(self) -> None:
        """The client is gone."""
        self._gone = True
        self._room.set()

    def take_pipe(self) -> Pipe | None:
        """The pipe that carries the bytes, if there is one; whoever takes it closes it."""
        pipe, self.pipe = self.pipe, None
        return pipe

    async def receive(self) -> Message | None:
        """The client's next message; None at its end."""
        packed = await self.incoming.get()
        return None if packed is None else typeurl.unpack(packed)

    async def read(self) -> AsyncIterator[bytes]:
        """The client's bytes, granting it room as they are taken."""
        self.send(streaming_pb2.WindowUpdate(update=_WINDOW))
        while (message := await self.receive()) is not None:
            if isinstance(message, streaming_pb2.Data):
                yield message.data
                self.send(streaming_pb2.WindowUpdate(update=len(message.data)))

    async def write(self, chunks: AsyncIterator[bytes]) -> None:
        """Send bytes as far as the client grants room; raises Cancelled if it leaves."""
        room = 0
        async for chunk in chunks:
            view = chunk
            while view:
                while room <= 0:
                    message = await self.receive()
                    if message is None:
                        raise Cancelled("the reader of the stream has left")
                    if isinstance(message, streaming_pb2.WindowUpdate):
                        room += message.update
                # A client may grant gigabytes: what is not on its way yet must not pile up here.
                while self.outgoing.qsize() >= _QUEUED and not self._gone:
                    self._room.clear()
                    await self._room.wait()
                if self._gone:
                    raise Cancelled("the reader of the stream has left")
                part, view = view[:room], view[room:]
                self.send(streaming_pb2.Data(data=part))
                room -= len(part)


class Streams:
    """The open streams by name."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}

    def open(self, name: str) -> Stream:
        """A client opened a stream; raises AlreadyExists."""
        if name in self._streams:
            raise AlreadyExists(f"stream {name}: already exists")
        stream = self._streams[name] = Stream()
        return stream

    def forget(self, name: str) -> None:
        """The client left."""
        self._streams.pop(name, None)

    def get(self, name: str) -> Stream:
        """A stream that a client opened; raises NotFound."""
        found = self._streams.get(name)
        if found is None:
            raise NotFound(f"stream {name}: not found")
        return found
