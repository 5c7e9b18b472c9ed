"""Foreign engines drive this runtime: Debian's docker, containerd and podman, each with folders of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.runtime.conftest import PROGRAM, Box
from tests.runtime.test_checkpoint import working_criu

pytestmark = pytest.mark.slow
DOCKERD = "/usr/sbin/dockerd"


def need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def run(*argv: object, code: int = 0) -> str:
    done = subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done
    return done.stdout


@contextmanager
def daemon(log: Path, socket: Path, *argv: object) -> Iterator[None]:
    """A daemon in a mount namespace of its own, until its socket answers; ended by its pid."""
    with log.open("wb") as out:
        running = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", *map(str, argv)],
            stdout=out,
            stderr=out,
        )
    try:
        end = time.monotonic() + 60
        while not socket.exists():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        running.terminate()
        running.wait(30)


def short(box: Box) -> Path:
    """A folder whose sockets have short names."""
    folder = Path(f"/tmp/dockyard-engine-{os.getpid()}-{box.name[-6:]}")
    folder.mkdir()
    return folder


@pytest.mark.timeout(240)
def test_docker(box: Box) -> None:
    need(DOCKERD, "docker", "containerd")
    folder = short(box)
    socket = folder / "docker.sock"
    options = ["--data-root", folder / "data", "--exec-root", folder / "exec", "-p", folder / "pid"]
    options += ["-H", f"unix://{socket}", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    docker = ["docker", "-H", f"unix://{socket}"]
    try:
        with daemon(
            folder / "log", socket, DOCKERD, *options, "--add-runtime", f"dockyard={PROGRAM}"
        ):
            tar = folder / "root.tar"
            run("tar", "-C", box.rootfs, "-cf", tar, ".")
            run(*docker, "import", tar, "box")
            common = ["--runtime", "dockyard", "--network", "none"]
            assert run(*docker, "run", "--rm", *common, "box", "echo", "hello") == "hello\n"
            run(*docker, "run", "--rm", *common, "box", "sh", "-c", "exit 7", code=7)
            run(*docker, "run", "--rm", *common, "box", "no-such", code=127)
            run(
                *docker, "run", "-d", "--name", "box1", "-m", "64m", *common, "box", "sleep", "1000"
            )
            assert run(*docker, "exec", "-u", "1000", "box1", "id", "-u") == "1000\n"
            run(*docker, "update", "--memory", "96m", "--memory-swap", "96m", "box1")
            run(*docker, "pause", "box1")
            assert run(*docker, "inspect", "-f", "{{.State.Status}}", "box1") == "paused\n"
            run(*docker, "unpause", "box1")
            assert "sleep" in run(*docker, "top", "box1")
            run(*docker, "kill", "box1")
            run(*docker, "rm", "-f", "box1")
    finally:
        subprocess.run(["rm", "-rf", folder], check=False)


@pytest.mark.timeout(120)
def test_containerd(box: Box) -> None:
    need("containerd", "ctr", "containerd-shim-runc-v2")
    folder = short(box)
    config = folder / "config.toml"
    config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    socket = folder / "c.sock"
    options = [
        "--config",
        config,
        "--root",
        folder / "root",
        "--state",
        folder / "state",
        "--address",
        socket,
    ]
    ctr = ["ctr", "--address", socket]
    ours = ["--runtime", "io.containerd.runc.v2", "--runc-binary", PROGRAM, "--rootfs"]
    try:
        with daemon(folder / "log", socket, "containerd", *options):
            said = run(*ctr, "run", "--rm", *ours, box.rootfs, "one", "/bin/echo", "hello")
            assert said == "hello\n"
            run(*ctr, "run", "-d", *ours, box.rootfs, "two", "/bin/sleep", "1000")
            said = run(*ctr, "tasks", "exec", "--exec-id", "e", "two", "/bin/id", "-u")
            assert said == "0\n"
            run(*ctr, "tasks", "pause", "two")
            assert "PAUSED" in run(*ctr, "tasks", "ls")
            run(*ctr, "tasks", "resume", "two")
            assert run(*ctr, "tasks", "ps", "two").splitlines()[1].split()[0].isdigit()
            run(*ctr, "tasks", "kill", "-s", "KILL", "two")
            run(*ctr, "tasks", "delete", "--force", "two")
            run(*ctr, "containers", "delete", "two")
    finally:
        subprocess.run(["rm", "-rf", folder], check=False)


@pytest.mark.timeout(120)
def test_podman(box: Box) -> None:
    need("podman", "conmon")
    folder = short(box)
    podman = [
        "podman",
        "--root",
        folder / "root",
        "--runroot",
        folder / "run",
        "--tmpdir",
        folder / "tmp",
    ]
    podman += [
        "--runtime",
        PROGRAM,
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
        "--storage-driver",
        "vfs",
    ]
    common = ["--network", "none", "--rootfs"]
    try:
        assert run(*podman, "run", "--rm", *common, box.rootfs, "echo", "hello") == "hello\n"
        run(*podman, "run", "--rm", *common, box.rootfs, "sh", "-c", "exit 7", code=7)
        run(*podman, "run", "-d", "--name", "c", *common, box.rootfs, "sleep", "1000")
        assert run(*podman, "exec", "-u", "1000", "c", "id", "-u") == "1000\n"
        run(*podman, "pause", "c")
        run(*podman, "unpause", "c")
        if working_criu():
            run(*podman, "container", "checkpoint", "c")
            assert "Exited" in run(*podman, "ps", "-a", "--format", "{{.Status}}")
            run(*podman, "container", "restore", "c")
            assert run(*podman, "exec", "c", "echo", "again") == "again\n"
        run(*podman, "stop", "-t", "1", "c")
        run(*podman, "rm", "c")
    finally:
        subprocess.run(
            [*map(str, podman), "rm", "-af", "-t", "0"], check=False, capture_output=True
        )
        subprocess.run(["umount", "-R", folder / "root"], check=False, capture_output=True)
        subprocess.run(["rm", "-rf", folder], check=False)
