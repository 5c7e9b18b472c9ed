"""Signals and restarts."""

from __future__ import annotations

import time
from collections import defaultdict
from functools import partial
from statistics import median
from typing import Final

from tests.bench.engines import Engine
from tests.bench.figures import Case, Figure, Sample, milliseconds

_TRAP_IS_SET: Final = 0.3


def _stop(engine: Engine) -> Sample:
    taken: dict[str, list[float]] = defaultdict(list)
    with engine.running("sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait") as container:
        for verb in ("restart", "stop", "kill") * 3:
            time.sleep(_TRAP_IS_SET)  # a first process without a handler ignores SIGTERM
            verbs = (verb, "wait") if verb == "kill" else (verb,)
            taken[verb].append(
                sum(milliseconds(partial(engine.act, container, each)) for each in verbs)
            )
            if verb != "restart":
                engine.act(container, "start")
    return {name: median(values) for name, values in taken.items()}


STOP: Final = Case(
    "stop",
    (
        Figure("stop", "stop of a process that ends on SIGTERM (API)", "ms"),
        Figure("restart", "restart of it (API)", "ms"),
        Figure("kill", "kill until wait answered (API)", "ms"),
    ),
    _stop,
)
