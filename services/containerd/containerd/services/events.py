"""The services that hold nothing: events, version, streaming."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.empty_pb2 import Empty

from containerd.events.exchange import Exchange
from containerd.transfer.pipes import Pipe
from containerd.transfer.streams import Streams
from wire import namespaces, typeurl
from wire.errors import InvalidArgument
from wire.gen.containerd.services.events.v1 import events_pb2
from wire.gen.containerd.services.streaming.v1 import streaming_pb2
from wire.gen.containerd.services.version.v1 import version_pb2
from wire.gen.containerd.types import event_pb2
from wire.pipes import FROM_CLIENT, OPENED, TO_CLIENT

logger = logging.getLogger(__name__)

VERSION: Final = "2.1.0+dockyard.0.1.0"


class EventsService:
    """containerd.services.events.v1.Events."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def publish(self, request: events_pb2.PublishRequest, _context: Any) -> Empty:
        """An event of a client in its namespace."""
        envelope = event_pb2.Envelope(
            namespace=namespaces.current(), topic=request.topic, event=request.event
        )
        envelope.timestamp.GetCurrentTime()
        self._exchange.forward(envelope)
        return Empty()

    async def forward(self, request: events_pb2.ForwardRequest, _context: Any) -> Empty:
        """An envelope as it is."""
        self._exchange.forward(request.envelope)
        return Empty()

    async def subscribe(
        self, request: events_pb2.SubscribeRequest, context: Any
    ) -> AsyncIterator[event_pb2.Envelope]:
        """Every matching envelope from now on."""
        with self._exchange.subscribe(request.filters) as envelopes:
            # At once, so that the client knows from when on it misses nothing.
            await context.send_initial_metadata(())
            async for envelope in envelopes:
                yield envelope


class VersionService:
    """containerd.services.version.v1.Version."""

    async def version(self, _request: Empty, _context: Any) -> version_pb2.VersionResponse:
        """What we are."""
        return version_pb2.VersionResponse(version=VERSION, revision="")


class StreamingService:
    """containerd.services.streaming.v1.Streaming."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def stream(
        self, requests: AsyncIterator[any_pb2.Any], context: Any
    ) -> AsyncIterator[any_pb2.Any]:
        """The first message names the stream; then both sides send until they close."""
        first = await anext(requests)
        init = typeurl.unpack(first)
        if not isinstance(init, streaming_pb2.StreamInit) or not init.id:
            raise InvalidArgument(
                "the first message of a stream must be a StreamInit: invalid argument"
            )
        stream = self._streams.open(init.id)
        stream.pipe = _pipe(context)
        if stream.pipe is not None:
            await context.send_initial_metadata(((OPENED, "1"),))

        async def pump() -> None:
            try:
                async for message in requests:
                    stream.incoming.put_nowait(message)
            finally:
                stream.incoming.put_nowait(None)

        pumping = asyncio.get_running_loop().create_task(pump())
        try:
            yield typeurl.pack(Empty())
            while (packed := await stream.outgoing.get()) is not None:
                yield packed
                stream.sent()
        finally:
            stream.left()
            if (pipe := stream.take_pipe()) is not None:
                pipe.close()
            self._streams.forget(init.id)
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)


def _pipe(context: Any) -> Pipe | None:
    """The FIFO that a client offers beside a stream; None if it offers none that can be used."""
    for key, value in context.invocation_metadata() or ():
        if key in {FROM_CLIENT, TO_CLIENT}:
            try:
                return Pipe(os.fsdecode(value), writes=key == TO_CLIENT)
            except InvalidArgument as error:
                # Of another mount namespace, perhaps: messages do as well.
                logger.info("pipe of a stream cannot be used", extra={"error": error.message})
    return None
