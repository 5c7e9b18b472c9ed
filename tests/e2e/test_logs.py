"""`docker logs`, with the real CLI."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.restart import victims
from tests.support.stack import Stack, wait_until


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


# -- other drivers, and options


def finished(stack: Stack, *words: str) -> str:
    """A container that has run to its end."""
    name = stack.docker("run", "-d", *words)
    stack.docker("wait", name)
    return name


def test_driver_local(stack: Stack) -> None:
    words = ("--log-driver", "local", "--label", "app=web", "--log-opt", "labels=app")
    script = (
        "echo out; echo err >&2; sleep 0.1; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end"
    )
    name = finished(stack, *words, "busybox", "sh", "-c", script)
    done = stack.call("logs", name)
    assert done.lines == ["out", "x" * 40000, "end"]
    assert done.err == "err\n"
    assert stack.call("logs", "-n", "1", name).out == "end"
    assert stack.call("logs", "--details", "-n", "1", name).out == "app=web end"
    moments = [line.split()[0] for line in stack.docker("logs", "-t", name).splitlines()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", moments[0])
    assert stack.docker("logs", "--until", moments[0], name) == "out"
    # As in Docker: where the files are is nobody's business.
    assert stack.inspect(name)["LogPath"] == ""


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_logs_go_on_while_dockerd_is_killed_and_files_rotate(stack: Stack, driver: str) -> None:
    words = ("--log-driver", driver, "--log-opt", "max-size=20k", "--log-opt", "max-file=50")
    script = "for n in $(seq 1 3000); do echo line $n; done; read x; for n in $(seq 3001 6000); do echo line $n; done"
    name = stack.docker(
        "run", "-di", *words, "--log-opt", "compress=true", "busybox", "sh", "-c", script
    )
    wait_until(lambda: stack.docker("logs", "-n", "1", name) == "line 3000")
    stack.kill("dockerd")
    stack.call("attach", name, stdin=b"go\n")
    stack.docker("wait", name)
    assert stack.docker("logs", name).splitlines() == [f"line {n}" for n in range(1, 6001)]
    assert stack.docker("logs", "-n", "4500", name).splitlines()[0] == "line 1501"
    directory = stack.root / "docker/containers" / name
    assert list(directory.rglob("*.gz"))


def test_attributes_and_tag(stack: Stack) -> None:
    words = ("--name", "tagged", "--label", "a.x=1", "-e", "OTHER=2", "-e", "B=3 4")
    options = ("labels-regex=^a", "env=B", "tag={{.Name}}-{{.ImageName}}")
    given = [word for option in options for word in ("--log-opt", option)]
    finished(stack, *words, *given, "busybox", "echo", "hello")
    assert stack.docker("logs", "--details", "tagged") == "B=3+4,a.x=1,tag=tagged-busybox hello"
    line = stack.docker("logs", "--details", "-t", "tagged")
    assert re.fullmatch(r"\S+Z B=3\+4,a\.x=1,tag=tagged-busybox hello", line)


def test_syslog_with_a_copy_to_read(stack: Stack) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        address = f"syslog-address=udp://127.0.0.1:{server.getsockname()[1]}"
        words = (
            "--log-driver",
            "syslog",
            "--log-opt",
            address,
            "--log-opt",
            "syslog-facility=local0",
        )
        name = finished(stack, *words, "--log-opt", "tag=it", "busybox", "echo", "hello")
        assert re.fullmatch(rb"<134>\S+ [ \d]\d [\d:]+ it\[\d+\]: hello\n", server.recv(1000))
        assert stack.docker("logs", name) == "hello"
        words += ("--log-opt", "cache-disabled=true")
        name = finished(stack, *words, "busybox", "echo", "again")
        assert b"again" in server.recv(1000)
        error = stack.fails("logs", name)
        assert "configured logging driver does not support reading" in error


def test_syslog_over_tcp_survives_both_daemons(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        address = f"syslog-address=tcp://127.0.0.1:{server.getsockname()[1]}"
        words = ("--log-driver", "syslog", "--log-opt", address, "busybox", "sh", "-c")
        name = stack.docker("run", "-di", *words, "read x; echo $x; read x; echo $x")
        received = bytearray()

        def reading() -> None:
            # One connection of the process that starts the container, one of that which watches over it.
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=taking, args=(connection,)).start()

        def taking(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(4096):
                    received.extend(data)

        thread = threading.Thread(target=reading)
        thread.start()
        with stack.popen("attach", name, stdin=subprocess.PIPE) as client:
            assert client.stdin is not None
            client.stdin.write(b"one\n")
            client.stdin.flush()
            wait_until(lambda: b": one\n" in received)
            client.kill()
        stack.kill("dockerd", "containerd")
        stack.call("attach", name, stdin=b"two\n")
        stack.docker("wait", name)
        wait_until(lambda: b": two\n" in received)
        assert stack.docker("logs", name).splitlines() == ["one", "two"]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    stack.docker("rm", "-f", name)
    error = stack.fails(
        "run", "--rm", "--log-driver", "syslog", "--log-opt", address, "busybox", "true", code=125
    )
    assert "failed to initialize logging driver: dial tcp 127.0.0.1:" in error
    assert "connect: connection refused" in error


@pytest.mark.parametrize("driver", ["json-file", "local", "syslog"])
def test_logs_go_on_when_their_shim_is_killed(stack: Stack, driver: str) -> None:
    script = "echo before; while [ ! -e /go ]; do sleep 0.05; done; echo after"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        words = ["--log-driver", driver]
        if driver == "syslog":
            words += ["--log-opt", f"syslog-address=udp://127.0.0.1:{server.getsockname()[1]}"]
        name = stack.docker("run", "-d", *words, "busybox", "sh", "-c", script)
        wait_until(lambda: stack.docker("logs", name) == "before")
        os.kill(victims.shim(stack, name), signal.SIGKILL)
        wait_until(lambda: stack.call("exec", name, "touch", "/go").code == 0)
        stack.docker("wait", name)
        wait_until(lambda: stack.docker("logs", name).splitlines() == ["before", "after"])
        if driver == "syslog":
            assert server.recv(1000).endswith(b"before\n")
            assert server.recv(1000).endswith(b"after\n")


def test_drivers_that_cannot_be_had(stack: Stack) -> None:
    if not Path("/run/systemd/journal/socket").exists():
        error = stack.fails("run", "--rm", "--log-driver", "journald", "busybox", "true", code=125)
        assert "failed to initialize logging driver: journald is not enabled on this host" in error
    words = ("--log-opt", "tag={{.Nope}}", "busybox", "true")
    error = stack.fails("run", "--rm", *words, code=125)
    assert "failed to initialize logging driver: template: log-tag:1: can't evaluate" in error
    error = stack.fails("run", "--rm", "--log-opt", "x=y", "busybox", "true", code=125)
    assert "unknown log opt 'x' for json-file log driver" in error
    assert "json-file local" in stack.docker("info", "-f", '{{join .Plugins.Log " "}}')
    assert stack.docker("ps", "-aq") == ""
