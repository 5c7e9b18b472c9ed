"""EngineError on gRPC, both ways, and what rides along in the metadata: namespace, lease, trace context."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Final

import grpc
import grpc.aio

from wire import leases, namespaces, tracing
from wire.errors import EngineError, Internal
from wire.gen.google.rpc.status_msg import Status
from wire.status import grpc_code
from wire.tracing import Kind
from wire.ttrpc.errors import from_status, to_status

logger = logging.getLogger(__name__)

MAX_MESSAGE: Final = 16 << 20
_STATUS_KEY: Final = "grpc-status-details-bin"

# A Go server refuses the authority that grpc derives from a unix socket path.
CHANNEL_OPTIONS: Final[Sequence[tuple[str, Any]]] = (
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 200),
)

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def server_options(max_receive: int, max_send: int) -> Sequence[tuple[str, Any]]:
    """Options of a server for messages of at most so many bytes; 0 is the original's 16 MiB, too."""
    return (
        ("grpc.max_receive_message_length", max_receive or MAX_MESSAGE),
        ("grpc.max_send_message_length", max_send or MAX_MESSAGE),
        # Above 1,000 calls that wait to be accepted grpc's admission control answers CANCELLED at random unless both are raised.
        ("grpc.server.max_pending_requests", 1_000_000),
        ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
        ("grpc.so_reuseport", 0),
    )


def metadata(namespace: str | None = None, lease: str | None = None) -> tuple[tuple[str, str], ...]:
    """Call metadata for a namespace and a lease, given or current, with the current trace context."""
    pairs: list[tuple[str, str]] = []
    if namespace := namespace or namespaces.find():
        pairs.append((namespaces.HEADER, namespace))
    if lease := lease or leases.current():
        pairs.append((leases.HEADER, lease))
    return (*pairs, *trace_context())


def trace_context() -> tuple[tuple[str, str], ...]:
    """Call metadata with the current trace context, if there is one."""
    traceparent = tracing.traceparent()
    return (("traceparent", traceparent),) if traceparent else ()


def error_of(failure: grpc.aio.AioRpcError) -> EngineError:
    """The EngineError that a failed call stands for, with the server's reason if it sent one."""
    for key, value in failure.trailing_metadata() or ():
        if key == _STATUS_KEY and isinstance(value, bytes):
            status = Status.FromString(value)
            if status.code == failure.code().value[0]:
                return from_status(status)
    return from_status(Status(code=failure.code().value[0], message=failure.details() or ""))


@contextmanager
def translate() -> Iterator[None]:
    """Raise EngineError where a gRPC client call in the block fails."""
    try:
        yield
    except grpc.aio.AioRpcError as failure:
        raise error_of(failure) from failure


def _bind(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    headers: dict[str, str] = {}
    for key, value in context.invocation_metadata() or ():
        # The first of several: Go's clients put a namespace or a lease before those that the context had already.
        if isinstance(value, str):
            headers.setdefault(key, value)
    namespaces.attach(headers.get(namespaces.HEADER))
    leases.attach(headers.get(leases.HEADER))
    tracing.attach(headers.get("traceparent"))


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: EngineError) -> None:
    status = to_status(error)
    trailing: tuple[tuple[str, str | bytes], ...] = ()
    if status.details:
        trailing = ((_STATUS_KEY, status.SerializeToString()),)
    await context.abort(_CODES[grpc_code(error.kind)], error.message, trailing)


class ServerInterceptor(grpc.aio.ServerInterceptor):
    """Binds namespace, lease and trace context of each call; turns EngineError into a status, once, and logs the rest."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = handler_call_details.method
        if handler.response_streaming:
            factory = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            inner_stream = (
                handler.stream_stream if handler.request_streaming else handler.unary_stream
            )
            return factory(
                _streaming(inner_stream, method),
                handler.request_deserializer,
                handler.response_serializer,
            )
        factory = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
        return factory(
            _unary(inner, method), handler.request_deserializer, handler.response_serializer
        )


def _unexpected(error: Exception, method: str) -> Internal:
    logger.error("call failed", exc_info=error, extra={"method": method})
    return Internal(f"{type(error).__name__}: {error}")


def _unary(
    inner: Callable[[Any, Any], Awaitable[Any]], method: str
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        _bind(context)
        try:
            with tracing.span(method[1:], Kind.SERVER):
                return await inner(request, context)
        except EngineError as error:
            await _abort(context, error)
        except (grpc.aio.AbortError, grpc.aio.BaseError):
            raise
        except Exception as error:  # noqa: BLE001 - a task boundary: nothing above would see it
            await _abort(context, _unexpected(error, method))

    return call


def _streaming(
    inner: Callable[[Any, Any], AsyncGenerator[Any, None]], method: str
) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        _bind(context)
        try:
            async with aclosing(inner(request, context)) as messages:
                async for message in messages:
                    yield message
        except EngineError as error:
            await _abort(context, error)
        except (grpc.aio.AbortError, grpc.aio.BaseError):
            raise
        except Exception as error:  # noqa: BLE001 - a task boundary: nothing above would see it
            await _abort(context, _unexpected(error, method))

    return call
