"""Each process is counted for one engine, and in one role."""

from __future__ import annotations

import pytest
from tests.bench.engines import DebianDocker, Dockyard, Engine

PYTHON = "/src/build/bin/../venv/bin/python -I /src/build/bin/"
ROOT = "/tmp/dockyard-bench-x"


@pytest.mark.parametrize(
    ("engine", "role", "parent", "command"),
    [
        (Dockyard, "dockerd", f"{PYTHON}dockyard up", f"{PYTHON}dockerd --data-root {ROOT}"),
        (Dockyard, "containerd", f"{PYTHON}dockyard up", f"{PYTHON}containerd --root {ROOT}"),
        (
            Dockyard,
            "forkserver",
            f"{PYTHON}containerd --root {ROOT}",
            f"{PYTHON}containerd-shim-dockyard-v1 -socket 19 forkserver",
        ),
        (
            Dockyard,
            "shims",
            f"{PYTHON[:23]}python -m tests.bench",
            f"{PYTHON}containerd-shim-dockyard-v1 -socket 19 forkserver",
        ),
        (Dockyard, "supervisor", "python -m tests.bench", f"{PYTHON}dockyard up --root {ROOT}"),
        (DebianDocker, "dockerd", "python", f"/usr/sbin/dockerd --data-root {ROOT}"),
        (DebianDocker, "containerd", "python", f"/usr/bin/containerd --config {ROOT}"),
        (DebianDocker, "shims", "python", "/usr/bin/containerd-shim-runc-v2 -namespace moby"),
        (DebianDocker, "docker-proxy", "/usr/sbin/dockerd", "/usr/bin/docker-proxy -proto tcp"),
        (None, None, "make", "/src/build/venv/bin/python -m tests.bench"),
    ],
)
def test_a_process_has_one_role_of_one_engine(
    engine: type[Engine] | None, role: str | None, parent: str, command: str
) -> None:
    for candidate in (Dockyard, DebianDocker):
        found = candidate.role(f"{parent} > {command}")
        assert found == (role if candidate is engine else None)
