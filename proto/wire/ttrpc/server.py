"""An asyncio ttrpc server on a unix socket: a method table, one task a call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message

from wire import namespaces
from wire.errors import EngineError, Internal, InvalidArgument, NotImplementedYet
from wire.ttrpc.connection import Call, Connection

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Method:
    """What a method takes and who answers it."""

    request_type: type[Message]
    handler: Callable[[Message], Awaitable[Message]]


Methods = Mapping[tuple[str, str], Method]


class Server:
    """Serves a method table, keyed by (service, method), on a unix socket."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self._server: asyncio.AbstractServer | None = None
        self._sessions: set[_Session] = set()

    async def start(self, path: str, mode: int = 0o600) -> None:
        """Bind ``path`` in place of whatever an earlier process left there, and accept."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._server = await loop.create_unix_server(self._session, path)
        os.chmod(path, mode)

    def _session(self) -> _Session:
        session = _Session(self._methods, self._sessions.discard)
        self._sessions.add(session)
        return session

    async def close(self) -> None:
        """Stop accepting, end every connection and its calls."""
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.abort()


class _Session(asyncio.Protocol):
    def __init__(self, methods: Methods, on_end: Callable[[_Session], None]) -> None:
        self._methods = methods
        self._on_end = on_end
        self._connection = Connection()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        calls, replies = self._connection.feed(data)
        if replies:
            self._send(replies)
        loop = asyncio.get_running_loop()
        for call in calls:
            # The session owns the task: connection_lost cancels what is left.
            task = loop.create_task(self._serve(call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()
        self._on_end(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def _serve(self, call: Call) -> None:
        result: Message | EngineError
        try:
            result = await self._dispatch(call)
        except EngineError as error:
            result = error
        except Exception as error:
            logger.exception("ttrpc call failed", extra={"method": call.method})
            result = Internal(str(error))
        self._send(self._connection.response(call.stream_id, result))

    async def _dispatch(self, call: Call) -> Message:
        method = self._methods.get((call.service, call.method))
        if method is None:
            raise NotImplementedYet(f"/{call.service}/{call.method} is not implemented")
        try:
            request = method.request_type.FromString(call.payload)
        except DecodeError:
            raise InvalidArgument(f"{call.method}: request is malformed") from None
        namespaces.attach(call.header(namespaces.TTRPC_HEADER))
        return await method.handler(request)
