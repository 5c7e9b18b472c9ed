"""Debian's dockerd on our containerd: with our shim, and with the original one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.debian import Surroundings, original, surroundings
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, wait_until
from tests.swap.conftest import Engine

SHIM = "containerd-shim-runc-v2"
pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


class OurContainerd:
    """Our containerd inside the surroundings; dockerd's io.containerd.runc.v2 runs what is in its PATH."""

    def __init__(self, inside: Surroundings, shim: str) -> None:
        self.inside = inside
        self.shim = shim
        # A PATH of its own, so that the original shim is there or not; dockerd's default runtime is runc.
        folder = inside.root / "bin"
        folder.mkdir()
        programs = ["readlink", "dirname", "runc"] + ([SHIM] if shim == "original" else [])
        for each in programs:
            (folder / each).symlink_to(original(each))
        self._path = f"{BIN}:{folder}"

    def start(self) -> None:
        root = self.inside.root
        folders = ("--root", root / "data", "--state", root / "state", "--address", root / "c.sock")
        self.inside.start("containerd", BIN / "containerd", *folders, PATH=self._path)
        self.inside.answers("containerd", *self.ctr, "version")

    @property
    def ctr(self) -> tuple[str | Path, ...]:
        return (original("ctr"), "--address", self.inside.root / "c.sock", "-n", "moby")

    def kill(self) -> None:
        self.inside.end("containerd", signal.SIGKILL)


@pytest.fixture(scope="module", params=["original", "ours"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, OurContainerd]]:
    program = original("dockerd")
    with surroundings("swap-d") as inside:
        containerd = OurContainerd(inside, request.param)
        containerd.start()
        config = inside.root / "daemon.json"
        config.write_text("{}")
        engine = Engine(inside, program, "--config-file", config, "--live-restore")
        engine.start()
        archive = docker_archive(BUSYBOX, [busybox_layer()])
        engine("load", stdin=archive)
        yield engine, containerd
        names = engine("ps", "-aq").split()
        if names:
            engine("rm", "-f", *names)
        listed = inside.call(*containerd.ctr, "containers", "ls", "-q").out
        assert listed == ""


@pytest.fixture
def engine(pair: tuple[Engine, OurContainerd]) -> Engine:
    return pair[0]


@pytest.fixture
def containerd(pair: tuple[Engine, OurContainerd]) -> OurContainerd:
    return pair[1]


def test_run_logs_exec_stop(engine: Engine) -> None:
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
    assert engine.call("exec", "one", "sh", "-c", "exit 9").code == 9
    assert "sleep" in engine("top", "one")
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


def test_bridge_and_shim(engine: Engine, containerd: OurContainerd) -> None:
    engine("run", "-d", "--name", "server", BUSYBOX, "httpd", "-f", "-h", "/data")
    originals = [each for each in engine.inside.processes().values() if SHIM in each]
    assert bool(originals) == (containerd.shim == "original")
    address = engine.inspect("server")["NetworkSettings"]["IPAddress"]
    fetched = engine("run", "--rm", BUSYBOX, "wget", "-qO-", f"http://{address}/seed")
    assert fetched == "from the image"
    engine("rm", "-f", "server")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_live_restore_keeps_containers(engine: Engine, number: signal.Signals) -> None:
    script = "i=0; trap 'exit 5' TERM; while :; do i=$((i+1)); echo $i; sleep 0.2; done"
    engine("run", "-d", "--name", "kept", BUSYBOX, "sh", "-c", script)
    pid = engine.pid("kept")
    engine.restart(number)
    assert engine.pid("kept") == pid
    assert engine("exec", "kept", "echo", "in") == "in"
    before = len(engine("logs", "kept").splitlines())
    wait_until(lambda: len(engine("logs", "kept").splitlines()) > before)
    engine("stop", "kept")
    assert engine.inspect("kept")["State"]["ExitCode"] == 5
    engine("rm", "kept")


def test_an_end_while_dockerd_is_away(engine: Engine) -> None:
    engine(
        "run",
        "-d",
        "--name",
        "gone",
        BUSYBOX,
        "sh",
        "-c",
        "trap 'exit 6' TERM; while :; do sleep 0.1; done",
    )
    pid = engine.pid("gone")
    time.sleep(0.3)
    engine.inside.end("dockerd")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    engine.start()
    wait_until(lambda: not engine.inspect("gone")["State"]["Running"])
    assert engine.inspect("gone")["State"]["ExitCode"] == 6
    engine("rm", "gone")


def test_containers_survive_a_killed_containerd(engine: Engine, containerd: OurContainerd) -> None:
    engine(
        "run",
        "-d",
        "--name",
        "kept",
        BUSYBOX,
        "sh",
        "-c",
        "trap 'exit 4' TERM; while :; do sleep 0.1; done",
    )
    engine(
        "run",
        "-d",
        "--name",
        "ends",
        BUSYBOX,
        "sh",
        "-c",
        "trap 'exit 8' TERM; while :; do sleep 0.1; done",
    )
    pid, ends = engine.pid("kept"), engine.pid("ends")
    containerd.kill()
    os.kill(ends, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{ends}").exists())
    containerd.start()
    assert engine.pid("kept") == pid
    wait_until(lambda: engine.call("exec", "kept", "echo", "in").out == "in\n")
    engine("stop", "kept")
    assert engine.inspect("kept")["State"]["ExitCode"] == 4
    wait_until(lambda: not engine.inspect("ends")["State"]["Running"])
    assert engine.inspect("ends")["State"]["ExitCode"] == 8
    assert engine("run", "--rm", BUSYBOX, "echo", "after") == "after"
    engine("rm", "kept", "ends")
