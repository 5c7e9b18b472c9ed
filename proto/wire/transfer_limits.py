"""How much a transfer may do at once, which our dockerd tells our containerd in a call's metadata; others know nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

HEADER: Final = "dockyard-transfer-limits"
DEFAULT_ATTEMPTS: Final = 5

_current: ContextVar[tuple[asyncio.Semaphore, int] | None] = ContextVar(
    "transfer_limits", default=None
)


def header(parallel: int, attempts: int) -> tuple[str, str]:
    """So many blobs at once, and so many attempts for each."""
    return HEADER, f"{parallel},{attempts}"


@contextmanager
def bind(metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[None]:
    """Run a block within the limits that a caller sent, if it sent any that make sense."""
    text = str(dict(metadata).get(HEADER, ""))
    parallel, _, attempts = text.partition(",")
    found = None
    if parallel.isdecimal() and attempts.isdecimal() and int(parallel) and int(attempts):
        found = asyncio.Semaphore(int(parallel)), int(attempts)
    token = _current.set(found)
    try:
        yield
    finally:
        _current.reset(token)


def slots(default: asyncio.Semaphore) -> asyncio.Semaphore:
    """What lets the blobs of this transfer through; ``default`` for a transfer without limits of its own."""
    found = _current.get()
    return default if found is None else found[0]


def attempts() -> int:
    """How often a blob of this transfer is asked for."""
    found = _current.get()
    return DEFAULT_ATTEMPTS if found is None else found[1]
