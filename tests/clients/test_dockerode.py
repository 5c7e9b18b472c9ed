"""dockerode, Node's client, installed by `make test-dockerode`: run, exec, streams, events, logs, stats."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.stack import CLONE, Stack

pytestmark = pytest.mark.slow
_MODULES = CLONE / "build/node/node_modules"


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("run", {"code": 3, "out": "out\n", "err": "err\n"}),
        ("terminal", {"code": 0, "out": "/dev/pts/0\r\n"}),
        ("exec", {"code": 4, "out": "given", "err": "err\n", "running": False}),
        ("attach", {"same": True, "code": 0}),
        ("logs", {"out": "tick 1\ntick 2\ntick 3\n", "err": "end\n", "last": "tick 3\n"}),
        ("stats", {"memory": True, "pids": 1, "names": [True, True]}),
        ("events", {"seen": ["create", "start", "die", "destroy"]}),
        (
            "objects",
            {
                "state": "running",
                "network": "nodenetwork",
                "archive": 0,
                "name": "/nodebox2",
                "memory": 64 << 20,
                "image": "sha256:",
            },
        ),
        (
            "errors",
            {
                "missing": [404, "No such container: nope"],
                "image": [404, "No such image: nope:1"],
                "option": [400, "Minimum memory limit allowed is 6MB"],
                "pull": True,
            },
        ),
    ],
)
def test_dockerode(stack: Stack, scenario: str, expected: dict[str, Any]) -> None:
    if shutil.which("node") is None or not _MODULES.exists():
        pytest.skip("needs Node and dockerode: make test-dockerode")
    done = subprocess.run(
        ["node", Path(__file__).with_name("dockerode.cjs"), scenario],
        env={**os.environ, "NODE_PATH": str(_MODULES), "DOCKER_SOCKET": str(stack.socket)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
