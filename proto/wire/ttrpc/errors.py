"""Errors on ttrpc: EngineError to google.rpc.Status and back, without grpc."""

from __future__ import annotations

from typing import Final

from wire.errors import EngineError
from wire.gen.google.rpc import error_details_pb2, status_pb2
from wire.status import ERROR_DOMAIN, error_for, grpc_code, kind_of, reason_of

_ERROR_INFO_URL: Final = "type.googleapis.com/google.rpc.ErrorInfo"


def to_status(error: EngineError) -> status_pb2.Status:
    """The Status of an error, with its reason and details as an ErrorInfo."""
    status = status_pb2.Status(code=grpc_code(error.kind), message=error.message)
    reason = reason_of(error)
    if reason is not None or error.details:
        info = error_details_pb2.ErrorInfo(
            reason=reason or "", domain=ERROR_DOMAIN, metadata=error.details
        )
        detail = status.details.add()
        # google.rpc.Status details are the one place where the googleapis prefix is the rule.
        detail.type_url = _ERROR_INFO_URL
        detail.value = info.SerializeToString()
    return status


def from_status(status: status_pb2.Status) -> EngineError:
    """The error that a non-OK Status stands for."""
    reason: str | None = None
    details: dict[str, str] = {}
    for detail in status.details:
        if detail.type_url == _ERROR_INFO_URL:
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            if info.domain == ERROR_DOMAIN:
                reason = info.reason or None
                details = dict(info.metadata)
    return error_for(kind_of(status.code, reason), status.message, reason, details)
