"""The clients of the swap matrix: the docker CLI against whichever dockerd stands in the surroundings."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.support.debian import Surroundings
from tests.support.stack import Done


class Engine:
    """A dockerd, ours or Debian's, below the folder of its surroundings."""

    def __init__(self, inside: Surroundings, *command: str | Path) -> None:
        self.inside = inside
        self._command = command
        root = inside.root
        self._url = f"unix://{root}/docker.sock"
        self._options = (
            *("--data-root", root / "docker", "--exec-root", root / "exec"),
            *("--pidfile", root / "dockerd.pid", "-H", self._url),
            *("--containerd", root / "c.sock"),
        )

    def start(self) -> None:
        """Start it and wait for its answer."""
        self.inside.start("dockerd", *self._command, *self._options)
        self.inside.answers("dockerd", "docker", "-H", self._url, "version")

    def restart(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal and start it again."""
        self.inside.end("dockerd", number)
        self.start()

    def call(self, *words: str | Path, stdin: bytes | None = None) -> Done:
        """One docker command."""
        return self.inside.call("docker", "-H", self._url, *words, stdin=stdin)

    def __call__(self, *words: str | Path, stdin: bytes | None = None) -> str:
        done = self.call(*words, stdin=stdin)
        assert done.code == 0, (words, done, self.inside.log("dockerd"))
        return done.out.rstrip("\n")

    def inspect(self, name: str) -> dict[str, Any]:
        """`docker inspect` of one container."""
        found: dict[str, Any] = json.loads(self("container", "inspect", name))[0]
        return found

    def pid(self, name: str) -> int:
        """The first process of a container."""
        return int(self.inspect(name)["State"]["Pid"])
