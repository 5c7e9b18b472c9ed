"""What the pairs of the swap matrix share: a containerd, a dockerd, and the docker CLI that is asked of either."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.support.debian import Surroundings, original
from tests.support.images import BUSYBOX
from tests.support.stack import Done, wait_until


class Containerd:
    """A containerd, ours or Debian's, below the folder of its surroundings."""

    def __init__(self, inside: Surroundings) -> None:
        self.inside = inside

    def start(self) -> None:
        """Start it and wait for its answer."""
        raise NotImplementedError

    def launch(self, *command: str | Path, **environment: str) -> None:
        """Start a program with the folders of these surroundings."""
        root = self.inside.root
        folders = ("--root", root / "data", "--state", root / "state", "--address", root / "c.sock")
        self.inside.start("containerd", *command, *folders, **environment)
        self.inside.answers("containerd", *self._ctr, "version")

    @property
    def _ctr(self) -> tuple[str | Path, ...]:
        return (original("ctr"), "--address", self.inside.root / "c.sock", "-n", "moby")

    def ctr(self, *words: str, stdin: bytes | None = None) -> str:
        """One ctr command that must succeed, in dockerd's namespace."""
        done = self.inside.call(*self._ctr, *words, stdin=stdin)
        assert done.code == 0, (words, done)
        return done.out

    def kill(self) -> None:
        """End it without a word."""
        self.inside.end("containerd", signal.SIGKILL)


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

    def listener(self, name: str, code: int) -> int:
        """Run a container that ends with ``code`` on SIGTERM, and does listen for it; its first process."""
        script = f"trap 'exit {code}' TERM; echo listens; while :; do sleep 0.1; done"
        self("run", "-d", "--name", name, BUSYBOX, "sh", "-c", script)
        wait_until(lambda: self("logs", name) == "listens")
        return self.pid(name)

    def clear(self) -> None:
        """Remove every container."""
        names = self("ps", "-aq").split()
        if names:
            self("rm", "-f", *names)


def terminate(process: int) -> None:
    """Send SIGTERM, and wait for the end."""
    os.kill(process, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{process}").exists())


def check_run_logs_exec_stop(engine: Engine) -> None:
    """The life of containers, as every pair must serve it."""
    done = engine.call("run", "--rm", BUSYBOX, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    assert engine("run", "--rm", "-i", BUSYBOX, "cat", stdin=b"given") == "given"
    done = engine.call("run", "--rm", BUSYBOX, "no-such")
    assert done.code == 127
    assert "executable file not found" in done.err
    script = "echo one; trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done"
    engine("run", "-d", "--name", "one", "-m", "64m", BUSYBOX, "sh", "-c", script)
    wait_until(lambda: engine("logs", "one") == "one")
    assert engine("exec", "-u", "1000", "one", "id", "-u") == "1000"
    assert engine("exec", "-i", "one", "cat", stdin=b"x" * 100_000) == "x" * 100_000
    assert engine.call("exec", "one", "sh", "-c", "exit 9").code == 9
    assert "trap" in engine("top", "one")
    engine("pause", "one")
    assert engine.inspect("one")["State"]["Status"] == "paused"
    engine("unpause", "one")
    engine("update", "--memory", "96m", "--memory-swap", "96m", "one")
    assert "96MiB" in engine("stats", "--no-stream", "--format", "{{.MemUsage}}", "one")
    engine("stop", "one")
    assert engine.inspect("one")["State"]["ExitCode"] == 3
    assert engine("logs", "one") == "one\nbye"
    engine("start", "one")
    assert engine.inspect("one")["State"]["Running"] is True
    engine("rm", "-f", "one")


@pytest.fixture
def engine(pair: tuple[Engine, Containerd]) -> Engine:
    """The dockerd of a module's pair."""
    return pair[0]


@pytest.fixture
def containerd(pair: tuple[Engine, Containerd]) -> Containerd:
    """The containerd of a module's pair."""
    return pair[1]
