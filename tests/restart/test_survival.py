"""`kill -9` of daemons while containers run: nothing that a user sees may be disturbed.

Each test kills dockerd, containerd, both, or the forkserver, at a moment that matters.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.stack import Stack, wait_until

VICTIMS = [["dockerd"], ["containerd"], ["dockerd", "containerd"]]
victims = pytest.mark.parametrize("killed", VICTIMS, ids="+".join)


def sleeper(stack: Stack, *flags: str) -> str:
    return stack.docker("run", "-d", *flags, "busybox", "sleep", "999")


@victims
def test_paused_container(stack: Stack, killed: list[str]) -> None:
    name = sleeper(stack)
    stack.docker("pause", name)
    stack.kill(*killed)
    assert stack.inspect(name)["State"]["Status"] == "paused"
    stack.docker("unpause", name)
    assert stack.docker("exec", name, "echo", "awake") == "awake"


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


def test_many_kills_lose_nothing(stack: Stack) -> None:
    names = [sleeper(stack, "--name", f"keep{number}") for number in range(5)]
    pids = {name: stack.inspect(name)["State"]["Pid"] for name in names}
    for round_ in range(10):
        stack.kill(*VICTIMS[round_ % 3])
    for name, pid in pids.items():
        assert stack.inspect(name)["State"]["Pid"] == pid
        assert stack.docker("exec", name, "true") == ""
