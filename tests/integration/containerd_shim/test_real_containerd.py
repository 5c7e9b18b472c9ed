"""Debian's containerd drives our shim, and is killed while its containers run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.debian import CONFIG, original
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, Done, wait_until

RUNTIME = "io.containerd.dockyard.v1"
pytestmark = pytest.mark.root


class RealContainerd:
    """Debian's daemon below ``root``, with our programs in its PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process: subprocess.Popen[bytes] | None = None
        (root / "config.toml").write_text(CONFIG)

    def start(self) -> None:
        program = original("containerd")
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "DOCKYARD_SOCKET_ROOT": str(self.root),
        }
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    program,
                    *("--config", self.root / "config.toml"),
                    *("--root", self.root / "data", "--state", self.root / "state"),
                    *("--address", self.root / "c.sock"),
                ],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: self.call("version").code == 0)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def call(self, *words: str, stdin: bytes | None = None) -> Done:
        done = subprocess.run(
            ["ctr", "--address", self.root / "c.sock", "--connect-timeout", "5s", *words],
            input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True, timeout=40,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode())

    def ctr(self, *words: str, stdin: bytes | None = None) -> str:
        done = self.call(*words, stdin=stdin)
        assert done.code == 0, (words, done)
        return done.out

    def run(self, *words: str) -> Done:
        return self.call("run", "--runtime", RUNTIME, *words)

    def task(self, name: str) -> tuple[int, str]:
        """Pid and status; raises KeyError if there is none."""
        lines = (line.split() for line in self.ctr("tasks", "ls").splitlines()[1:])
        return {words[0]: (int(words[1]), words[2]) for words in lines}[name]

    def shim(self, name: str) -> int:
        path = self.root / f"state/io.containerd.runtime.v2.task/default/{name}/shim.pid"
        return int(path.read_text())


@pytest.fixture(scope="module")
def daemon() -> Iterator[RealContainerd]:
    if os.geteuid() != 0 or not shutil.which("ctr"):
        pytest.skip("needs root and Debian's containerd")
    original("containerd")
    root = Path(tempfile.mkdtemp(prefix="dockyard-real-"))
    found = RealContainerd(root)
    found.start()
    try:
        found.ctr(
            "images",
            "import",
            "-",
            stdin=docker_archive(f"docker.io/library/{BUSYBOX}", [busybox_layer()]),
        )
        yield found
        assert (root / "log").read_text().count("panic") == 0
        assert found.ctr("tasks", "ls", "-q") == found.ctr("containers", "ls", "-q") == ""
        wait_until(lambda: not _processes(root), what=f"shims: {_processes(root)}")
        assert list((root / "s").iterdir()) == []
        left = [
            line
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if str(root) in line
        ]
        assert left == []
    finally:
        found.kill()
        for pid in _processes(root):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(root, ignore_errors=True)


IMAGE = f"docker.io/library/{BUSYBOX}"


def _processes(root: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "cwd").startswith(str(root)):
                found.append(int(entry.name))
    return found


@pytest.fixture
def name(daemon: RealContainerd, request: pytest.FixtureRequest) -> Iterator[str]:
    """A container's name; what is left of it goes."""
    found = f"box-{time.time_ns()}"
    yield found
    daemon.call("tasks", "rm", "-f", found)
    wait_until(lambda: found not in daemon.ctr("tasks", "ls", "-q").split())
    daemon.call("containers", "rm", found)


def test_run(daemon: RealContainerd, name: str) -> None:
    done = daemon.run("--rm", IMAGE, name, "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (done.code, done.out, done.err) == (5, "out\n", "err\n")
    done = daemon.call("run", "--rm", "--runtime", RUNTIME, IMAGE, name, "cat", stdin=b"through")
    assert (done.code, done.out) == (0, "through")
    done = daemon.run("--rm", IMAGE, name, "no-such-program")
    assert "executable file not found" in done.err


def test_verbs(daemon: RealContainerd, name: str) -> None:
    assert daemon.run("-d", IMAGE, name, "sleep", "1000").code == 0
    pid, status = daemon.task(name)
    assert status == "RUNNING"
    assert daemon.ctr("tasks", "exec", "--exec-id", "x", name, "echo", "there") == "there\n"
    assert daemon.call("tasks", "exec", "--exec-id", "x", name, "sh", "-c", "exit 9").code == 9
    assert str(pid) in daemon.ctr("tasks", "ps", name)
    daemon.ctr("tasks", "pause", name)
    assert daemon.task(name) == (pid, "PAUSED")
    daemon.ctr("tasks", "resume", name)
    assert "pids.current" in daemon.ctr("tasks", "metrics", name) or "memory" in daemon.ctr(
        "tasks", "metrics", name
    )
    daemon.ctr("tasks", "kill", "-s", "KILL", name)
    wait_until(lambda: daemon.task(name)[1] == "STOPPED")
    assert "exit code 137" in daemon.call("tasks", "delete", name).err


def test_events_in_order(daemon: RealContainerd, name: str) -> None:
    words = ["ctr", "--address", str(daemon.root / "c.sock"), "events"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        time.sleep(0.5)
        daemon.run("--rm", IMAGE, name, "true")
        found: list[str] = []
        while "/tasks/delete" not in found:
            words = events.stdout.readline().split()
            found += [word for word in words if word.startswith("/tasks/")]
        events.kill()
    assert found == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]


@pytest.mark.parametrize("scheme", ["file", "binary"])
def test_logs(daemon: RealContainerd, name: str, tmp_path: Path, scheme: str) -> None:
    target = tmp_path / "log"
    uri = f"file://{target}"
    if scheme == "binary":
        program = tmp_path / "logger"
        program.write_text(f"#!/bin/sh\nexec 5>&-\nexec cat <&3 > {target}\n")
        program.chmod(0o755)
        uri = f"binary://{program}"
    assert daemon.run("-d", "--log-uri", uri, IMAGE, name, "echo", "logged").code == 0
    wait_until(lambda: target.exists() and target.read_text() == "logged\n")


def test_a_killed_containerd_finds_its_tasks_again(
    daemon: RealContainerd, name: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    script = "trap 'echo bye; exit 23' TERM; echo ready; while true; do sleep 0.1; done"
    daemon.run("-d", "--log-uri", f"file://{log}", IMAGE, name, "sh", "-c", script)
    wait_until(lambda: log.exists() and log.read_text() == "ready\n")
    pid, _ = daemon.task(name)
    daemon.kill()
    daemon.start()
    assert daemon.task(name) == (pid, "RUNNING")
    assert daemon.ctr("tasks", "exec", "--exec-id", "y", name, "echo", "there") == "there\n"
    daemon.kill()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: log.read_text() == "ready\nbye\n")
    daemon.start()
    assert daemon.task(name)[1] == "STOPPED"
    assert "exit code 23" in daemon.call("tasks", "delete", name).err


def test_a_killed_shim_is_cleaned_up_after(daemon: RealContainerd, name: str) -> None:
    daemon.run("-d", IMAGE, name, "sleep", "1000")
    pid, _ = daemon.task(name)
    os.kill(daemon.shim(name), signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the delete command")
    wait_until(lambda: name not in daemon.ctr("tasks", "ls", "-q").split())
