"""Errors on ttrpc: EngineError to google.rpc.Status and back, without grpc."""

from __future__ import annotations

from wire.gen.google.protobuf.any_msg import Any
from wire.gen.google.rpc.error_details_msg import ErrorInfo
from wire.gen.google.rpc.status_msg import Status
from wire.status import ERROR_DOMAIN, error_for, grpc_code, kind_of, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from wire.errors import EngineError

_ERROR_INFO_URL: Final = "type.googleapis.com/google.rpc.ErrorInfo"


def to_status(error: EngineError) -> Status:
    """The Status of an error, with its reason and details as an ErrorInfo."""
    status = Status(code=grpc_code(error.kind), message=error.message)
    reason = reason_of(error)
    if reason is not None or error.details:
        info = ErrorInfo(reason=reason or "", domain=ERROR_DOMAIN, metadata=error.details)
        # google.rpc.Status details are the one place where the googleapis prefix is the rule.
        status.details.append(Any(type_url=_ERROR_INFO_URL, value=info.SerializeToString()))
    return status


def from_status(status: Status) -> EngineError:
    """The error that a non-OK Status stands for."""
    reason: str | None = None
    details: dict[str, str] = {}
    for detail in status.details:
        if detail.type_url == _ERROR_INFO_URL:
            info = ErrorInfo.FromString(detail.value)
            if info.domain == ERROR_DOMAIN:
                reason = info.reason or None
                details = dict(info.metadata)
    return error_for(kind_of(status.code, reason), status.message, reason, details)
