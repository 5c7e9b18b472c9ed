"""A daemon is killed in the middle of something: it is finished or undone, and nothing half-made is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.restart import activities, victims
from tests.support import leaks
from tests.support.images import BUSYBOX, busybox_layer, docker_archive, layer
from tests.support.registry import Registry, running_registry
from tests.support.stack import Stack, wait_until

pytestmark = pytest.mark.timeout(180)
each_daemon = pytest.mark.parametrize("kind", ["dockerd", "containerd", "both"])
# Of the way from the request to its end, which takes some hundred milliseconds.
MOMENTS = (0.03, 0.08, 0.15, 0.25)


@pytest.fixture
def clean(stack: Stack) -> Iterator[Stack]:
    """The stack, which must be empty again in the end."""
    kernel = leaks.Kernel(stack.root)
    yield stack
    stack.remove_all()
    assert {**kernel.idle(), **leaks.stored(stack.root)} == {}


def kill_during(stack: Stack, kind: str, moment: float, *commands: tuple[str, ...]) -> list[int]:
    """Start docker commands, kill after a moment, wait until everybody is back; the commands' exit statuses."""
    running = [
        stack.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for words in commands
    ]
    time.sleep(moment)
    killed = victims.kill(stack, kind)
    wait_until(lambda: victims.back(stack, killed))
    return [process.wait(60) for process in running]


def check_all(stack: Stack) -> None:
    """What is listed as running runs, and nothing else does, within moments."""
    deadline = time.monotonic() + 20
    while True:
        try:
            _check_all(stack)
        except (AssertionError, FileNotFoundError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _check_all(stack: Stack) -> None:
    groups = {path.name for path in leaks.CGROUPS.glob("*/docker/*") if path.is_dir()}
    for container in stack.docker("ps", "-aq", "--no-trunc").split():
        state = stack.inspect(container)["State"]
        assert state["Status"] in ("created", "running", "exited"), state
        if state["Running"]:
            assert container in Path(f"/proc/{state['Pid']}/cgroup").read_text()
            assert stack.docker("exec", container, "echo", "ok") == "ok"
        else:
            assert container not in groups


@each_daemon
def test_create(clean: Stack, kind: str) -> None:
    for number, moment in enumerate(MOMENTS):
        words = ("create", "--name", f"c{number}", "-v", "/data", "busybox", "true")
        (code,) = kill_during(clean, kind, moment, words)
        listed = clean.docker("ps", "-aq", "--filter", f"name=^/c{number}$")
        assert code != 0 or listed
        check_all(clean)
        # The name is free, or taken by a container that can be used.
        if listed:
            clean.docker("start", f"c{number}")
            assert clean.docker("wait", f"c{number}") == "0"
        else:
            clean.docker("create", "--name", f"c{number}", "busybox", "true")


@each_daemon
def test_start(clean: Stack, kind: str) -> None:
    for moment in MOMENTS:
        names = [clean.docker("create", "-p", "80", "busybox", "sleep", "999") for _ in range(2)]
        codes = kill_during(clean, kind, moment, *(("start", name) for name in names))
        check_all(clean)
        for name, code in zip(names, codes, strict=True):
            running = clean.inspect(name)["State"]["Running"]
            assert running or code != 0
            if not running:
                clean.docker("start", name)
        clean.remove_all()


@each_daemon
def test_remove(clean: Stack, kind: str) -> None:
    for moment in MOMENTS:
        names = [
            clean.docker("run", "-d", "-v", "/data", "busybox", "sleep", "999") for _ in range(2)
        ]
        kill_during(clean, kind, moment, *(("rm", "-f", "-v", name) for name in names))
        check_all(clean)
        for name in names:
            # Finished by the next daemon, or never begun.
            clean.call("rm", "-f", "-v", name)
        wait_until(lambda: clean.docker("ps", "-aq") == "")
        assert clean.docker("volume", "ls", "-q") == ""


def test_what_is_left_of_a_removed_container(clean: Stack) -> None:
    """A removal is answered before everything is gone, and does not need containerd; the next daemon does the rest."""
    container = clean.docker("run", "-d", "-v", "/data", "--name", "gone", "busybox", "true")
    (volume,) = clean.docker("volume", "ls", "-q").split()
    clean.docker("wait", "gone")
    wait_until(lambda: not (clean.root / "docker/rootfs/overlayfs" / container).exists())
    directory = clean.root / "docker/containers" / container
    containerd = clean.pid("containerd")
    os.kill(containerd, signal.SIGSTOP)
    try:
        clean.docker("rm", "gone")
        assert clean.docker("ps", "-aq") == ""
        assert (directory / "removed.json").exists()
        os.kill(clean.pid("dockerd"), signal.SIGKILL)
    finally:
        os.kill(containerd, signal.SIGCONT)
    wait_until(lambda: not directory.exists())
    # It has nothing to do with the creation of the next, or with volumes that were not to go.
    assert clean.docker("volume", "ls", "-q") == volume
    clean.docker("run", "--name", "gone", "busybox", "true")
    clean.docker("volume", "rm", volume)


@each_daemon
def test_auto_remove(clean: Stack, kind: str) -> None:
    """`docker run --rm`: the exit code is right, or it is the daemon's that was killed; the container is gone."""
    for moment in MOMENTS:
        words = ("run", "--rm", "-v", "/data", "busybox", "sh", "-c", "exit 42")
        codes = kill_during(clean, kind, moment, words, words)
        # 1 and 125 are the CLI's own, for a daemon that has gone.
        assert set(codes) <= {42, 1, 125}
        wait_until(lambda: clean.docker("ps", "-aq") == "")
        wait_until(lambda: clean.docker("volume", "ls", "-q") == "")


@each_daemon
def test_auto_remove_at_the_end(clean: Stack, kind: str) -> None:
    """Killed when the container has just ended: its client still learns the exit code."""
    for moment in (0.0, 0.01, 0.03, 0.08):
        process = clean.popen(
            "run",
            "--rm",
            "-i",
            "busybox",
            "sh",
            "-c",
            "echo on; read x; exit 42",
            stdin=-1,
            stdout=-1,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        wait_until(lambda: "Up" in clean.docker("ps"))
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        time.sleep(moment)
        killed = victims.kill(clean, kind)
        assert process.wait(30) == 42
        process.stdout.close()
        wait_until(lambda killed=killed: victims.back(clean, killed))
        wait_until(lambda: clean.docker("ps", "-aq") == "")


@each_daemon
def test_stop(clean: Stack, kind: str) -> None:
    """Killed while `docker stop` is patient: the stop was meant, and can be repeated."""
    script = "trap 'echo asked' TERM; while true; do sleep 0.1; done"
    name = clean.docker("run", "-d", "--restart", "always", "busybox", "sh", "-c", script)
    stopping = clean.popen(
        "stop", "-t", "30", name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: clean.docker("logs", name) == "asked")
    killed = victims.kill(clean, kind)
    wait_until(lambda: victims.back(clean, killed))
    assert clean.inspect(name)["State"]["Running"]
    # Its own end comes now: the policy must not act against the user who has said stop.
    os.kill(clean.inspect(name)["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: not clean.inspect(name)["State"]["Running"])
    stopping.wait(60)
    assert clean.inspect(name)["RestartCount"] == 0


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with (
        tempfile.TemporaryDirectory(prefix="dockyard-restart-registry-") as folder,
        running_registry(Path(folder)) as found,
    ):
        yield found


@each_daemon
def test_pull(clean: Stack, registry: Registry, kind: str) -> None:
    layers = [busybox_layer(), *(layer({f"big{n}": os.urandom(3 << 20)}) for n in range(3))]
    image = registry.push(docker_archive(BUSYBOX, layers), f"pulled-{kind}:1")
    for moment in (0.05, 0.12, 0.25, 0.4):
        (code,) = kill_during(clean, kind, moment, ("pull", image))
        if code == 0:
            assert clean.docker("run", "--rm", image, "cat", "/data/seed") == "from the image"
            clean.docker("rmi", image)
    clean.docker("pull", image)
    assert clean.docker("run", "--rm", image, "sh", "-c", "ls / | grep -c big") == "3"
    clean.docker("rmi", image)
    wait_until(lambda: leaks.stored(clean.root) == {}, what=str(leaks.stored(clean.root)))


def test_the_supervisor(clean: Stack) -> None:
    """Killed, too: the daemons go on, and `up` gives them a supervisor again; containers do not notice."""
    name = clean.docker("run", "-d", "-p", "80", "busybox", "sleep", "999")
    with activities.untouched(clean, name):
        stat = Path(f"/proc/{clean.pid('dockerd')}/stat").read_text()
        supervisor = int(stat.rpartition(")")[2].split()[1])
        os.kill(supervisor, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{supervisor}").exists())
        assert clean.docker("exec", name, "echo", "there") == "there"
        killed = [clean.pid("dockerd"), clean.pid("containerd")]
        clean.wait_ready({})
        wait_until(lambda: victims.back(clean, killed))
        assert clean.docker("exec", name, "echo", "there") == "there"
        # And it does its work.
        killed = victims.kill(clean, "both")
        wait_until(lambda: victims.back(clean, killed))


def test_a_shim(clean: Stack) -> None:
    """Its container goes on under another shim, and so do an exec and the log."""
    script = "n=0; while true; do n=$((n+1)); echo line $n; usleep 1000; done"
    name = clean.docker("run", "-d", "busybox", "sh", "-c", script)
    exec_ = clean.popen("exec", name, "sleep", "999")
    wait_until(lambda: "sleep 999" in clean.docker("top", name))
    with activities.untouched(clean, name):
        for _ in range(3):
            victim = victims.shim(clean, name)
            lines = len(clean.docker("logs", name).splitlines())
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: victims.shim(clean, name) != victim)
            assert clean.docker("exec", name, "echo", "there") == "there"
            wait_until(
                lambda lines=lines: len(clean.docker("logs", name).splitlines()) > lines + 50
            )
            assert "sleep 999" in clean.docker("top", name)
    numbers = [int(line.split()[1]) for line in clean.docker("logs", name).splitlines()]
    assert numbers == sorted(set(numbers))
    exec_.wait(20)
    clean.docker("stop", "-t", "0", name)
    assert clean.inspect(name)["State"]["ExitCode"] == 137


def test_a_port_stays_reserved_while_dockerd_is_away(clean: Stack) -> None:
    name = clean.docker("run", "-d", "-p", "127.0.0.1::80", "busybox", "sleep", "999")
    port = int(clean.docker("port", name, "80/tcp").rpartition(":")[2])
    with activities.halted_supervisor(clean):
        victims.kill(clean, "dockerd")
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
    wait_until(lambda: clean.call("version").code == 0)


def test_a_client_that_waits_for_the_start(clean: Stack) -> None:
    """Attached before the start, as `docker run` does, when dockerd is killed: the next one hands it to the shim."""
    name = clean.docker("create", "-i", "busybox", "sh", "-c", "read x; echo got $x; exit 7")
    attached = clean.popen("start", "-ai", name, stdin=-1, stdout=-1)
    assert attached.stdin is not None
    attached.stdin.write(b"line\n")
    attached.stdin.close()
    assert attached.stdout is not None
    assert attached.stdout.read() == b"got line\n"
    assert attached.wait(20) == 7
    # The same by hand, with the kill in between.
    name = clean.docker("create", "busybox", "echo", "heard")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(clean.socket))
    path = f"/containers/{name}/attach?stream=1&stdout=1"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    connection.sendall(head.encode())
    assert b"101" in connection.recv(4096)
    notes = clean.root / "run/docker/attach"
    wait_until(lambda: list(notes.iterdir()))
    killed = victims.kill(clean, "both")
    wait_until(lambda: victims.back(clean, killed))
    clean.docker("start", name)
    found = b""
    while data := connection.recv(4096):
        found += data
    assert found[8:] == b"heard\n"
    assert list(notes.iterdir()) == []
