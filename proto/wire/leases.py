"""The lease of the current call: what the call creates is held by it against garbage collection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

HEADER: Final = "containerd-lease"

_lease: ContextVar[str | None] = ContextVar("containerd_lease", default=None)


def current() -> str | None:
    """The lease id of this call, or None."""
    return _lease.get()


def attach(lease: str | None) -> None:
    """Set the lease for the rest of the current context (one RPC handler's task)."""
    _lease.set(lease)


@contextmanager
def bind(lease: str | None) -> Iterator[None]:
    """Run a block under ``lease``."""
    token = _lease.set(lease)
    try:
        yield
    finally:
        _lease.reset(token)
