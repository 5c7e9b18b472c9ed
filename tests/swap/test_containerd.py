"""Our dockerd on Debian's containerd 1.6, which finds our shim in its PATH."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.debian import CONFIG, original, surroundings
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, wait_until
from tests.swap.conftest import Containerd, Engine, check_run_logs_exec_stop, terminate

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]
COUNTING = "i=0; trap 'exit 5' TERM; while :; do i=$((i+1)); echo $i; sleep 0.1; done"


class RealContainerd(Containerd):
    """Debian's."""

    def start(self) -> None:
        config = self.inside.root / "config.toml"
        config.write_text(CONFIG)
        socket_root = str(self.inside.root)
        self.launch(original("containerd"), "--config", config, DOCKYARD_SOCKET_ROOT=socket_root)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Engine, Containerd]]:
    with surroundings("swap-c") as inside:
        containerd = RealContainerd(inside)
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


def test_images(engine: Engine, tmp_path: Path) -> None:
    assert engine("images", "--format", "{{.Repository}}:{{.Tag}}") == BUSYBOX
    engine("tag", BUSYBOX, "other:2")
    assert engine("run", "--rm", "other:2", "echo", "there") == "there"
    engine("rmi", "other:2")
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


def test_containers_survive_a_killed_containerd(engine: Engine, containerd: Containerd) -> None:
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
    assert engine.inspect("ends")["State"]["ExitCode"] == 8
    assert engine("run", "--rm", BUSYBOX, "echo", "after") == "after"
    engine("rm", "kept", "ends")
