"""`kill -9` of daemons while containers run: nothing that a user sees may be disturbed.

Each test kills dockerd, containerd, both, or the forkserver, at a moment that matters.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.stack import Stack, Terminal, wait_until

VICTIMS = [["dockerd"], ["containerd"], ["dockerd", "containerd"]]
victims = pytest.mark.parametrize("killed", VICTIMS, ids="+".join)


def sleeper(stack: Stack, *flags: str) -> str:
    return stack.docker("run", "-d", *flags, "busybox", "sleep", "999")


def ticks(process_id: int) -> str:
    """When a process started: tells it from another with the same pid."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[19]


@victims
def test_idle_container(stack: Stack, killed: list[str]) -> None:
    name = sleeper(stack)
    pid = stack.inspect(name)["State"]["Pid"]
    born = ticks(pid)
    stack.kill(*killed)
    state = stack.inspect(name)["State"]
    assert (state["Status"], state["Pid"]) == ("running", pid)
    assert ticks(pid) == born
    assert stack.docker("exec", name, "echo", "there") == "there"
    stack.docker("stop", "-t", "0", name)
    assert stack.inspect(name)["State"]["ExitCode"] == 137


@victims
def test_paused_container(stack: Stack, killed: list[str]) -> None:
    name = sleeper(stack)
    stack.docker("pause", name)
    stack.kill(*killed)
    assert stack.inspect(name)["State"]["Status"] == "paused"
    stack.docker("unpause", name)
    assert stack.docker("exec", name, "echo", "awake") == "awake"


@victims
def test_noisy_container_loses_no_line(stack: Stack, killed: list[str]) -> None:
    script = "n=0; while [ $n -lt 40000 ]; do n=$((n+1)); echo line $n; done; sleep 999"
    name = stack.docker("run", "-d", "busybox", "sh", "-c", script)
    wait_until(lambda: "line 500" in stack.docker("logs", name))
    stack.kill(*killed)
    wait_until(lambda: stack.docker("logs", "-n", "1", name) == "line 40000")
    assert stack.docker("logs", name).splitlines() == [f"line {n}" for n in range(1, 40001)]


@victims
def test_attached_terminal_goes_on(stack: Stack, killed: list[str]) -> None:
    terminal = Terminal(stack, "run", "-it", "--rm", "busybox", "sh")
    terminal.expect("#")
    terminal.send("echo be''fore\n")
    terminal.expect("before\r\n")
    stack.kill(*killed)
    terminal.send("echo af''ter\n")
    terminal.expect("after\r\n")
    terminal.send("exit 42\n")
    assert terminal.wait() == 42
    wait_until(lambda: stack.docker("ps", "-aq") == "", what="--rm after the restart")


@victims
def test_exec_terminal_goes_on(stack: Stack, killed: list[str]) -> None:
    terminal = Terminal(stack, "exec", "-it", sleeper(stack), "sh")
    terminal.expect("#")
    stack.kill(*killed)
    terminal.send("echo af''ter\n")
    terminal.expect("after\r\n")
    terminal.send("exit 4\n")
    assert terminal.wait() == 4


@victims
def test_run_with_input_goes_on(stack: Stack, killed: list[str]) -> None:
    process = stack.popen(
        "run", "-i", "--rm", "busybox", "sh", "-c", "cat; exit 6", stdin=-1, stdout=-1, bufsize=0
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"one\n")
    assert process.stdout.readline() == b"one\n"
    # The program answers before the daemon has told the CLI that it runs.
    wait_until(lambda: "Up" in stack.docker("ps"))
    stack.kill(*killed)
    process.stdin.write(b"two\n")
    assert process.stdout.readline() == b"two\n"
    process.stdin.close()
    assert process.wait(20) == 6
    process.stdout.close()


@victims
def test_pending_wait_is_answered(stack: Stack, killed: list[str]) -> None:
    name = stack.docker("run", "-d", "busybox", "sh", "-c", "trap 'exit 8' TERM; sleep 99 & wait")
    waiting = stack.popen("wait", name, stdout=-1)
    assert waiting.stdout is not None
    wait_until(lambda: _descriptors(stack.pid("dockerd")))
    time.sleep(0.3)
    stack.kill(*killed)
    stack.docker("kill", "-s", "TERM", name)
    assert waiting.communicate(timeout=20)[0] == b"8\n"
    assert waiting.returncode == 0


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def paused_supervisor(stack: Stack) -> Iterator[None]:
    """The supervisor does not restart anybody meanwhile."""
    pid = int(Path(f"/proc/{stack.pid('dockerd')}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@victims
def test_exit_while_the_daemons_are_away(stack: Stack, killed: list[str]) -> None:
    script = "trap 'echo bye; exit 23' TERM; echo ready; sleep 99 & wait"
    name = stack.docker("run", "-d", "busybox", "sh", "-c", script)
    wait_until(lambda: stack.docker("logs", name) == "ready")
    pid = stack.inspect(name)["State"]["Pid"]
    before = {daemon: stack.pid(daemon) for daemon in killed}
    with paused_supervisor(stack):
        for victim in before.values():
            os.kill(victim, signal.SIGKILL)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        ended = time.time()
    stack.wait_ready(before)
    wait_until(lambda: not stack.inspect(name)["State"]["Running"])
    state = stack.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 23)
    finished = state["FinishedAt"][:19]
    assert (
        abs(time.mktime(time.strptime(finished, "%Y-%m-%dT%H:%M:%S")) - time.timezone - ended) < 2
    )
    assert stack.docker("logs", name) == "ready\nbye"


def test_memory_kill_while_the_daemons_are_away(stack: Stack) -> None:
    script = "trap : TERM; sleep 99 & wait; exec sh -c 'x=$(dd if=/dev/zero bs=1M count=200 | tr \"\\\\0\" a)'"
    words = ("--memory", "24m", "--memory-swap", "24m", "busybox", "sh", "-c", script)
    name = stack.docker("run", "-d", *words)
    pid = stack.inspect(name)["State"]["Pid"]
    time.sleep(0.3)
    before = {daemon: stack.pid(daemon) for daemon in ("dockerd", "containerd")}
    with paused_supervisor(stack):
        for victim in before.values():
            os.kill(victim, signal.SIGKILL)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
    stack.wait_ready(before)
    wait_until(lambda: not stack.inspect(name)["State"]["Running"])
    state = stack.inspect(name)["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (137, True)


@victims
def test_auto_remove_after_an_exit_while_away(stack: Stack, killed: list[str]) -> None:
    name = sleeper(stack, "--rm", "-v", "/anonymous")
    pid = stack.inspect(name)["State"]["Pid"]
    before = {daemon: stack.pid(daemon) for daemon in killed}
    with paused_supervisor(stack):
        for victim in before.values():
            os.kill(victim, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    stack.wait_ready(before)
    wait_until(lambda: stack.docker("ps", "-aq") == "")
    assert stack.docker("volume", "ls", "-q") == ""


@victims
def test_restart_policy_is_kept(stack: Stack, killed: list[str]) -> None:
    name = sleeper(stack, "--restart", "always")
    pid = stack.inspect(name)["State"]["Pid"]
    before = {daemon: stack.pid(daemon) for daemon in killed}
    with paused_supervisor(stack):
        for victim in before.values():
            os.kill(victim, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    stack.wait_ready(before)
    wait_until(lambda: stack.inspect(name)["State"]["Status"] == "running", what="restarted")
    assert stack.inspect(name)["State"]["Pid"] not in (0, pid)


def load(fetch: Callable[[], bytes], stop: threading.Event, failures: list[str]) -> int:
    count = 0
    while not stop.is_set():
        try:
            assert fetch().endswith(b"served\n")
            count += 1
        except (OSError, AssertionError) as error:
            failures.append(repr(error))
    return count


@victims
def test_published_port_under_load(stack: Stack, killed: list[str]) -> None:
    import socket

    script = "echo served > /var/www/index.html; exec httpd -f -p 80 -h /var/www"
    name = stack.docker("run", "-d", "-p", "80", "busybox", "sh", "-c", script)
    wait_until(lambda: stack.call("exec", name, "wget", "-qO-", "http://127.0.0.1/").code == 0)
    address = stack.inspect(name)["NetworkSettings"]["Gateway"]
    port = int(stack.docker("port", name, "80/tcp").splitlines()[0].rpartition(":")[2])

    def fetch() -> bytes:
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            found = b""
            while data := connection.recv(4096):
                found += data
            return found

    stop = threading.Event()
    failures: list[str] = []
    counts: list[int] = []
    worker = threading.Thread(target=lambda: counts.append(load(fetch, stop, failures)))
    worker.start()
    try:
        stack.kill(*killed)
    finally:
        stop.set()
        worker.join()
    assert failures == []
    assert counts[0] > 10
    # The port is still ours, and is given back with the container.
    error = stack.fails("run", "-d", "-p", f"{port}:80", "busybox", "true", code=125)
    assert "port is already allocated" in error
    stack.remove_all()
    stack.docker("run", "--rm", "-p", f"{port}:80", "busybox", "true")


@victims
def test_loopback_publication_under_load(stack: Stack, killed: list[str]) -> None:
    import socket

    script = "echo served > /var/www/index.html; exec httpd -f -p 80 -h /var/www"
    name = stack.docker("run", "-d", "-p", "127.0.0.1::80", "busybox", "sh", "-c", script)
    wait_until(lambda: stack.call("exec", name, "wget", "-qO-", "http://127.0.0.1/").code == 0)
    port = int(stack.docker("port", name, "80/tcp").splitlines()[0].rpartition(":")[2])

    def fetch() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            found = b""
            while data := connection.recv(4096):
                found += data
            return found

    stop = threading.Event()
    failures: list[str] = []
    worker = threading.Thread(target=lambda: load(fetch, stop, failures))
    worker.start()
    try:
        stack.kill(*killed)
    finally:
        stop.set()
        worker.join()
    assert failures == []
    assert fetch().endswith(b"served\n")


@victims
def test_log_follow_can_go_on(stack: Stack, killed: list[str]) -> None:
    name = stack.docker("run", "-d", "busybox", "sh", "-c", "echo a; sleep 3; echo b")
    stack.kill(*killed)
    assert stack.docker("logs", "-f", name) == "a\nb"


@victims
def test_names_and_networks_are_found_again(stack: Stack, killed: list[str]) -> None:
    first = sleeper(stack, "--name", "first")
    address = stack.inspect("first")["NetworkSettings"]["IPAddress"]
    stack.kill(*killed)
    assert stack.inspect("first")["NetworkSettings"]["IPAddress"] == address
    error = stack.fails("run", "--name", "first", "busybox", "true", code=125)
    assert f'is already in use by container "{first}"' in error
    second = sleeper(stack)
    assert stack.inspect(second)["NetworkSettings"]["IPAddress"] != address
    assert stack.docker("exec", second, "ping", "-c1", "-W2", address)


def forkserver(stack: Stack) -> int:
    """The warm parent of shims: a child of containerd."""
    for line in subprocess.run(
        ["ps", "-wweo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]:
        pid, parent, command = line.split(None, 2)
        if int(parent) == stack.pid("containerd") and "forkserver" in command:
            return int(pid)
    raise AssertionError("no forkserver")


def test_forkserver(stack: Stack) -> None:
    name = sleeper(stack)
    victim = forkserver(stack)
    os.kill(victim, signal.SIGKILL)
    assert stack.docker("exec", name, "echo", "there") == "there"
    assert stack.docker("run", "--rm", "busybox", "echo", "next") == "next"
    assert forkserver(stack) != victim


@pytest.mark.parametrize("daemon", ["dockerd", "containerd"])
def test_killed_in_the_middle_of_starts(stack: Stack, daemon: str) -> None:
    """Whatever the moment: afterwards each container runs or does not, can be removed, and leaves nothing."""
    for round_ in range(6):
        processes = [
            stack.popen("run", "-d", "busybox", "sleep", _OWN_TIME, stdout=-1, stderr=-1)
            for _ in range(3)
        ]
        time.sleep(0.03 * (round_ + 1))
        stack.kill(daemon)
        for process in processes:
            process.communicate(timeout=30)
        for name in stack.docker("ps", "-aq").split():
            state = stack.inspect(name)["State"]
            assert state["Status"] in ("created", "running", "exited"), state
            assert (state["Pid"] > 0) == state["Running"]
            if state["Running"]:
                assert Path(f"/proc/{state['Pid']}").exists()
                assert stack.docker("exec", name, "echo", "ok") == "ok"
        stack.remove_all()
        assert [pid for pid in _sleepers() if pid] == []


# Nobody else on this machine sleeps for so long.
_OWN_TIME = str(1_000_000 + os.getpid())


def _sleepers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cmdline").read_text() == f"sleep\0{_OWN_TIME}\0":
                found.append(int(entry.name))
    return found


def test_many_kills_lose_nothing(stack: Stack) -> None:
    names = [sleeper(stack, "--name", f"keep{number}") for number in range(5)]
    pids = {name: stack.inspect(name)["State"]["Pid"] for name in names}
    for round_ in range(10):
        stack.kill(*VICTIMS[round_ % 3])
    for name, pid in pids.items():
        assert stack.inspect(name)["State"]["Pid"] == pid
        assert stack.docker("exec", name, "true") == ""
