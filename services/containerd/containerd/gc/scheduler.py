"""When garbage is collected: the original's rules, with a timer only while there is something to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Until the first collection has told how long one takes.
_INTERVAL: Final = 1.0
_SHORTEST: Final = 0.005
_MOST_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """As the original's configuration: seconds, and counts since the last collection (0: never for that reason).

    ``pause_threshold`` is the part of time that collections may take. A deletion is collected when they have taken no more; at
    once when there were ``deletion_threshold`` of them. ``mutation_threshold`` changes of any kind are as one deletion.
    """

    pause_threshold: float = 0.02
    deletion_threshold: int = 0
    mutation_threshold: int = 100
    schedule_delay: float = 0.0
    startup_delay: float = 0.1


class Scheduler:
    """Calls ``begin`` when it is time; whoever collects says so with ``collected``."""

    def __init__(self, rules: Rules, begin: Callable[[], None]) -> None:
        self._rules = rules
        self._begin = begin
        # A loop gives a plain handle, which does not know its time, for what is due at once: uvloop does.
        self._timer: asyncio.Handle | None = None
        self._due = 0.0
        self._interval = _INTERVAL
        self._last = float("-inf")
        self._taken = 0.0
        self._collections = 0
        self._deletions = 0
        self._mutations = 0
        self._collecting = False

    @property
    def delay(self) -> float:
        """Seconds before a collection that somebody waits for."""
        return self._rules.schedule_delay

    def start(self) -> None:
        """The daemon serves: what an earlier one has left is collected."""
        if self._rules.startup_delay > 0:
            self._plan(asyncio.get_running_loop().time() + self._rules.startup_delay)

    def deleted(self) -> None:
        """Something is gone that may have kept something else."""
        self._deletions += 1
        self._consider()

    def mutated(self) -> None:
        """The metadata has changed."""
        self._mutations += 1
        self._consider()

    def _consider(self) -> None:
        # During a collection, how long it takes is not known yet.
        if self._collecting:
            return
        rules = self._rules
        now = asyncio.get_running_loop().time()
        if 0 < rules.deletion_threshold <= self._deletions:
            self._plan(now + rules.schedule_delay)
        elif self._deletions or 0 < rules.mutation_threshold <= self._mutations:
            self._plan(max(now, self._last + self._interval))

    def collecting(self) -> None:
        """A collection begins: what was asked for is done by it, what is asked for from now on by the next."""
        self.close()
        self._collecting = True
        self._deletions = self._mutations = 0

    def collected(self, seconds: float) -> None:
        """A collection is over, or has failed, that took so long."""
        self._last = asyncio.get_running_loop().time()
        # Its own changes are no reason for another.
        self._mutations = 0
        self._taken += seconds
        self._collections += 1
        threshold = min(self._rules.pause_threshold, _MOST_PAUSE)
        if threshold > 0:
            average = max(self._taken / self._collections, _SHORTEST)
            self._interval = average / threshold - average
        self._collecting = False
        self._consider()

    def close(self) -> None:
        """Forget what is planned."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self, due: float) -> None:
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._begin()
