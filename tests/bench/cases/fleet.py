"""Hundreds of idle containers: lists, a killed dockerd that comes back, and containerd's tasks. Only ours."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import grpc
from tests.bench.engines import Dockyard, Engine
from tests.bench.figures import Case, Figure, Sample, milliseconds, seconds
from tests.bench.memory import processes_of

from wire.gen.containerd.services.tasks.v1 import tasks_pb2

_FLEET: Final = 500
_TASKS: Final = 1000
_SIDE_BY_SIDE: Final = 16
_PATIENCE: Final = 60.0
_LOOK: Final = 0.01
_RECONCILED: Final = b"reconciled"


def _fleet(engine: Engine) -> Sample:
    if not isinstance(engine, Dockyard):
        return {}  # a thousand containers take the other engine minutes, and no ratio is asked
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:

        def grow(count: int, network: str) -> None:
            list(pool.map(lambda _: engine.launch(NetworkMode=network), range(count)))

        grow(_FLEET, "default")
        out = {
            "fleet_ps": milliseconds(partial(engine.cli, "ps"), 7),
            "fleet_list": milliseconds(partial(engine.http.raw, "GET", "/containers/json"), 7),
            **_restart(engine),
        }
        grow(_TASKS - _FLEET, "none")
        out["fleet_tasks"] = _tasks(engine)
        containers = [each["Id"] for each in engine.http.json("GET", "/containers/json?all=1")]
        list(pool.map(engine.remove, containers))
    return out


def _restart(engine: Dockyard) -> Sample:
    """dockerd is killed; the supervisor starts another on the same socket."""
    log = engine.root / "log/dockerd.log"
    seen = log.stat().st_size
    for process in processes_of(engine, "dockerd"):
        os.kill(process, signal.SIGKILL)
    engine.http.forget()
    began = time.perf_counter()
    ready = seconds(lambda: engine.http.raw("GET", "/_ping"))
    with log.open("rb") as file:
        file.seek(seen)
        told = b""
        while _RECONCILED not in told:
            if time.perf_counter() - began > _PATIENCE:
                raise TimeoutError("dockerd has not told that it is reconciled")
            time.sleep(_LOOK)
            told += file.read()
    return {"fleet_ready": ready, "fleet_reconciled": time.perf_counter() - began}


def _tasks(engine: Dockyard) -> float:
    with grpc.insecure_channel(f"unix:{engine.root}/containerd.sock") as channel:
        listing = channel.unary_unary(
            "/containerd.services.tasks.v1.Tasks/List",
            request_serializer=tasks_pb2.ListTasksRequest.SerializeToString,
            response_deserializer=tasks_pb2.ListTasksResponse.FromString,
        )

        def ask() -> None:
            found = listing(
                tasks_pb2.ListTasksRequest(), metadata=(("containerd-namespace", "moby"),)
            )
            assert len(found.tasks) == _TASKS

        return milliseconds(ask, 7)


FLEET: Final = Case(
    "fleet",
    (
        Figure("fleet_ps", "500 running containers: `docker ps`", "ms", bound=100),
        Figure("fleet_list", "… list of them (API)", "ms"),
        Figure("fleet_ready", "… dockerd killed until it answers again", "s", bound=1),
        Figure("fleet_reconciled", "… until it has reconciled all", "s", bound=5),
        Figure(
            "fleet_tasks", "1,000 running containers: containerd's list of tasks", "ms", bound=100
        ),
    ),
    _fleet,
    heavy=True,
)
