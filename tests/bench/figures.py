"""What is measured: figures with a unit and, where one is wanted, a limit for the ratio; cases that take samples of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.bench.engines import Engine

Sample = dict[str, float]
_RATES: Final = ("MB/s", "1/s")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    ``limit``: the ratio that is wanted at most; ``bound``: our value that is wanted at most, in the unit. None if nothing
    is asked.
    """

    name: str
    label: str
    unit: str
    limit: float | None = None
    bound: float | None = None

    def ratio(self, ours: float, theirs: float) -> float | None:
        """Our cost over theirs, below 1 when we are better, whichever way the unit points."""
        over, under = (theirs, ours) if self.unit in _RATES else (ours, theirs)
        return over / under if under else None


@dataclass(frozen=True, slots=True)
class Case:
    """Takes one sample of its figures from one engine; ``heavy`` ones get fewer rounds and no warm-up."""

    name: str
    figures: tuple[Figure, ...]
    sample: Callable[[Engine], Sample]
    heavy: bool = False


def milliseconds(action: Callable[[], object], repeat: int = 1, budget: float = 3.0) -> float:
    """The median duration of ``repeat`` calls, fewer if they take more than ``budget`` seconds together."""
    taken = [seconds(action)]
    while len(taken) < repeat and sum(taken) < budget:
        taken.append(seconds(action))
    return 1000 * median(taken)


def seconds(action: Callable[[], object]) -> float:
    """The duration of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
