"""Turning an object with one coroutine a method into gRPC handlers, by the service's own descriptor."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any, Final

import grpc
from google.protobuf.message_factory import GetMessageClass

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z][a-z]|(?<=[a-z])[A-Z])")


def handlers(module: ModuleType, name: str, service: object) -> grpc.GenericRpcHandler:
    """Handlers for the service ``name`` of a generated module.

    Method ``ListPids`` is answered by ``service.list_pids(request, context)``; a service need not have every method:
    what is missing is Unimplemented.
    """
    descriptor = module.DESCRIPTOR.services_by_name[name]
    found: dict[str, grpc.RpcMethodHandler] = {}
    for method in descriptor.methods:
        function = getattr(service, _WORD.sub("_", method.name).lower(), None)
        if function is None:
            continue
        request = GetMessageClass(method.input_type)
        response = GetMessageClass(method.output_type)
        factory: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        found[method.name] = factory(
            function,
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(descriptor.full_name, found)
