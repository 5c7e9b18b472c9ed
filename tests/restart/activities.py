"""What a container may be doing when a daemon is killed. Each is a context that begins it, lets the kill happen, and then
checks that nobody has noticed; it yields the container's id.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.support.stack import Stack, Terminal, wait_until

Kill = Callable[[], None]
Activity = Callable[[Stack], contextlib.AbstractContextManager[str]]
_LINES = 40_000
# 10,000 lines/s: a hundred, then ten milliseconds of pause.
_COUNT = 'BEGIN { for (n = 1; n <= %d; n++) { print "line " n; if (n %% 100 == 0) { fflush(); system("usleep 10000") } } }'
_ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 9))
print("ready", flush=True)
while True:
    data, peer = server.recvfrom(2048)
    server.sendto(data, peer)
"""


def born(pid: int) -> str:
    """When a process started: tells it from another with the same pid."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@contextlib.contextmanager
def untouched(stack: Stack, name: str) -> Iterator[int]:
    """The container's process is the same before and after; its pid."""
    pid = int(stack.inspect(name)["State"]["Pid"])
    birth = born(pid)
    yield pid
    state = stack.inspect(name)["State"]
    assert (state["Status"], state["Pid"]) == ("running", pid)
    assert born(pid) == birth


@contextlib.contextmanager
def idle(stack: Stack) -> Iterator[str]:
    """It does nothing."""
    name = stack.docker("run", "-d", "busybox", "sleep", "999")
    with untouched(stack, name):
        yield name


@contextlib.contextmanager
def noisy(stack: Stack) -> Iterator[str]:
    """It prints ten thousand lines a second: none is lost, none comes twice, all are in order."""
    program = _COUNT % _LINES
    name = stack.docker("run", "-d", "busybox", "sh", "-c", f"awk '{program}'; sleep 999")
    wait_until(lambda: "line 500" in stack.docker("logs", name))
    with untouched(stack, name):
        yield name
        wait_until(lambda: stack.docker("logs", "-n", "1", name) == f"line {_LINES}", timeout=40)
    assert stack.docker("logs", name).splitlines() == [f"line {n}" for n in range(1, _LINES + 1)]


@contextlib.contextmanager
def attached(stack: Stack) -> Iterator[str]:
    """Somebody types into `docker run -it`: it goes on, and the CLI ends with the container's exit code."""
    terminal = Terminal(stack, "run", "-it", "--name", "attached", "busybox", "sh")
    terminal.expect("#")
    terminal.send("echo be''fore\n")
    terminal.expect("before\r\n")
    with untouched(stack, "attached"):
        yield "attached"
        terminal.send("echo af''ter\n")
        terminal.expect("after\r\n")
    terminal.send("exit 42\n")
    assert terminal.wait() == 42
    assert stack.inspect("attached")["State"]["ExitCode"] == 42
    # For what is checked of every container.
    stack.docker("start", "attached")


@contextlib.contextmanager
def executing(stack: Stack) -> Iterator[str]:
    """Somebody types into `docker exec -it`."""
    name = stack.docker("run", "-d", "busybox", "sleep", "999")
    terminal = Terminal(stack, "exec", "-it", name, "sh")
    terminal.expect("#")
    with untouched(stack, name):
        yield name
        terminal.send("echo af''ter\n")
        terminal.expect("after\r\n")
        terminal.send("exit 4\n")
        assert terminal.wait() == 4


@contextlib.contextmanager
def serving(stack: Stack) -> Iterator[str]:
    """Others use its published ports, TCP and UDP: not one request fails."""
    script = "echo served > /var/www/index.html; exec httpd -f -p 80 -h /var/www"
    name = stack.docker("run", "-d", "-p", "80", "-p", "9/udp", "busybox", "sh", "-c", script)
    wait_until(lambda: stack.call("exec", name, "wget", "-qO-", "http://127.0.0.1/").code == 0)
    found = stack.inspect(name)["NetworkSettings"]
    ports = {key: int(value[0]["HostPort"]) for key, value in found["Ports"].items()}
    with (
        untouched(stack, name) as pid,
        _echo_server(pid),
        _load(
            lambda: _fetch(found["Gateway"], ports["80/tcp"]),
            lambda: _fetch("127.0.0.1", ports["80/tcp"]),
            lambda: _ping(found["Gateway"], ports["9/udp"]),
        ),
    ):
        yield name
    # The ports are still held for it.
    error = stack.fails("run", "-d", "-p", f"{ports['80/tcp']}:80", "busybox", "true", code=125)
    assert "port is already allocated" in error


@contextlib.contextmanager
def _echo_server(pid: int) -> Iterator[None]:
    words = ["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-c", _ECHO]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield
        finally:
            server.kill()


@contextlib.contextmanager
def _load(*requests: Callable[[], None]) -> Iterator[None]:
    stop = threading.Event()
    failures: list[str] = []
    counts = [0] * len(requests)

    def work(number: int) -> None:
        while not stop.is_set():
            try:
                requests[number]()
                counts[number] += 1
            except (OSError, AssertionError) as error:
                failures.append(f"{number}: {error!r}")
                return
            time.sleep(0.002)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(requests))]
    for worker in workers:
        worker.start()
    try:
        yield
        before = list(counts)
        wait_until(
            lambda: (
                failures or all(now > then + 5 for now, then in zip(counts, before, strict=True))
            )
        )
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert failures == []


def _fetch(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        found = b""
        while data := connection.recv(4096):
            found += data
    assert found.endswith(b"served\n"), found


def _ping(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect((host, port))
        client.send(b"ping")
        assert client.recv(100) == b"ping"


@contextlib.contextmanager
def ending(stack: Stack) -> Iterator[str]:
    """It ends while the victims are away: code and time are right afterwards, and nothing of its log is missing."""
    script = "trap 'echo bye; exit 23' TERM; echo ready; sleep 99 & wait"
    name = stack.docker("run", "-d", "busybox", "sh", "-c", script)
    wait_until(lambda: stack.docker("logs", name) == "ready")
    pid = int(stack.inspect(name)["State"]["Pid"])
    with halted_supervisor(stack):
        yield name
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        ended = time.time()
    wait_until(lambda: stack.call("version").code == 0)
    wait_until(lambda: not stack.inspect(name)["State"]["Running"])
    state = stack.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 23, 0)
    finished = datetime.strptime(state["FinishedAt"][:26], "%Y-%m-%dT%H:%M:%S.%f").replace(
        tzinfo=UTC
    )
    assert abs(finished.timestamp() - ended) < 2
    assert stack.docker("logs", name) == "ready\nbye"
    stack.docker("start", name)


@contextlib.contextmanager
def halted_supervisor(stack: Stack) -> Iterator[None]:
    """The supervisor restarts nobody meanwhile."""
    stat = Path(f"/proc/{stack.pid('dockerd')}/stat").read_text()
    pid = int(stat.rpartition(")")[2].split()[1])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
