"""A container changes hands inside its shim, from the worker that started it to the keeper, and nobody notices."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.stack import Stack, Terminal, wait_until


def keeper(stack: Stack, name: str) -> int:
    """The process that containerd knows as the container's shim."""
    container_id = stack.docker("inspect", "-f", "{{.Id}}", name)
    bundles = stack.root / "run/containerd/io.containerd.runtime.v2.task/moby"
    return int((bundles / container_id / "shim.pid").read_text())


def children(process_id: int) -> set[int]:
    path = Path(f"/proc/{process_id}/task/{process_id}/children")
    return {int(word) for word in path.read_text().split()}


def own_pid(stack: Stack, name: str) -> int:
    return int(stack.docker("inspect", "-f", "{{.State.Pid}}", name))


def handed_over(stack: Stack, name: str) -> int:
    """Wait until the keeper has the container; the keeper."""
    shim, process = keeper(stack, name), own_pid(stack, name)
    wait_until(lambda: children(shim) == {process}, what="the worker's end")
    return shim


def test_an_idle_container_is_the_keepers(stack: Stack) -> None:
    stack.docker("run", "-d", "--name", "idle", "busybox", "sleep", "999")
    handed_over(stack, "idle")
    assert stack.docker("exec", "idle", "echo", "x") == "x"
    assert stack.docker("top", "idle").count("sleep 999") == 1
    stack.docker("pause", "idle")
    stack.docker("unpause", "idle")
    assert stack.docker("stop", "-t", "0", "idle") == "idle"
    assert stack.inspect("idle")["State"]["ExitCode"] == 137
    stack.docker("start", "idle")
    handed_over(stack, "idle")
    stack.docker("rm", "-f", "idle")


def test_the_log_has_every_line_once(stack: Stack) -> None:
    """Without a pause in its output, and with lines that are cut in the middle by the change."""
    script = "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); printf 'line '; echo $n; done; printf torn; sleep 1; echo ' not'"
    stack.docker("run", "-d", "--name", "noisy", "busybox", "sh", "-c", f"{script}; sleep 999")
    handed_over(stack, "noisy")
    wait_until(lambda: stack.docker("logs", "-n", "1", "noisy") == "torn not")
    expected = [*(f"line {number}" for number in range(1, 3001)), "torn not"]
    assert stack.docker("logs", "noisy").splitlines() == expected


@pytest.mark.parametrize("code", [0, 5])
def test_exit_code_and_pending_wait(stack: Stack, code: int) -> None:
    script = f"trap 'exit {code}' TERM; while :; do sleep 0.05; done"
    stack.docker("run", "-d", "--name", "ending", "busybox", "sh", "-c", script)
    waiting = stack.popen("wait", "ending", stdout=-1)
    handed_over(stack, "ending")
    stack.docker("kill", "-s", "TERM", "ending")
    assert waiting.communicate(timeout=20)[0].decode() == f"{code}\n"
    assert stack.inspect("ending")["State"]["ExitCode"] == code


def test_terminal_and_input_stay(stack: Stack) -> None:
    stack.docker("run", "-dit", "--name", "shell", "busybox", "sh")
    handed_over(stack, "shell")
    terminal = Terminal(stack, "attach", "shell")
    terminal.send("echo st''ill here\n")
    terminal.expect("still here")
    terminal.send("exit 3\n")
    assert terminal.wait() == 3


def test_memory_kills_are_still_seen(stack: Stack) -> None:
    script = "read go; x=; while :; do x=$x$x$(head -c 1000000 /dev/zero | tr '\\0' a); done"
    words = ("--memory", "24m", "--memory-swap", "24m", "busybox", "sh", "-c", script)
    stack.docker("run", "-di", "--name", "hungry", *words)
    handed_over(stack, "hungry")
    assert stack.call("attach", "hungry", stdin=b"go\n").code == 137
    assert stack.inspect("hungry")["State"]["OOMKilled"]


def test_a_memory_kill_of_another_process_is_still_told(stack: Stack) -> None:
    """The container goes on, so that nothing but the kernel's notice can wake its keeper."""
    inner = "x=; while :; do x=$x$x$(head -c 1000000 /dev/zero | tr '\\0' a); done"
    script = 'sleep 1; sh -c "$GREEDY"; sleep 999'
    words = ("--memory", "24m", "--memory-swap", "24m", "-e", f"GREEDY={inner}")
    events = stack.popen(
        "events", "-f", "event=oom", "--format", "{{.Actor.Attributes.name}}", stdout=-1
    )
    assert events.stdout is not None
    stack.docker("run", "-d", "--name", "host", *words, "busybox", "sh", "-c", script)
    handed_over(stack, "host")
    assert events.stdout.readline() == b"host\n"
    events.kill()
    events.wait()
    assert stack.inspect("host")["State"]["Running"]


def test_a_client_that_is_attached_keeps_the_worker(stack: Stack) -> None:
    terminal = Terminal(stack, "run", "-it", "--name", "attached", "busybox", "sh")
    terminal.expect("#")
    # Calls whose quiet ends while the client is attached.
    shim = keeper(stack, "attached")
    time.sleep(0.6)
    assert children(shim) != {own_pid(stack, "attached")}
    terminal.send("exit 4\n")
    assert terminal.wait() == 4


@pytest.mark.parametrize("victim", ["worker", "keeper"])
def test_either_may_be_killed(stack: Stack, victim: str) -> None:
    """Attached, so that the worker still serves: without it the keeper goes on, without the keeper another shim does."""
    words = ("run", "-i", "--name", "victim", "busybox", "sh", "-c", "echo on; exec sleep 999")
    client = stack.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == b"on\n"
    # The shim sends its output before it answers dockerd: a kill in between would be one of a start.
    process = wait_until(lambda: own_pid(stack, "victim"), what="the start's answer")
    shim = keeper(stack, "victim")
    (worker,) = children(shim)
    os.kill(worker if victim == "worker" else shim, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), what="the worker's end")
    wait_until(lambda: stack.call("exec", "victim", "echo", "x").out == "x\n", what="a shim")
    assert own_pid(stack, "victim") == process
    stack.docker("kill", "-s", "KILL", "victim")
    # Its stream is gone, but it still waits for the end.
    client.communicate(timeout=20)
    assert client.returncode == 137
    stack.docker("rm", "victim")


def _listens(shim: int) -> bool:
    """Whether a process has a handler for the ends of its children."""
    caught = Path(f"/proc/{shim}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) >> (signal.SIGCHLD - 1) & 1)


def _parent_and_state(process: int) -> tuple[int, str]:
    state, parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    return int(parent), state


def _killed_before_it_listens(shim: int, process: int) -> bool:
    """Hold the keeper until it has the container and that has ended; False if it listens for ends already."""
    os.kill(shim, signal.SIGSTOP)
    try:
        if _listens(shim):
            return False
        wait_until(lambda: _parent_and_state(process)[0] == shim, what="the worker's end")
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: _parent_and_state(process)[1] == "Z", what="the container's end")
        return True
    finally:
        os.kill(shim, signal.SIGCONT)


def test_an_end_while_it_changes_hands_is_seen(stack: Stack) -> None:
    """The keeper finds the container dead that it was handed alive."""
    for _ in range(10):
        stack.docker("run", "-d", "--name", "between", "busybox", "sleep", "999")
        if _killed_before_it_listens(keeper(stack, "between"), own_pid(stack, "between")):
            break
        stack.docker("rm", "-f", "between")
    assert stack.docker("wait", "between") == "137"
