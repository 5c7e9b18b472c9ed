"""Large streams: a container's log, and standard input and output through attach and exec."""

from __future__ import annotations

import os
from typing import Final

from tests.bench import material
from tests.bench.client import RequestFailed
from tests.bench.engines import BASE, LABEL, Engine
from tests.bench.figures import Case, Figure, Sample, seconds


def _logs(engine: Engine) -> Sample:
    container = engine.create(
        *("seq", "-w", "-s", f"{material.PADDING}\n", "1", str(material.LINES))
    )

    def write() -> None:
        engine.act(container, "start")
        engine.act(container, "wait")

    os.sync()
    written = seconds(write)
    os.sync()
    read = engine.cli("logs", container)
    engine.remove(container)
    lost = material.LINES - read.lines
    if not lost and read.digest != material.lines_digest(engine.work):
        raise RequestFailed("docker logs: as many lines as were written, but not the same")
    return {"logs_write": written, "logs_read": read.seconds, "logs_lost": lost}


def _attach(engine: Engine) -> Sample:
    out: Sample = {}
    lines = material.lines(engine.work)
    with engine.running() as container:
        for name, *words in (
            ("attach", "run", "-i", "--rm", "--label", LABEL, BASE),
            ("exec", "exec", "-i", container),
        ):
            os.sync()
            with lines.open("rb") as source:
                done = engine.cli(*words, "cat", stdin=source)
            if done.digest != material.lines_digest(engine.work):
                raise RequestFailed(
                    f"{name}: {done.lines} of {material.LINES} lines came back, or not the same"
                )
            out[f"{name}_rate"] = lines.stat().st_size / 1e6 / done.seconds
    return out


LOGS: Final = Case(
    "logs",
    (
        Figure("logs_write", "a container writes 200 MB in lines of 100 bytes", "s"),
        Figure("logs_read", "`docker logs` of them", "s"),
        Figure("logs_lost", "lines lost", "lines"),
    ),
    _logs,
    heavy=True,
)
ATTACH: Final = Case(
    "attach",
    (
        Figure("attach_rate", "200 MB in and out of `docker run -i --rm IMAGE cat`", "MB/s"),
        Figure("exec_rate", "… of `docker exec -i CONTAINER cat`", "MB/s"),
    ),
    _attach,
    heavy=True,
)
