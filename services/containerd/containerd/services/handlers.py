"""Turning an object with one coroutine a method into gRPC handlers, by the service's own descriptor."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from wire.errors import Internal, NotImplementedYet

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z][a-z]|(?<=[a-z])[A-Z])")


def handlers(module: ModuleType, name: str, service: object) -> grpc.GenericRpcHandler:
    """Handlers for the service ``name`` of a generated module.

    Method ``ListPids`` is answered by ``service.list_pids(request, context)``; a service need not have every method:
    what is missing is refused by its name.
    """
    descriptor = module.DESCRIPTOR.services_by_name[name]
    found: dict[str, grpc.RpcMethodHandler] = {}
    for method in descriptor.methods:
        function = getattr(service, _WORD.sub("_", method.name).lower(), None)
        if function is None:
            text = f"/{descriptor.full_name}/{method.name} is not implemented: not implemented"
            function = _refusal(text, method.server_streaming)
        request = GetMessageClass(method.input_type)
        response = GetMessageClass(method.output_type)
        factory: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        found[method.name] = factory(
            _checked(function, method.client_streaming, method.server_streaming),
            request_deserializer=partial(_parsed, request),
            response_serializer=response.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(descriptor.full_name, found)


class Unknown(grpc.GenericRpcHandler):
    """Refuses, in a Go server's words, what no other handler serves; to be added last.

    ``served`` are the full names of the services that are there.
    """

    def __init__(self, served: Collection[str]) -> None:
        self._served = frozenset(served)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """A handler that reads nothing of the request, so that it fits calls of every kind."""
        service, _, method = handler_call_details.method.lstrip("/").rpartition("/")
        text = f"unknown service {service}"
        if service in self._served:
            text = f"unknown method {method} for service {service}"
        return grpc.stream_stream_rpc_method_handler(_refusal(text, streaming=True))


def _refusal(text: str, streaming: bool) -> Callable[[Any, Any], Any]:  # noqa: FBT001 - of the descriptor
    """Answers that a method is not served, in these words."""

    async def unary(_request: Any, _context: Any) -> Any:
        raise NotImplementedYet(text)

    async def stream(_request: Any, _context: Any) -> AsyncIterator[Any]:
        nothing: Sequence[Any] = ()
        for each in nothing:
            yield each
        raise NotImplementedYet(text)

    return stream if streaming else unary


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Bytes that are no request; a deserializer that raised would end the call without a proper status."""

    text: str


def _parsed(request: type[Message], data: bytes) -> Message | _Malformed:
    try:
        return request.FromString(data)
    except DecodeError as error:
        return _Malformed(str(error))


def _refuse_malformed(request: Any) -> Any:
    if isinstance(request, _Malformed):
        raise Internal(f"grpc: error unmarshalling request: {request.text}")
    return request


async def _each_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _refuse_malformed(request)


def _checked(
    function: Callable[[Any, Any], Any],
    many_in: bool,  # noqa: FBT001 - of the descriptor
    many_out: bool,  # noqa: FBT001
) -> Callable[[Any, Any], Any]:
    """``function`` for requests that parsed; others are refused as a Go server refuses them."""
    check = _each_checked if many_in else _refuse_malformed

    async def one(request: Any, context: Any) -> Any:
        return await function(check(request), context)

    async def several(request: Any, context: Any) -> AsyncIterator[Any]:
        # Closed at once with its call, not whenever the collector finds it: it may hold a lock.
        async with aclosing(function(check(request), context)) as answers:
            async for answer in answers:
                yield answer

    return several if many_out else one
