"""What needs a terminal or a signal: detach keys, resizing, Ctrl-C, signals to the client."""

from __future__ import annotations

import signal
import subprocess

import pytest
from tests.support.cli import Bench
from tests.support.stack import Terminal, wait_until


def _running(bench: Bench, name: str) -> bool:
    return bench.engine.docker("inspect", "-f", "{{.State.Running}}", name) == "true"


def test_run_is_left_by_keys_and_joined_again(table: Bench) -> None:
    shell = Terminal(table.engine, "run", "-it", "--name", "tt", "busybox", "sh")
    shell.expect("/ #")
    shell.send("echo fo''und\n")
    shell.expect("found")
    shell.send("\x10\x11")
    assert shell.wait() == 0
    assert _running(table, "tt")
    again = Terminal(table.engine, "attach", "--detach-keys", "ctrl-x,x", "tt")
    again.send("\n")
    again.expect("/ #")
    again.send("echo ag''ain\n")
    again.expect("again")
    again.send("\x18x")
    again.expect("read escape sequence")
    assert again.wait() == 1
    last = Terminal(table.engine, "container", "attach", "tt")
    last.send("exit 4\n")
    assert last.wait() == 4


def test_exec_is_left_by_keys(table: Bench) -> None:
    shell = Terminal(table.engine, "exec", "-it", "--detach-keys", "ctrl-a", "box", "sh")
    shell.expect("/ #")
    shell.send("\x01")
    shell.expect("read escape sequence")
    assert shell.wait() == 1
    assert _running(table, "box")


def test_start_attaches_a_terminal(table: Bench) -> None:
    table.engine.docker("create", "-it", "--name", "st", "busybox", "sh")
    shell = Terminal(table.engine, "start", "-ai", "st")
    shell.expect("/ #")
    shell.send("exit 5\n")
    assert shell.wait() == 5


def test_an_interrupt_from_the_terminal_reaches_the_process(table: Bench) -> None:
    script = "trap 'echo caught; exit 6' INT; echo listens; while :; do sleep 0.1; done"
    shell = Terminal(table.engine, "run", "-it", "--rm", "busybox", "sh", "-c", script)
    shell.expect("listens")
    shell.send("\x03")
    shell.expect("caught")
    assert shell.wait() == 6


@pytest.mark.parametrize("verb", ["run", "attach"])
def test_signals_to_the_client_are_passed_on(table: Bench, verb: str) -> None:
    script = "trap 'echo caught; exit 6' TERM; echo listens; while :; do sleep 0.1; done"
    command = ("--name", "sig", "busybox", "sh", "-c", script)
    words: tuple[str, ...] = ("run", *command)
    if verb == "attach":
        table.engine.docker("run", "-d", *command)
        words = ("attach", "sig")
    client = table.engine.popen(*words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    wait_until(lambda: "listens" in table.engine.call("logs", "sig").out)
    if verb == "attach":
        wait_until(lambda: "attach" in _events(table), what="the attachment")
    client.send_signal(signal.SIGTERM)
    output, _ = client.communicate(timeout=30)
    assert b"caught" in output
    assert client.returncode == 6


def _events(bench: Bench) -> str:
    wanted = "--since 1m --until $(date +%s.%N) -f container=sig --format '{{.Action}}'"
    return bench.shell(f"docker events {wanted}").stdout


def test_signals_stay_with_the_client_on_request(table: Bench) -> None:
    words = ("run", "--sig-proxy=false", "--name", "sig", "busybox", "sleep", "60")
    client = table.engine.popen(*words, stdin=subprocess.DEVNULL)
    wait_until(lambda: table.engine.call("exec", "sig", "true").code == 0, what="its start")
    client.send_signal(signal.SIGTERM)
    table.engine.docker("exec", "sig", "true")
    assert _running(table, "sig")
    table.engine.docker("kill", "sig")
    assert client.wait(30) != 0


def test_stats_and_logs_and_events_stream_on(table: Bench) -> None:
    script = "while :; do echo tick; sleep 0.1; done"
    table.engine.docker("run", "-d", "--name", "ticks", "busybox", "sh", "-c", script)
    for words, expected in (
        (("logs", "-f", "ticks"), b"tick"),
        (("stats", "ticks"), b"ticks"),
        (("events", "--since", "1m"), b"container start"),
    ):
        client = table.engine.popen(*words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert client.stdout is not None
        seen = b""
        while expected not in seen:
            part = client.stdout.read1(4096)
            assert part, (words, seen)
            seen += part
        client.kill()
        client.communicate(timeout=30)
