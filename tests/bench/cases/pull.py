"""Pulls from a registry on this machine: alone, and ten of the same image at once."""

from __future__ import annotations

import atexit
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Final

from tests.bench import material
from tests.bench.engines import Engine
from tests.bench.figures import Case, Figure, Sample, seconds
from tests.support.registry import running_registry

from containerd.linux.syscalls import sync_filesystem

_PULLS: Final = 10
_MOST: Final = 1.2


@cache
def _reference(work: Path) -> str:
    """An image of 20 layers in a registry that ends with this run."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    registry = stack.enter_context(running_registry(work / "registry"))
    return registry.push(material.archive(work, "deep").read_bytes(), "bench-deep:latest")


def _sync(engine: Engine) -> None:
    """Write what is dirty in the file system of an engine's data."""
    root = os.open(engine.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_filesystem(root)
    finally:
        os.close(root)


def _pull(engine: Engine) -> Sample:
    reference = _reference(engine.work)

    def one() -> None:
        engine.cli("pull", "-q", reference)
        _sync(engine)

    def ten() -> None:
        with ThreadPoolExecutor(_PULLS) as pool:
            list(pool.map(lambda _: engine.cli("pull", "-q", reference), range(_PULLS)))
        _sync(engine)

    taken = {}
    for name, step in (("pull", one), ("pull_ten", ten)):
        os.sync()  # earlier dirty pages are not this step's to write
        taken[name] = seconds(step)
        again = seconds(partial(engine.cli, "pull", "-q", reference))
        engine.http.raw("DELETE", f"/images/{reference}")
    return {**taken, "pull_again": 1000 * again, "pull_joined": taken["pull_ten"] / taken["pull"]}


PULL: Final = Case(
    "pull",
    (
        Figure(
            "pull", "`docker pull` of 20 layers, 4,000 files, 285 MB, and syncfs", "s", limit=0.5
        ),
        Figure("pull_ten", "ten of it at once, and syncfs", "s"),
        Figure("pull_joined", "… over one", "×", bound=_MOST),
        Figure("pull_again", "pull of an image that is here", "ms"),
    ),
    _pull,
)
