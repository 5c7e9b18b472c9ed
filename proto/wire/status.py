"""The one table that turns an error kind into a gRPC/ttrpc code and an HTTP status, and back.

HTTP statuses follow moby's httpstatus table; CONFLICT and NOT_MODIFIED have no gRPC code of their own and travel as
FAILED_PRECONDITION with a reason in google.rpc.ErrorInfo.
"""

from __future__ import annotations

from wire import errors
from wire.errors import EngineError, ErrorKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

ERROR_DOMAIN: Final = "dockyard"
CONFLICT_REASON: Final = "CONFLICT"
NOT_MODIFIED_REASON: Final = "NOT_MODIFIED"

_TABLE: Final[Mapping[ErrorKind, tuple[int, int, type[EngineError]]]] = {
    ErrorKind.INVALID_ARGUMENT: (3, 400, errors.InvalidArgument),
    ErrorKind.OUT_OF_RANGE: (11, 400, errors.OutOfRange),
    ErrorKind.UNAUTHENTICATED: (16, 401, errors.Unauthenticated),
    ErrorKind.PERMISSION_DENIED: (7, 403, errors.PermissionDenied),
    ErrorKind.NOT_FOUND: (5, 404, errors.NotFound),
    ErrorKind.ALREADY_EXISTS: (6, 409, errors.AlreadyExists),
    ErrorKind.CONFLICT: (9, 409, errors.Conflict),
    ErrorKind.NOT_MODIFIED: (9, 304, errors.NotModified),
    ErrorKind.FAILED_PRECONDITION: (9, 400, errors.FailedPrecondition),
    ErrorKind.ABORTED: (10, 500, errors.Aborted),
    ErrorKind.RESOURCE_EXHAUSTED: (8, 500, errors.ResourceExhausted),
    ErrorKind.DEADLINE_EXCEEDED: (4, 500, errors.DeadlineExceeded),
    ErrorKind.CANCELLED: (1, 500, errors.Cancelled),
    ErrorKind.DATA_LOSS: (15, 500, errors.DataLoss),
    ErrorKind.INTERNAL: (13, 500, errors.Internal),
    ErrorKind.UNKNOWN: (2, 500, errors.Unknown),
    ErrorKind.NOT_IMPLEMENTED: (12, 501, errors.NotImplementedYet),
    ErrorKind.UNAVAILABLE: (14, 503, errors.Unavailable),
}

_REASONS: Final[Mapping[str, ErrorKind]] = {
    CONFLICT_REASON: ErrorKind.CONFLICT,
    NOT_MODIFIED_REASON: ErrorKind.NOT_MODIFIED,
}

_KIND_OF_CODE: Final[Mapping[int, ErrorKind]] = {
    code: kind
    for kind, (code, _, _) in _TABLE.items()
    if kind not in (ErrorKind.CONFLICT, ErrorKind.NOT_MODIFIED)
}


def grpc_code(kind: ErrorKind) -> int:
    """The gRPC (and ttrpc) status code of a kind."""
    return _TABLE[kind][0]


def http_status(kind: ErrorKind) -> int:
    """The HTTP status of a kind, as moby answers it."""
    return _TABLE[kind][1]


def reason_of(error: EngineError) -> str | None:
    """The ErrorInfo reason to send with an error: its own, or the one its kind needs to survive gRPC."""
    if error.reason is not None:
        return error.reason
    if error.kind is ErrorKind.CONFLICT:
        return CONFLICT_REASON
    if error.kind is ErrorKind.NOT_MODIFIED:
        return NOT_MODIFIED_REASON
    return None


def kind_of(code: int, reason: str | None = None) -> ErrorKind:
    """The kind that a received gRPC or ttrpc code (and ErrorInfo reason, if any) stands for."""
    kind = _KIND_OF_CODE.get(code, ErrorKind.UNKNOWN)
    if kind is ErrorKind.FAILED_PRECONDITION and reason is not None:
        return _REASONS.get(reason, kind)
    return kind


def error_for(
    kind: ErrorKind,
    message: str,
    reason: str | None = None,
    details: Mapping[str, str] | None = None,
) -> EngineError:
    """An error of the class that belongs to ``kind``."""
    return _TABLE[kind][2](message, reason=reason, details=details)
