"""Short containers and short commands: what a user waits for."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from statistics import median
from typing import Final

from tests.bench.engines import BASE, LABEL, Engine
from tests.bench.figures import Case, Figure, Sample, milliseconds

_LIFECYCLES: Final = 5


def _run_rm(engine: Engine) -> Sample:
    out = {"cli_floor": milliseconds(partial(engine.cli, "--version"), 3)}
    for network in ("bridge", "none", "host"):
        words = ("run", "--rm", "--network", network, "--label", LABEL, BASE, "true")
        out[f"run_rm_{network}"] = milliseconds(partial(engine.cli, *words), 3)
    return out


def _exec(engine: Engine) -> Sample:
    with engine.running() as container:

        def by_api() -> None:
            body = {"Cmd": ["true"], "AttachStdout": True}
            made = engine.http.json("POST", f"/containers/{container}/exec", body)
            engine.http.raw("POST", f"/exec/{made['Id']}/start", {"Detach": False})

        return {
            "exec_cli": milliseconds(partial(engine.cli, "exec", container, "true"), 5),
            "exec_api": milliseconds(by_api, 10),
        }


def _lifecycle(engine: Engine) -> Sample:
    taken: dict[str, list[float]] = defaultdict(list)
    for network in ("none", "bridge") * _LIFECYCLES:
        made: list[str] = []
        create = partial(engine.create, "true", NetworkMode=network)
        taken[f"create_{network}"].append(milliseconds(lambda: made.append(create())))  # noqa: B023
        start, wait, remove = (
            milliseconds(partial(engine.act, made[0], "start")),
            milliseconds(partial(engine.act, made[0], "wait")),
            milliseconds(partial(engine.remove, made[0])),
        )
        taken[f"start_{network}"].append(start)
        taken[f"exit_{network}"].append(start + wait)
        taken[f"remove_{network}"].append(remove)
    return {name: median(values) for name, values in taken.items()}


RUN_RM: Final = Case(
    "run_rm",
    (
        Figure("run_rm_bridge", "`docker run --rm IMAGE true`, bridge", "ms", limit=0.5),
        Figure("run_rm_none", "… `--network none`", "ms"),
        Figure("run_rm_host", "… `--network host`", "ms"),
        Figure("cli_floor", "`docker --version` (no engine: the CLI's own start)", "ms"),
    ),
    _run_rm,
)
EXEC: Final = Case(
    "exec",
    (
        Figure("exec_cli", "`docker exec CONTAINER true`", "ms", limit=0.6),
        Figure("exec_api", "exec create, start, read to the end (API)", "ms"),
    ),
    _exec,
)
LIFECYCLE: Final = Case(
    "lifecycle",
    tuple(
        Figure(f"{step}_{network}", f"{words}, {network}", "ms")
        for network in ("none", "bridge")
        for step, words in (
            ("create", "create (API)"),
            ("start", "start (API)"),
            ("exit", "start sent until wait of `true` answered (API)"),
            ("remove", "remove (API)"),
        )
    ),
    _lifecycle,
)
