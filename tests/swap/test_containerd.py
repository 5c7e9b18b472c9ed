"""Our dockerd on the original containerd, Debian's 1.6 and 2.2 from its module, which finds our shim in its PATH."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.debian import CONFIG, Surroundings, original, surroundings
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, CLONE, wait_until
from tests.swap.conftest import Containerd, Engine, check_run_logs_exec_stop, terminate

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]
COUNTING = "i=0; trap 'exit 5' TERM; while :; do i=$((i+1)); echo $i; sleep 0.1; done"


# `make test-containerd2` builds it; Debian has none.
SECOND = CLONE / "build/tools/usr/bin/containerd2"


class RealContainerd(Containerd):
    """The original."""

    def __init__(self, inside: Surroundings, program: str | Path) -> None:
        super().__init__(inside)
        self.program = program

    def start(self) -> None:
        config = self.inside.root / "config.toml"
        config.write_text(CONFIG)
        socket_root = str(self.inside.root)
        self.launch(self.program, "--config", config, DOCKYARD_SOCKET_ROOT=socket_root)


@pytest.fixture(scope="module", params=["1.6", pytest.param("2.2", marks=pytest.mark.slow)])
def version(request: pytest.FixtureRequest) -> str:
    """Of the original."""
    if request.param == "2.2" and not SECOND.exists():
        pytest.skip("needs containerd 2.2: make test-containerd2")
    return str(request.param)


@pytest.fixture(scope="module")
def pair(version: str) -> Iterator[tuple[Engine, Containerd]]:
    with surroundings("swap-c") as inside:
        containerd = RealContainerd(inside, original("containerd") if version == "1.6" else SECOND)
        containerd.start()
        archive = docker_archive(f"docker.io/library/{BUSYBOX}", [busybox_layer()])
        containerd.ctr("images", "import", "-", stdin=archive)
        engine = Engine(inside, BIN / "dockerd")
        engine.start()
        yield engine, containerd
        engine.clear()
        assert containerd.ctr("containers", "ls", "-q") == ""
        assert "Active" not in containerd.ctr("snapshots", "ls")


def test_run_logs_exec_stop(engine: Engine) -> None:
    check_run_logs_exec_stop(engine)


def test_attach(engine: Engine) -> None:
    engine("run", "-d", "-i", "--name", "line", BUSYBOX, "sh", "-c", "read x; echo got $x; exit 4")
    done = engine.call("attach", "line", stdin=b"this\n")
    assert (done.code, done.out) == (4, "got this\n")
    engine("rm", "line")


def test_files(engine: Engine, tmp_path: Path) -> None:
    engine("run", "-d", "--name", "files", BUSYBOX, "sleep", "1000")
    (tmp_path / "in").write_text("content")
    engine("cp", tmp_path / "in", "files:/data/in")
    assert engine("exec", "files", "cat", "/data/in") == "content"
    engine("cp", "files:/data/seed", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "from the image\n"
    assert "A /data/in" in engine("diff", "files")
    assert "overlay" in engine.inspect("files")["GraphDriver"]["Name"]
    engine("commit", "files", "committed:1")
    assert engine("run", "--rm", "committed:1", "cat", "/data/in") == "content"
    engine("rm", "-f", "files")
    engine("rmi", "committed:1")


def test_images(engine: Engine, version: str, tmp_path: Path) -> None:
    assert engine("images", "--format", "{{.Repository}}:{{.Tag}}") == BUSYBOX
    engine("tag", BUSYBOX, "other:2")
    assert engine("run", "--rm", "other:2", "echo", "there") == "there"
    engine("rmi", "other:2")
    if version == "2.2":
        engine("save", "-o", tmp_path / "saved.tar", BUSYBOX)
        engine("tag", BUSYBOX, "kept:1")
        engine("rmi", BUSYBOX)
        assert f"Loaded image: {BUSYBOX}" in engine("load", "-i", tmp_path / "saved.tar")
        engine("rmi", "kept:1")
        assert engine("run", "--rm", BUSYBOX, "echo", "back") == "back"
        return
    lacking = "this containerd has no transfer service"
    for words in (("pull", "other:3"), ("save", "-o", str(tmp_path / "x"), BUSYBOX)):
        assert lacking in engine.call(*words).err
    archive = docker_archive("other:4", [busybox_layer()])
    assert lacking in engine.call("load", stdin=archive).err


def test_published_port(engine: Engine) -> None:
    engine("run", "-d", "--name", "web", "-p", "8088:80", BUSYBOX, "httpd", "-f", "-h", "/data")
    address = engine.inspect("web")["NetworkSettings"]["IPAddress"]
    fetched = engine("run", "--rm", BUSYBOX, "wget", "-qO-", f"http://{address}/seed")
    assert fetched == "from the image"
    fetched = engine.inside.call("busybox", "wget", "-qO-", "http://127.0.0.1:8088/seed").out
    assert fetched == "from the image\n"
    engine("rm", "-f", "web")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_containers_survive_dockerd(engine: Engine, number: signal.Signals) -> None:
    engine("run", "-d", "--name", "kept", BUSYBOX, "sh", "-c", COUNTING)
    pid, ends = engine.pid("kept"), engine.listener("ends", 8)
    wait_until(lambda: engine("logs", "kept") != "")
    engine.inside.end("dockerd", number)
    terminate(ends)
    engine.start()
    assert engine.pid("kept") == pid
    wait_until(lambda: not engine.inspect("ends")["State"]["Running"])
    assert engine.inspect("ends")["State"]["ExitCode"] == 8
    assert engine("exec", "kept", "echo", "in") == "in"
    engine("stop", "kept")
    assert engine.inspect("kept")["State"]["ExitCode"] == 5
    said = engine("logs", "kept").splitlines()
    assert said == [str(number + 1) for number in range(len(said))]
    engine("rm", "kept", "ends")


def test_containers_survive_a_killed_containerd(
    engine: Engine, containerd: Containerd, version: str
) -> None:
    engine("run", "-d", "--name", "kept", BUSYBOX, "sh", "-c", COUNTING)
    pid, ends = engine.pid("kept"), engine.listener("ends", 8)
    wait_until(lambda: engine("logs", "kept") != "")
    containerd.kill()
    terminate(ends)
    lines = len(engine("logs", "kept").splitlines())
    wait_until(lambda: len(engine("logs", "kept").splitlines()) > lines)
    containerd.start()
    assert engine.pid("kept") == pid
    assert engine("exec", "kept", "echo", "in") == "in"
    engine("stop", "kept")
    assert engine.inspect("kept")["State"]["ExitCode"] == 5
    wait_until(lambda: not engine.inspect("ends")["State"]["Running"])
    # 2.2 takes a shim whose container has ended for one that was never used, and removes it unasked.
    codes = {8} if version == "1.6" else {8, 137}
    assert engine.inspect("ends")["State"]["ExitCode"] in codes
    assert engine("run", "--rm", BUSYBOX, "echo", "after") == "after"
    engine("rm", "kept", "ends")
