"""The error tree that every service raises and every adapter translates.

    EngineError
    ├── InvalidArgument   OutOfRange
    ├── Unauthenticated   PermissionDenied
    ├── NotFound          AlreadyExists
    ├── Conflict          NotModified       FailedPrecondition
    ├── Aborted           ResourceExhausted DeadlineExceeded   Cancelled
    ├── DataLoss          Internal          Unknown
    └── NotImplementedYet Unavailable

A subclass fixes the *kind*; ``wire.status`` alone knows what a kind means on each transport. Domain packages
subclass these once more to fix the wording that a client sees.
"""

from __future__ import annotations

from enum import StrEnum

# Not from typing: the shim imports this module, and every module that it does without is memory saved in each container.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar


class ErrorKind(StrEnum):
    """What went wrong, independent of the transport that reports it."""

    INVALID_ARGUMENT = "invalid_argument"
    OUT_OF_RANGE = "out_of_range"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    CONFLICT = "conflict"
    NOT_MODIFIED = "not_modified"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    DATA_LOSS = "data_loss"
    INTERNAL = "internal"
    UNKNOWN = "unknown"
    NOT_IMPLEMENTED = "not_implemented"
    UNAVAILABLE = "unavailable"


class EngineError(Exception):
    """Base of every error that may cross a service boundary.

    ``message`` is for people; ``reason`` is a short machine-readable word that travels in google.rpc.ErrorInfo;
    ``details`` are further string fields of that ErrorInfo.
    """

    kind: ClassVar[ErrorKind] = ErrorKind.UNKNOWN

    def __init__(
        self, message: str, *, reason: str | None = None, details: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.details: dict[str, str] = dict(details or {})


class InvalidArgument(EngineError):
    """The caller's input is wrong, whatever the state of the system."""

    kind = ErrorKind.INVALID_ARGUMENT


class OutOfRange(EngineError):
    """An offset or size lies past what exists."""

    kind = ErrorKind.OUT_OF_RANGE


class Unauthenticated(EngineError):
    """Credentials are missing or wrong."""

    kind = ErrorKind.UNAUTHENTICATED


class PermissionDenied(EngineError):
    """The caller is known and may not do this."""

    kind = ErrorKind.PERMISSION_DENIED


class NotFound(EngineError):
    """The named thing does not exist."""

    kind = ErrorKind.NOT_FOUND


class AlreadyExists(EngineError):
    """A thing of that name exists."""

    kind = ErrorKind.ALREADY_EXISTS


class Conflict(EngineError):
    """The state of a thing forbids the request; another request may change that."""

    kind = ErrorKind.CONFLICT


class NotModified(EngineError):
    """The thing is already in the state asked for."""

    kind = ErrorKind.NOT_MODIFIED


class FailedPrecondition(EngineError):
    """The system is not in the state that the call needs."""

    kind = ErrorKind.FAILED_PRECONDITION


class Aborted(EngineError):
    """The call lost a race and may be tried again."""

    kind = ErrorKind.ABORTED


class ResourceExhausted(EngineError):
    """A limit of size or number was hit."""

    kind = ErrorKind.RESOURCE_EXHAUSTED


class DeadlineExceeded(EngineError):
    """The call did not finish in its time."""

    kind = ErrorKind.DEADLINE_EXCEEDED


class Cancelled(EngineError):
    """The caller gave up."""

    kind = ErrorKind.CANCELLED


class DataLoss(EngineError):
    """Stored data is damaged or missing."""

    kind = ErrorKind.DATA_LOSS


class Internal(EngineError):
    """An invariant of ours is broken."""

    kind = ErrorKind.INTERNAL


class Unknown(EngineError):
    """A failure with no better class, often reported by another program."""

    kind = ErrorKind.UNKNOWN


class NotImplementedYet(EngineError):
    """The request is valid and this version does not serve it."""

    kind = ErrorKind.NOT_IMPLEMENTED


class Unavailable(EngineError):
    """The other side cannot be reached now; trying again may help."""

    kind = ErrorKind.UNAVAILABLE
