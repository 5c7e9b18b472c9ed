"""An asyncio ttrpc client: many calls at once over one unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from google.protobuf.message import Message

from wire import namespaces, tracing
from wire.errors import DeadlineExceeded, EngineError, ResourceExhausted, Unavailable
from wire.gen.shim.ttrpc.request_msg import KeyValue, Request, Response
from wire.tracing import Kind
from wire.ttrpc import frame
from wire.ttrpc.errors import from_status

Reply = TypeVar("Reply", bound=Message)

_OK: Final = 0


class Client(asyncio.Protocol):
    """One connection to a ttrpc server. Create it with ``Client.connect``."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader = frame.Reader()
        self._next_stream = 1
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._listeners: list[Callable[[], None]] = []
        self.closed = asyncio.Event()

    @classmethod
    async def connect(cls, path: str) -> Client:
        """Connect to a unix socket; raises Unavailable if nobody listens there."""
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_unix_connection(cls, path)
        except OSError as error:
            raise Unavailable(f"failed to connect to {path}: {error.strerror}") from error
        return client

    def on_close(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` once when the connection ends, at once if it already has."""
        if self.closed.is_set():
            listener()
        else:
            self._listeners.append(listener)

    async def call(
        self,
        service: str,
        method: str,
        message: Message,
        response_type: type[Reply],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Reply:
        """Call ``service/method``; the current namespace goes along unless ``metadata`` names one.

        Raises the server's error, DeadlineExceeded after ``timeout`` seconds, Unavailable if the connection ends.
        """
        with tracing.span(f"{service}/{method}", Kind.CLIENT):
            return await self._call(service, method, message, response_type, timeout, metadata)

    async def _call(
        self,
        service: str,
        method: str,
        message: Message,
        response_type: type[Reply],
        timeout: float | None,
        metadata: Mapping[str, str] | None,
    ) -> Reply:
        transport = self._transport
        if transport is None or self.closed.is_set():
            raise Unavailable("ttrpc: closed")
        request = Request(service=service, method=method, payload=message.SerializeToString())
        if timeout is not None:
            request.timeout_nano = int(timeout * 1e9)
        headers = dict(metadata or {})
        namespace = namespaces.find()
        if namespace and namespaces.TTRPC_HEADER not in headers:
            headers[namespaces.TTRPC_HEADER] = namespace
        if tracing.recording() and (traceparent := tracing.traceparent()):
            headers["traceparent"] = traceparent
        for key, value in headers.items():
            request.metadata.append(KeyValue(key=key, value=value))
        data = request.SerializeToString()
        if len(data) > frame.MAX_DATA:
            raise ResourceExhausted(
                f"message length {len(data)} exceeds maximum message size {frame.MAX_DATA}"
            )
        stream_id = self._next_stream
        self._next_stream += 2
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[stream_id] = future
        transport.write(frame.encode(stream_id, frame.REQUEST, data))
        try:
            async with asyncio.timeout(timeout):
                payload = await future
        except TimeoutError:
            raise DeadlineExceeded(f"{service}/{method} took longer than {timeout} s") from None
        finally:
            self._pending.pop(stream_id, None)
        return response_type.FromString(payload)

    def close(self) -> None:
        """End the connection; pending calls fail with Unavailable."""
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Hand each response to its caller."""
        for stream_id, kind, _flags, body in self._reader.feed(data):
            future = self._pending.get(stream_id)
            if kind != frame.RESPONSE or future is None or future.done():
                continue
            if body is None:
                future.set_exception(ResourceExhausted("response exceeds maximum message size"))
                continue
            response = Response.FromString(body)
            if response.HasField("status") and response.status.code != _OK:
                future.set_exception(from_status(response.status))
            else:
                future.set_result(response.payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is pending and tell the listeners."""
        self.closed.set()
        error: EngineError = Unavailable("ttrpc: closed") if exc is None else Unavailable(str(exc))
        for future in self._pending.values():
            if not future.done():
                future.set_exception(error)
        self._pending.clear()
        for listener in self._listeners:
            listener()
        self._listeners.clear()
