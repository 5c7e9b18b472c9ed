"""`docker logs`, with the real CLI."""

from __future__ import annotations

import re
import time

from tests.support.stack import Stack


def test_streams_tail_and_timestamps(stack: Stack) -> None:
    # Two streams are two pipes: only what is apart in time has an order.
    script = "for n in 1 2 3; do echo out$n; done; sleep 0.3; for n in 1 2 3; do echo err$n >&2; done; sleep 0.3; printf last"
    name = stack.docker("run", "-d", "busybox", "sh", "-c", script)
    stack.docker("wait", name)
    done = stack.call("logs", name)
    assert done.lines == ["out1", "out2", "out3", "last"]
    assert done.err.splitlines() == ["err1", "err2", "err3"]
    tail = stack.call("logs", "-n", "2", name)
    assert tail.out == "last"
    assert tail.err == "err3\n"
    line = stack.call("logs", "-t", name).lines[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z out1", line)


def test_since_and_until(stack: Stack) -> None:
    name = stack.docker("run", "-d", "busybox", "sh", "-c", "echo early; sleep 1; echo late")
    stack.docker("wait", name)
    times = [line.split()[0] for line in stack.docker("logs", "-t", name).splitlines()]
    assert stack.docker("logs", "--since", times[1], name) == "late"
    assert stack.docker("logs", "--until", times[0], name) == "early"


def test_follow_ends_with_the_container(stack: Stack) -> None:
    script = "for n in $(seq 1 2000); do echo line $n; done; sleep 0.5; echo end"
    name = stack.docker("run", "-d", "busybox", "sh", "-c", script)
    begun = time.monotonic()
    lines = stack.docker("logs", "-f", name).splitlines()
    assert lines == [f"line {number}" for number in range(1, 2001)] + ["end"]
    assert time.monotonic() - begun < 20


def test_long_lines_and_bytes(stack: Stack) -> None:
    script = "head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\377\\376\\n'"
    name = stack.docker("run", "-d", "busybox", "sh", "-c", script)
    stack.docker("wait", name)
    done = stack.call("logs", name, binary=True)
    first, second, rest = done.stdout.split(b"\n")
    assert first == b"x" * 100000
    # As Docker's json-file: what is not UTF-8 becomes the replacement character.
    assert second.decode() == "\ufffd\ufffd"
    assert rest == b""


def test_rotation(stack: Stack) -> None:
    options = ("--log-opt", "max-size=20k", "--log-opt", "max-file=2")
    script = "for n in $(seq 1 2000); do echo line number $n; done"
    name = stack.docker("run", "-d", *options, "busybox", "sh", "-c", script)
    stack.docker("wait", name)
    lines = stack.docker("logs", name).splitlines()
    assert lines[-1] == "line number 2000"
    assert 100 < len(lines) < 1200


def test_no_logs_with_driver_none(stack: Stack) -> None:
    name = stack.docker("run", "-d", "--log-driver", "none", "busybox", "echo", "x")
    stack.docker("wait", name)
    error = stack.fails("logs", name)
    assert "configured logging driver does not support reading" in error


def test_unknown_driver_is_refused(stack: Stack) -> None:
    error = stack.fails("run", "--log-driver", "nonsense", "busybox", "true", code=125)
    assert "logger: no log driver named 'nonsense' is registered" in error
