"""Single requests of the Engine API."""

from __future__ import annotations

from functools import partial
from typing import Final

from tests.bench.engines import Engine
from tests.bench.figures import Case, Figure, Sample, milliseconds

_LIST: Final = "/containers/json?all=1"
_CONTAINERS: Final = 100


def _api(engine: Engine) -> Sample:
    def dial_and_ping() -> None:
        engine.http.forget()
        engine.http.raw("GET", "/_ping")

    with engine.running() as container:
        paths = {
            "ping": "/_ping",
            "version": "/version",
            "list": _LIST,
            "inspect": f"/containers/{container}/json",
        }
        out = {
            name: milliseconds(partial(engine.http.raw, "GET", path), 100)
            for name, path in paths.items()
        }
    out["dial"] = milliseconds(dial_and_ping, 100)
    for _ in range(_CONTAINERS):
        engine.create("true", NetworkMode="none")
    out["list100"] = milliseconds(partial(engine.http.raw, "GET", _LIST), 20)
    engine.sweep()
    return out


API: Final = Case(
    "api",
    (
        Figure("ping", "`GET /_ping`", "ms"),
        Figure("dial", "… with a new connection", "ms"),
        Figure("version", "`GET /version`", "ms"),
        Figure("list", "list of one container", "ms"),
        Figure("list100", "list of 100 containers", "ms"),
        Figure("inspect", "inspect of a running container", "ms"),
    ),
    _api,
    heavy=True,
)
