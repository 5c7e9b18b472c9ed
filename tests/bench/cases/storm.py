"""Many `docker run` at the same time: how long the slowest take, and what all of them take together."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles
from typing import Final

from tests.bench.engines import BASE, LABEL, Engine
from tests.bench.figures import Case, Figure, Sample, seconds

_RUNS: Final = 32
_SOLO: Final = 5
_PERCENT: Final = 20
_SETTLE: Final = 1.0


def _storm(engine: Engine) -> Sample:
    def run(_: object = None) -> float:
        return seconds(lambda: engine.cli("run", "--rm", "--label", LABEL, BASE, "true"))

    solo = median(run() for _ in range(_SOLO))
    os.sync()  # earlier dirty pages are not this case's to write
    taken: list[float] = []
    with ThreadPoolExecutor(_RUNS) as pool:
        total = seconds(lambda: taken.extend(pool.map(run, range(_RUNS))))
    time.sleep(_SETTLE)
    return {
        "storm_p95": quantiles(taken, n=_PERCENT, method="inclusive")[-1],
        "storm_total": total,
        "storm_share": total / (_RUNS * solo),
    }


STORM: Final = Case(
    "storm",
    (
        Figure(
            "storm_p95", "32 `docker run --rm IMAGE true` side by side: 95th percentile", "s", 0.4
        ),
        Figure("storm_total", "… until all have ended", "s"),
        Figure("storm_share", "… over 32 × the median of one alone", "×", bound=0.7),
    ),
    _storm,
)
