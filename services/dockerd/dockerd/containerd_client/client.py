"""One gRPC channel to containerd in Docker's namespace; calls by service, method and message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from wire import leases, namespaces, tracing
from wire.errors import Internal, Unavailable
from wire.grpc_adapter import CHANNEL_OPTIONS, error_of, trace_context
from wire.tracing import Kind

_HEAD_PATIENCE: Final = 0.5
# How often containerd may be killed over one question.
_TRIES: Final = 10
Reply = TypeVar("Reply", bound=Message)


class Containerd:
    """The daemon below. Every call raises EngineError kinds; Unavailable while it is away."""

    def __init__(self, address: str, namespace: str = "moby") -> None:
        self._metadata = ((namespaces.HEADER, namespace),)
        self._channel = grpc.aio.insecure_channel(
            f"unix:{address.removeprefix('unix://')}",
            options=[
                *CHANNEL_OPTIONS,
                ("grpc.default_authority", "localhost"),
                # It comes back within moments of its death: look often.
                ("grpc.initial_reconnect_backoff_ms", 50),
                ("grpc.min_reconnect_backoff_ms", 50),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )

    async def call(
        self,
        service: str,
        method: str,
        request: Message,
        reply: type[Reply],
        *,
        wait: bool = True,
        lease: str = "",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Reply:
        """A unary call; with ``wait`` it waits for a containerd that is just being restarted.

        What it makes is held by ``lease``, if there is one; ``headers`` go with it.
        """
        stub: Any = self._channel.unary_unary(
            f"/containerd.services.{service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        with tracing.span(f"containerd.services.{service}/{method}", Kind.CLIENT):
            try:
                metadata = (*self._headers(lease), *headers)
                return await stub(request, metadata=metadata, wait_for_ready=wait)  # type: ignore[no-any-return]
            except grpc.aio.AioRpcError as failure:
                raise error_of(failure) from failure

    async def exchange(
        self, service: str, method: str, request: Message, reply: type[Reply], *, lease: str
    ) -> Reply:
        """One message there and one back, on a method with streams both ways."""
        stub: Any = self._channel.stream_stream(
            f"/containerd.services.{service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = stub(metadata=self._headers(lease))
        try:
            # It may have ended before: then reading tells why.
            with contextlib.suppress(asyncio.InvalidStateError):
                await call.write(request)
                await call.done_writing()
            answer = await call.read()
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure) from failure
        if answer is grpc.aio.EOF:
            raise Internal(f"{service}/{method} ended without an answer")
        return answer  # type: ignore[no-any-return]

    async def ask(self, service: str, method: str, request: Message, reply: type[Reply]) -> Reply:
        """A call that changes nothing: asked again of the next containerd if this one dies over it."""
        for _ in range(_TRIES):
            with contextlib.suppress(Unavailable):
                return await self.call(service, method, request, reply)
        return await self.call(service, method, request, reply)

    async def stream(
        self,
        service: str,
        method: str,
        request: Message,
        reply: type[Reply],
        on_head: Callable[[], None] | None = None,
    ) -> AsyncIterator[Reply]:
        """A call that answers with many messages; ``on_head`` is called once the other side has begun to answer.

        A containerd of Go sends nothing before its first message: there it is called after a moment.
        """
        stub: Any = self._channel.unary_stream(
            f"/containerd.services.{service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        try:
            call = stub(request, metadata=self._metadata)
            if on_head is not None:
                try:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_HEAD_PATIENCE):
                            await call.initial_metadata()
                finally:
                    on_head()
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure) from failure

    def open_stream(self, header: tuple[str, bytes] | None = None) -> Any:
        """A bidirectional stream of Any on the Streaming service; ``header`` goes into the call's metadata."""
        from google.protobuf.any_pb2 import Any as AnyMessage

        stub: Any = self._channel.stream_stream(
            "/containerd.services.streaming.v1.Streaming/Stream",
            request_serializer=AnyMessage.SerializeToString,
            response_deserializer=AnyMessage.FromString,
        )
        return stub(
            metadata=(*self._metadata, header) if header else self._metadata, wait_for_ready=True
        )

    def _headers(self, lease: str) -> tuple[tuple[str, str], ...]:
        held = ((leases.HEADER, lease),) if lease else ()
        return (*self._metadata, *held, *trace_context())

    async def ready(self) -> None:
        """Wait until it answers."""
        await self._channel.channel_ready()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
