"""The containerd namespace of the current call, carried in a context variable and in RPC metadata."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from wire.errors import FailedPrecondition, InvalidArgument
from wire.identifiers import validate

HEADER: Final = "containerd-namespace"
TTRPC_HEADER: Final = "containerd-namespace-ttrpc"

_namespace: ContextVar[str | None] = ContextVar("containerd_namespace", default=None)


def current() -> str:
    """The namespace of this call.

    Raises FailedPrecondition in upstream's words if the caller sent none, InvalidArgument for one that is no identifier:
    namespaces become names of directories.
    """
    namespace = _namespace.get()
    if not namespace:
        raise FailedPrecondition("namespace is required: failed precondition")
    try:
        return validate(namespace)
    except InvalidArgument as error:
        raise InvalidArgument(f"namespace validation: {error}") from None


def find() -> str | None:
    """The namespace of this call, or None."""
    return _namespace.get()


def attach(namespace: str | None) -> None:
    """Set the namespace for the rest of the current context (one RPC handler's task)."""
    _namespace.set(namespace)


@contextmanager
def bind(namespace: str) -> Iterator[None]:
    """Run a block in ``namespace``."""
    token = _namespace.set(namespace)
    try:
        yield
    finally:
        _namespace.reset(token)
