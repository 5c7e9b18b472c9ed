"""SIGUSR1: say what every task of the loop waits for, as moby and containerd do with their goroutines."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from typing import Any

logger = logging.getLogger(__name__)


def dump_on_signal(loop: asyncio.AbstractEventLoop) -> None:
    """Log the stacks of all tasks whenever the process gets SIGUSR1."""
    loop.add_signal_handler(signal.SIGUSR1, _dump, loop)


def _dump(loop: asyncio.AbstractEventLoop) -> None:
    for name, stack in described(loop):
        logger.info("task", extra={"task": name, "stack": stack})


def described(loop: asyncio.AbstractEventLoop | None = None) -> Iterator[tuple[str, str]]:
    """Every task of the loop, by default the running one, with what it waits for."""
    for task in asyncio.all_tasks(loop):
        waiting = []
        coroutine: Any = task.get_coro()
        while coroutine is not None:
            frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
            if frame is None:
                break
            waiting.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
            coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
        yield task.get_name(), " > ".join(waiting)
