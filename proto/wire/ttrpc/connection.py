"""The server side of one ttrpc connection with no I/O of its own.

The shim's epoll loop feeds it the bytes it read and writes the bytes it returns; ``wire.ttrpc.server`` does the same under
asyncio. Streaming calls do not occur in the shim's services and are answered Unimplemented.
"""

from __future__ import annotations

from wire.codec import DecodeError
from wire.errors import EngineError, InvalidArgument, NotImplementedYet, ResourceExhausted
from wire.gen.shim.ttrpc.request_msg import Request, Response
from wire.ttrpc import frame
from wire.ttrpc.errors import to_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Serializable(Protocol):
        """A message of protobuf's or of ``wire.codec``."""

        def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
            """The message on the wire."""


class Call:
    """A request to answer with ``Connection.response`` for its ``stream_id``."""

    __slots__ = ("metadata", "method", "payload", "service", "stream_id", "timeout_nano")

    def __init__(
        self,
        *,
        stream_id: int,
        service: str,
        method: str,
        payload: bytes,
        timeout_nano: int,
        metadata: Sequence[tuple[str, str]],
    ) -> None:
        self.stream_id = stream_id
        self.service = service
        self.method = method
        self.payload = payload
        self.timeout_nano = timeout_nano
        self.metadata = metadata

    def header(self, key: str) -> str | None:
        """The first metadata value of ``key``, compared without case."""
        for name, value in self.metadata:
            if name.lower() == key:
                return value
        return None


class Connection:
    """Turns received bytes into calls, and results into bytes to send."""

    def __init__(self) -> None:
        self._reader = frame.Reader()
        self._last_stream = 0

    @property
    def last_stream(self) -> int:
        """The id of the latest call."""
        return self._last_stream

    @property
    def between_frames(self) -> bool:
        """Whether no part of a frame waits for its rest."""
        return self._reader.empty

    def resume(self, last_stream: int) -> None:
        """Go on with a connection that another process has served up to a call."""
        self._last_stream = last_stream

    def feed(self, data: bytes) -> tuple[list[Call], bytes]:
        """Add received bytes; returns the calls now complete and bytes to send at once (protocol errors)."""
        calls: list[Call] = []
        replies = b""
        for stream_id, kind, flags, body in self._reader.feed(data):
            try:
                call = self._accept(stream_id, kind, flags, body)
            except EngineError as error:
                replies += self.response(stream_id, error)
            else:
                if call is not None:
                    calls.append(call)
        return calls, replies

    def _accept(self, stream_id: int, kind: int, flags: int, body: bytes | None) -> Call | None:
        if kind != frame.REQUEST:
            # Data for a stream that we never opened: the unary services have nothing to do with it.
            return None
        if stream_id % 2 == 0:
            raise InvalidArgument(f"stream id {stream_id} is not odd")
        if stream_id <= self._last_stream:
            raise InvalidArgument(f"stream id {stream_id} is not greater than {self._last_stream}")
        self._last_stream = stream_id
        if body is None:
            raise ResourceExhausted(f"message length exceeds maximum message size {frame.MAX_DATA}")
        if flags & frame.REMOTE_OPEN:
            raise NotImplementedYet("streaming calls are not implemented")
        try:
            request = Request.FromString(body)
        except DecodeError:
            raise InvalidArgument("request is not a ttrpc request") from None
        return Call(
            stream_id=stream_id,
            service=request.service,
            method=request.method,
            payload=request.payload,
            timeout_nano=request.timeout_nano,
            metadata=[(pair.key, pair.value) for pair in request.metadata],
        )

    @staticmethod
    def response(stream_id: int, result: Serializable | bytes | EngineError) -> bytes:
        """The frame that answers a call with a message, its serialized form, or an error."""
        response = Response()
        if isinstance(result, EngineError):
            response.status = to_status(result)
        elif isinstance(result, bytes):
            response.payload = result
        else:
            response.payload = result.SerializeToString()
        data = response.SerializeToString()
        if len(data) > frame.MAX_DATA:
            error = ResourceExhausted(
                f"message length {len(data)} exceeds maximum message size {frame.MAX_DATA}"
            )
            response = Response(status=to_status(error))
            data = response.SerializeToString()
        return frame.encode(stream_id, frame.RESPONSE, data)
