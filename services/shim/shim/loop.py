"""The epoll loop that a shim lives in, and coroutines on top of it. No asyncio: it alone would double a shim's memory.

A coroutine awaits ``Future`` objects only; ``Loop.spawn`` runs it as far as it gets, and the future's completion resumes it.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections import deque

from shim import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, Final, Generic, TypeVar

    T = TypeVar("T")

    class _Outcome(Generic[T]):
        __slots__ = ()
else:
    # What Generic would be at run time, without the typing module.
    T = None

    class _Outcome:
        __slots__ = ()

        def __class_getitem__(cls, _item: object) -> type:
            return cls


READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
HANGUP: Final = select.EPOLLHUP | select.EPOLLERR


class Future(_Outcome[T]):
    """A result that comes later. Completed once; completing it again is ignored."""

    __slots__ = ("_error", "_result", "_waiters", "done")

    def __init__(self) -> None:
        self.done = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self._waiters: list[Callable[[], None]] = []

    def set(self, result: T) -> None:
        """Complete with a result."""
        if not self.done:
            self._result = result
            self._complete()

    def fail(self, error: BaseException) -> None:
        """Complete with an error."""
        if not self.done:
            self._error = error
            self._complete()

    def _complete(self) -> None:
        self.done = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def then(self, waiter: Callable[[], None]) -> None:
        """Call ``waiter`` on completion, at once if it is complete."""
        if self.done:
            waiter()
        else:
            self._waiters.append(waiter)

    def result(self) -> T:
        """The result, or the error raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def __await__(self) -> Generator[Future[T], None, T]:
        if not self.done:
            yield self
        return self.result()


class Lock:
    """Coroutines take turns; the oldest waiter is next."""

    __slots__ = ("_held", "_waiting")

    def __init__(self) -> None:
        self._held = False
        self._waiting: deque[Future[None]] = deque()

    @property
    def held(self) -> bool:
        """Whether it is somebody's turn."""
        return self._held

    async def __aenter__(self) -> None:
        if self._held:
            turn: Future[None] = Future()
            self._waiting.append(turn)
            await turn
        self._held = True

    async def __aexit__(self, *_: object) -> None:
        if self._waiting:
            # Still held: by the one that is woken.
            self._waiting.popleft().set(None)
        else:
            self._held = False


class Loop:
    """Descriptors with callbacks, timers, and coroutines.

    A callback that raises is logged and the loop goes on: one bad connection must not end a container's shim.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._ready: deque[Callable[[], None]] = deque()
        self._running = False

    @property
    def descriptor(self) -> int:
        """The epoll itself: readable while anything that is watched is ready."""
        return self._epoll.fileno()

    def watch(self, descriptor: int, events: int, callback: Callable[[int], None]) -> None:
        """Call ``callback(events)`` when the descriptor is ready; watching again changes events and callback."""
        if descriptor in self._callbacks:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def watches(self, descriptor: int) -> bool:
        """Whether a descriptor is watched."""
        return descriptor in self._callbacks

    def forget(self, descriptor: int) -> None:
        """Stop watching; harmless for a descriptor that is not watched. To be called before it is closed."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back once after a time."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), callback))

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back in the next round."""
        self._ready.append(callback)

    def spawn(self, coroutine: Coroutine[Future[Any], None, T]) -> Future[T]:
        """Run a coroutine until it waits, and later to its end; its outcome is the future's."""
        outcome: Future[T] = Future()

        def step() -> None:
            try:
                awaited = coroutine.send(None)
            except StopIteration as stop:
                outcome.set(stop.value)
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the outcome
                outcome.fail(error)
            else:
                awaited.then(lambda: self.soon(step))

        step()
        return outcome

    def start(self, coroutine: Coroutine[Future[Any], None, T]) -> None:
        """Run a coroutine whose outcome nobody awaits; an error is logged."""
        outcome = self.spawn(coroutine)
        outcome.then(lambda: _guarded(outcome.result))

    def run(self) -> None:
        """Serve until ``stop``."""
        self._running = True
        while self._running:
            self._run_ready()
            for descriptor, events in self._epoll.poll(self._timeout()):
                # An earlier callback of this round may have forgotten it.
                callback = self._callbacks.get(descriptor)
                if callback is not None:
                    _guarded(callback, events)
            self._run_timers()

    def stop(self) -> None:
        """End ``run`` after the current round."""
        self._running = False

    def close(self) -> None:
        """Give the kernel's part back."""
        self._epoll.close()

    def _run_ready(self) -> None:
        while self._ready:
            _guarded(self._ready.popleft())

    def _timeout(self) -> float:
        if self._ready or not self._running:
            return 0
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _guarded(heapq.heappop(self._timers)[2])


def _guarded(callback: Callable[..., object], *arguments: int) -> None:
    try:
        callback(*arguments)
    except Exception:  # noqa: BLE001 - one bad connection must not end a container's shim
        log.exception("callback failed")
