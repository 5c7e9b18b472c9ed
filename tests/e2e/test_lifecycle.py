"""A container's life after it was created, with the real CLI."""

from __future__ import annotations

import json
import signal
import time

from tests.support.stack import Stack, Terminal, wait_until


def sleeper(stack: Stack, *flags: str) -> str:
    return stack.docker("run", "-d", *flags, "busybox", "sleep", "999")


def test_create_start_stop_remove(stack: Stack) -> None:
    name = stack.docker(
        "create", "--name", "one", "busybox", "sh", "-c", "trap 'exit 4' TERM; sleep 99 & wait"
    )
    assert stack.inspect("one")["State"]["Status"] == "created"
    stack.docker("start", "one")
    state = stack.inspect(name)["State"]
    assert (state["Status"], state["Running"]) == ("running", True)
    assert state["Pid"] > 0
    stack.docker("stop", "one")
    state = stack.inspect("one")["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 4, 0)
    stack.docker("rm", "one")
    assert "No such object: one" in stack.fails("inspect", "one")


def test_stop_kills_after_its_patience(stack: Stack) -> None:
    name = stack.docker("run", "-d", "busybox", "sh", "-c", "trap '' TERM; sleep 99")
    begun = time.monotonic()
    stack.docker("stop", "-t", "1", name)
    assert time.monotonic() - begun < 8
    assert stack.inspect(name)["State"]["ExitCode"] == 137


def test_kill_sends_any_signal(stack: Stack) -> None:
    script = "trap 'echo got' USR1; echo ready; while :; do sleep 0.05; done"
    name = stack.docker("run", "-d", "busybox", "sh", "-c", script)
    wait_until(lambda: stack.docker("logs", name) == "ready")
    stack.docker("kill", "-s", "USR1", name)
    wait_until(lambda: stack.docker("logs", name) == "ready\ngot")
    stack.docker("kill", name)
    assert stack.docker("wait", name) == "137"
    assert f"container {name} is not running" in stack.fails("kill", name)


def test_restart_gives_a_new_process(stack: Stack) -> None:
    name = sleeper(stack)
    before = stack.inspect(name)["State"]["Pid"]
    stack.docker("restart", "-t", "0", name)
    after = stack.inspect(name)["State"]
    assert after["Running"]
    assert after["Pid"] != before


def test_pause_and_unpause(stack: Stack) -> None:
    name = sleeper(stack)
    stack.docker("pause", name)
    assert stack.inspect(name)["State"]["Status"] == "paused"
    assert "is paused, unpause the container before exec" in stack.fails("exec", name, "true")
    assert "(Paused)" in stack.docker("ps")
    stack.docker("unpause", name)
    assert stack.docker("exec", name, "echo", "again") == "again"


def test_filters_and_formats(stack: Stack) -> None:
    running = sleeper(stack, "--name", "runs", "--label", "kind=a")
    stack.docker("run", "--name", "ended", "--label", "kind=b", "busybox", "true")

    def names(*filters: str) -> list[str]:
        words = [word for each in filters for word in ("--filter", each)]
        return sorted(stack.docker("ps", "-a", *words, "--format", "{{.Names}}").split())

    assert names() == ["ended", "runs"]
    assert names("status=running") == ["runs"]
    assert names("exited=0") == ["ended"]
    assert names("label=kind=a") == ["runs"]
    assert names("label=kind") == ["ended", "runs"]
    assert names("name=end") == ["ended"]
    assert names(f"id={running[:12]}") == ["runs"]
    assert names("ancestor=busybox") == ["ended", "runs"]
    assert stack.docker("ps", "-q", "--no-trunc") == running
    assert (
        stack.docker("inspect", "--format", "{{.Config.Labels.kind}} {{.Path}}", "runs")
        == "a sleep"
    )
    assert "nvalid filter" in stack.fails("ps", "--filter", "nonsense=1")


def test_rename_top_resize(stack: Stack) -> None:
    name = sleeper(stack, "--name", "old", "-t")
    stack.docker("rename", "old", "new")
    assert stack.inspect(name)["Name"] == "/new"
    top = stack.docker("top", "new").splitlines()
    assert "CMD" in top[0]
    assert "sleep 999" in top[1]
    assert stack.request("POST", "/containers/new/resize?h=33&w=99")[0] == 200
    assert stack.docker("exec", "new", "sh", "-c", "stty size < /proc/1/fd/0") == "33 99"


def test_wait_reports_the_exit(stack: Stack) -> None:
    name = stack.docker("run", "-d", "busybox", "sh", "-c", "sleep 0.3; exit 9")
    assert stack.docker("wait", name) == "9"
    assert stack.docker("wait", name) == "9"


def test_prune_removes_what_ended(stack: Stack) -> None:
    stack.docker("run", "--name", "ended", "busybox", "true")
    kept = sleeper(stack)
    assert "Total reclaimed space" in stack.docker("container", "prune", "-f")
    assert stack.docker("ps", "-aq", "--no-trunc") == kept


def test_running_container_is_not_removed_without_force(stack: Stack) -> None:
    name = sleeper(stack)
    error = stack.fails("rm", name)
    assert "container is running: stop the container before removing or force remove" in error
    assert stack.inspect(name)["State"]["Running"]


def test_events_follow_a_container(stack: Stack) -> None:
    since = str(time.time())
    stack.docker("run", "--rm", "--name", "seen", "busybox", "true")
    words = ("--since", since, "--until", str(time.time() + 0.5), "--format", "{{json .}}")
    events = [json.loads(line) for line in stack.docker("events", *words).splitlines()]
    actions = [event["Action"] for event in events if event["Type"] == "container"]
    assert actions == ["create", "attach", "start", "die", "destroy"]
    assert events[0]["Actor"]["Attributes"]["name"] == "seen"
    assert [event["Action"] for event in events if event["Type"] == "network"] == [
        "connect",
        "disconnect",
    ]


def test_exec(stack: Stack) -> None:
    name = sleeper(stack, "-e", "A=1")
    script = "echo $A$B; pwd; id -u; exit 6"
    done = stack.call("exec", "-e", "B=2", "-w", "/tmp", "-u", "1000", name, "sh", "-c", script)
    assert (done.code, done.lines) == (6, ["12", "/tmp", "1000"])
    assert 'exec: "nope": executable file not found' in stack.call("exec", name, "nope").out
    assert stack.call("exec", name, "nope").code == 127
    stack.docker("exec", "-d", name, "touch", "/made")
    wait_until(lambda: stack.call("exec", name, "test", "-e", "/made").code == 0)


def test_exec_input_comes_back_byte_identical(stack: Stack) -> None:
    import os

    name = sleeper(stack)
    data = os.urandom(100_000_000)
    done = stack.call("exec", "-i", name, "cat", stdin=data, binary=True)
    assert done.returncode == 0
    assert done.stdout == data


def test_exec_terminal(stack: Stack) -> None:
    terminal = Terminal(stack, "exec", "-it", sleeper(stack), "sh")
    terminal.expect("#")
    terminal.send("tty; exit 3\n")
    terminal.expect("/dev/pts/")
    assert terminal.wait() == 3


def test_exec_in_a_stopped_container(stack: Stack) -> None:
    name = stack.docker("create", "busybox", "true")
    assert "is not running" in stack.fails("exec", name, "true")


def test_signal_ends_run_with_its_number(stack: Stack) -> None:
    script = "trap 'exit 21' INT; echo ready; while :; do sleep 0.05; done"
    process = stack.popen("run", "--rm", "busybox", "sh", "-c", script, stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 21
    process.stdout.close()


def test_dockerd_follows_containerds_events(stack: Stack) -> None:
    """A refused subscription would be survived by asking again and again, and nobody would notice."""
    log = stack.root / "log" / "dockerd.log"
    before = len(log.read_text())
    # It subscribes again; what an earlier test has done to containerd stands in front.
    stack.kill("dockerd")
    assert stack.docker("run", "--rm", "busybox", "echo", "x") == "x"
    assert "containerd is away" not in log.read_text()[before:]
