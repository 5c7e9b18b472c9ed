"""TCP to a published port and between containers; the peers are the host's Python, entered into the containers' networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.bench import peer
from tests.bench.engines import Engine
from tests.bench.figures import Case, Figure, Sample

_PORT: Final = 5000
_BUFFERS: Final = 4096
_DIALS: Final = 1000


def _network(engine: Engine) -> Sample:
    published = {f"{_PORT}/tcp": [{"HostIp": "", "HostPort": ""}]}
    with engine.running(PortBindings=published) as server, engine.running() as client:
        about, other = engine.inspect(server), engine.inspect(client)
        settings = about["NetworkSettings"]
        endpoint = settings["Networks"]["bridge"]
        port = settings["Ports"][f"{_PORT}/tcp"][0]["HostPort"]
        routes = {
            "c2c": (other, endpoint["IPAddress"], str(_PORT)),
            "local": (None, "127.0.0.1", port),
            "gateway": (None, endpoint["Gateway"], port),
        }
        out: Sample = {}
        with subprocess.Popen(
            _command(about, "serve", str(_PORT)), stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                for name, (where, host, to) in routes.items():
                    taken = _seconds(where, host, to, _BUFFERS, 1)
                    out[f"{name}_rate"] = _BUFFERS * peer.BUFFER / 1e6 / taken
                    out[f"{name}_dials"] = _DIALS / _seconds(where, host, to, 0, _DIALS)
            finally:
                process.kill()
    return out


def _command(container: dict[str, Any] | None, *words: str) -> list[str]:
    enter = ["nsenter", "-n", "-t", str(container["State"]["Pid"])] if container else []
    return [*enter, sys.executable, "-I", str(Path(peer.__file__)), *words]


def _seconds(
    container: dict[str, Any] | None, host: str, port: str, buffers: int, dials: int
) -> float:
    words = ("dial", host, port, str(buffers), str(dials))
    return float(subprocess.check_output(_command(container, *words)))


NETWORK: Final = Case(
    "network",
    tuple(
        Figure(f"{route}_{name}", f"{words}, {what}", unit)
        for route, words in (
            ("c2c", "container to container"),
            ("local", "published port at 127.0.0.1"),
            ("gateway", "published port at the gateway"),
        )
        for name, what, unit in (
            ("rate", "one TCP stream", "MB/s"),
            ("dials", "connections opened, answered, closed", "1/s"),
        )
    ),
    _network,
    heavy=True,
)
