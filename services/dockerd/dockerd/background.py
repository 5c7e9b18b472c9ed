"""Work that nobody waits for, with an owner that ends it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from wire import tracing
from wire.errors import EngineError

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class Background:
    """Tasks that outlive the request that began them; failures other than EngineError are logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Begin; the task, for who wants to wait after all."""
        context = contextvars.copy_context()
        # It may go on for as long as a container lives: it is no part of the request's trace.
        context.run(tracing.attach, None)
        task = asyncio.get_running_loop().create_task(coroutine, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Begin what nobody will wait for."""
        self._tasks.add(self.spawn(coroutine))

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EngineError):
            logger.error("background work failed", exc_info=error)

    async def close(self) -> None:
        """Cancel what is left and wait for it."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
