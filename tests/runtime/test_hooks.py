"""`hooks`: when they run, where, with what, and what their failure means."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.conftest import Box, alive

OUTSIDE = ("prestart", "createRuntime", "poststart", "poststop")
INSIDE = ("createContainer", "startContainer")


def shell(script: str, **more: Any) -> dict[str, Any]:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **more}


def test_every_stage_runs_in_its_order(box: Box) -> None:
    log = box.directory / "hooks.log"
    box.config["hooks"] = {name: [shell(f"echo {name} >>{log}")] for name in OUTSIDE}
    # This one still sees the host's files; the last one those of the container.
    box.config["hooks"]["createContainer"] = [
        shell(f"echo createContainer >>{log}; pwd >{log}.cwd")
    ]
    box.config["hooks"]["startContainer"] = [shell("echo startContainer >/tmp/inside")]
    assert box.run("cat", "/tmp/inside").out == "startContainer\n"
    assert log.read_text().split() == [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
    ]
    assert Path(f"{log}.cwd").read_text().strip() == str(box.rootfs)


def test_hooks_read_the_state(box: Box) -> None:
    states = box.directory
    box.config["annotations"] = {"a": "b"}
    box.config["hooks"] = {name: [shell(f"cat >{states}/{name}.json")] for name in OUTSIDE}
    assert box.run("true").code == 0
    for name, expected in zip(OUTSIDE, ("creating", "creating", "running", "stopped"), strict=True):
        state = json.loads((states / f"{name}.json").read_text())
        assert (state["id"], state["status"], state["annotations"]) == (
            box.name,
            expected,
            {"a": "b"},
        )
        assert state["bundle"] == str(box.bundle)
        assert (state["pid"] > 0) == (name != "poststop")


def test_the_environment_is_given_or_inherited(box: Box) -> None:
    log = box.directory / "env"
    box.config["hooks"] = {
        "createRuntime": [
            shell(f"echo $MARK:$OWN >>{log}"),
            shell(f"echo $MARK:$OWN >>{log}", env=["OWN=1", "PATH=/bin"]),
        ]
    }
    box.process["args"] = ["true"]
    box.write()
    result = box.call("run", "-b", str(box.bundle), box.name, env={**os.environ, "MARK": "host"})
    assert result.code == 0, result
    assert log.read_text() == "host:\n:1\n"


@pytest.mark.parametrize("stage", OUTSIDE + INSIDE)
def test_every_stage_has_the_words_of_its_hooks(box: Box, stage: str) -> None:
    log = Path("/tmp/said") if stage == "startContainer" else box.directory / "said"
    script = {
        "path": "/bin/sh",
        "args": ["sh", "-c", f"echo $0 $OWN $MARK >>{log}", "argument"],
        "env": [f"OWN={stage}", "PATH=/bin"],
    }
    box.config["hooks"] = {stage: [script]}
    box.process["args"] = ["true"]
    box.write()
    result = box.call(
        "run", "-b", str(box.bundle), box.name, env={**os.environ, "MARK": "of the host"}
    )
    assert result.code == 0, result
    path = box.rootfs / "tmp/said" if stage == "startContainer" else log
    assert path.read_text() == f"argument {stage}\n"


def test_a_long_state_need_not_be_read(box: Box) -> None:
    """It is longer than a pipe holds."""
    box.config["annotations"] = {f"org.example.{each}": "x" * 60_000 for each in range(4)}
    log = box.directory / "length"
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/true"}, shell(f"wc -c >{log}")]}
    assert box.run("true").code == 0
    assert int(log.read_text()) > 240_000


@pytest.mark.parametrize("stage", ["startContainer", "poststart", "poststop"])
def test_late_hooks_have_a_time_limit(box: Box, stage: str) -> None:
    box.config["hooks"] = {stage: [shell("exec sleep 100", timeout=1)]}
    box.create("sleep", "100")
    started = box.call("start", box.name)
    if stage == "poststop":
        assert started.code == 0, started
        box.ok("delete", "--force", box.name)
        assert "timed out" in (box.directory / "log.json").read_text()
    elif stage == "poststart":
        assert (started.code, "timed out" in started.err) == (1, True), started
    else:
        # Told by the container itself, whoever has started it.
        box.wait()
        assert "timed out" in box.output() + started.err


@pytest.mark.parametrize("stage", ["prestart", "createRuntime", "createContainer"])
@pytest.mark.parametrize(
    ("hook", "words"),
    [
        (shell("exit 3"), "exit status: 3"),
        (shell("sleep 100", timeout=1), "timed out"),
        ({"path": "/no/such/hook"}, "/no/such/hook"),
        ({"path": "relative"}, "not absolute"),
    ],
)
def test_a_failing_hook_undoes_the_creation(
    box: Box, stage: str, hook: dict[str, Any], words: str
) -> None:
    box.config["hooks"] = {stage: [hook]}
    box.process["args"] = ["true"]
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert words in result.err
    assert f"of {stage}" in result.err
    assert list(box.root.iterdir()) == []
    assert not box.cgroup("memory").exists()


def test_a_failing_poststart_hook_stops_the_container(box: Box) -> None:
    box.config["hooks"] = {"poststart": [shell("exit 1")]}
    box.create("sleep", "100")
    pid = box.pid
    assert "poststart" in box.call("start", box.name).err
    box.wait()
    assert not alive(pid)


def test_a_failing_poststop_hook_is_logged_and_the_others_run(box: Box) -> None:
    log = box.directory / "ran"
    box.config["hooks"] = {"poststop": [shell("exit 1"), shell(f"touch {log}")]}
    box.create("true")
    box.ok("delete", "--force", box.name)
    assert log.exists()
    lines = (box.directory / "log.json").read_text().splitlines()
    assert any(json.loads(line)["level"] == "warning" for line in lines)


def test_a_failing_start_hook_is_told_by_the_container(box: Box) -> None:
    box.config["hooks"] = {"startContainer": [shell("exit 7")]}
    result = box.run("true")
    assert result.code != 0
    assert "error running hook" in result.err


def test_start_hooks_run_under_the_filter(box: Box) -> None:
    box.process["noNewPrivileges"] = True
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    box.config["hooks"] = {"startContainer": [shell("exec mkdir /tmp/x")]}
    result = box.run("true")
    assert "bad system call" in result.err


def test_output_goes_where_annotations_say(box: Box) -> None:
    out, err = box.directory / "hook.out", box.directory / "hook.err"
    box.config["annotations"] = {
        "run.oci.hooks.stdout": str(out),
        "run.oci.hooks.stderr": str(err),
    }
    box.config["hooks"] = {"createRuntime": [shell("echo said; echo complained >&2")]}
    assert box.run("true").out == ""
    assert (out.read_text(), err.read_text()) == ("said\n", "complained\n")
