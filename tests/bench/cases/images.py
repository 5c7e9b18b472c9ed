"""Loading, saving and removing images."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Final

from tests.bench import material
from tests.bench.engines import Engine
from tests.bench.figures import Case, Figure, Sample, seconds


def _cycle(size: str, engine: Engine) -> Sample:
    reference = f"/images/bench-{size}:latest"
    steps: dict[str, Callable[[], object]] = {
        "load": partial(engine.cli, "load", "-q", "-i", str(material.archive(engine.work, size))),
        "save": partial(engine.http.raw, "GET", f"{reference}/get"),
        "rmi": partial(engine.http.raw, "DELETE", reference),
    }
    out = {}
    for name, step in steps.items():
        os.sync()  # earlier dirty pages are not this step's to write
        out[f"{name}_{size}"] = seconds(step)
    return out


def _case(size: str, words: str, *, heavy: bool, limit: float | None = None) -> Case:
    figures = (
        Figure(f"load_{size}", f"`docker load` of {words}", "s", limit),
        Figure(f"save_{size}", "save of it (API)", "s", limit),
        Figure(f"rmi_{size}", "removal of it (API)", "s"),
    )
    return Case(size, figures, partial(_cycle, size), heavy=heavy)


SMALL: Final = _case("small", "5 layers, 2,000 files, 17 MB", heavy=False)
BIG: Final = _case("big", "2 layers, one file of 200 MB", heavy=True, limit=0.7)
MANY: Final = _case("many", "one layer, 20,000 files, 80 MB", heavy=True, limit=0.7)
