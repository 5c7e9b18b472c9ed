"""create, start, state, kill, delete, run, list, ps, pause, update."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.runtime.conftest import PARENT, Box, alive


def test_container_passes_through_its_states(box: Box) -> None:
    pid_file = box.directory / "pid"
    os.mkfifo(box.rootfs / "ran")
    script = "echo ran; echo >/ran; exec sleep 100"
    box.create("sh", "-c", script, words=("--pid-file", str(pid_file)))
    state = box.state()
    assert state["status"] == "created"
    assert state["id"] == box.name
    assert state["bundle"] == str(box.bundle)
    assert int(pid_file.read_text()) == state["pid"]
    assert box.output() == ""
    box.ok("start", box.name)
    assert box.state()["status"] == "running"
    assert (box.rootfs / "ran").read_text() == "\n"
    box.ok("kill", box.name, "KILL")
    box.wait()
    assert box.state()["status"] == "stopped"
    assert "ran" in box.output()
    box.ok("delete", box.name)
    assert box.call("state", box.name).code != 0
    assert list(box.root.iterdir()) == []
    assert not box.cgroup("memory").exists()


def test_run_gives_output_and_exit_code(box: Box) -> None:
    result = box.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")


def test_run_reports_a_signal_as_128_and_its_number(box: Box) -> None:
    del box.config["hostname"]
    box.linux["namespaces"] = [{"type": "mount"}]
    assert box.run("sh", "-c", "kill -9 $$").code == 137


def test_run_forwards_stdin(box: Box) -> None:
    data = os.urandom(3_000_000)
    argv_result = box.run("wc", "-c", stdin=data)
    assert argv_result.lines == ["3000000"]


def test_run_forwards_signals(box: Box) -> None:
    box.process["args"] = [
        "sh",
        "-c",
        "trap 'exit 9' USR1; echo ready; while :; do sleep 0.1; done",
    ]
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.wait(10) == 9


def test_run_detached_returns_at_once(box: Box) -> None:
    box.process["args"] = ["sleep", "100"]
    box.write()
    with (box.directory / "out").open("wb") as out:
        argv = box.argv("run", "-d", "--bundle", str(box.bundle), box.name)
        subprocess.run(argv, stdout=out, stderr=out, timeout=10, check=True)
    assert box.state()["status"] == "running"


def test_default_signal_is_term(box: Box) -> None:
    box.start("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
    box.exec("true")
    box.ok("kill", box.name)
    box.wait()
    assert box.state()["status"] == "stopped"


@pytest.mark.parametrize("word", ["KILL", "SIGKILL", "kill", "9"])
def test_signal_names(box: Box, word: str) -> None:
    box.start("sleep", "100")
    box.ok("kill", box.name, word)
    box.wait()


def test_unknown_signal_is_refused(box: Box) -> None:
    box.start("sleep", "100")
    assert box.call("kill", box.name, "NOSUCH").code != 0
    assert box.state()["status"] == "running"


def test_kill_of_a_stopped_container_says_not_running(box: Box) -> None:
    box.start("true")
    box.wait()
    result = box.call("kill", box.name, "TERM")
    assert result.code != 0
    assert "not running" in result.err
    assert box.kind() == "not_running"
    box.ok("kill", "--all", box.name, "KILL")


def test_kill_all_reaches_every_process(box: Box) -> None:
    box.linux["namespaces"] = [each for each in box.linux["namespaces"] if each["type"] != "pid"]
    box.start("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    box.exec("true")
    pids = json.loads(box.ok("ps", "-f", "json", box.name).out)
    assert len(pids) == 3
    box.ok("kill", "--all", box.name, "KILL")
    box.wait()


def test_delete_of_a_running_container_needs_force(box: Box) -> None:
    box.start("sleep", "100")
    assert box.call("delete", box.name).code != 0
    assert box.state()["status"] == "running"
    box.ok("delete", "--force", box.name)
    box.ok("delete", "--force", box.name)
    assert box.call("delete", box.name).code != 0
    assert box.kind() == "not_found"


def test_delete_kills_what_a_shared_pid_namespace_left(box: Box) -> None:
    box.linux["namespaces"] = [each for each in box.linux["namespaces"] if each["type"] != "pid"]
    box.start("sh", "-c", "sleep 1000 & echo $!; exit")
    box.wait()
    box.ok("delete", box.name)
    assert not alive(int(box.output()))


def test_a_created_container_can_be_killed_and_deleted(box: Box) -> None:
    box.create("true")
    box.ok("kill", box.name, "KILL")
    box.wait()
    assert box.call("start", box.name).code != 0
    box.ok("delete", box.name)


def test_start_twice_is_refused(box: Box) -> None:
    box.start("sleep", "100")
    assert box.call("start", box.name).code != 0
    assert box.kind() == "not_running"
    assert box.state()["status"] == "running"


def test_same_id_is_refused(box: Box) -> None:
    box.create("true")
    assert box.call("create", "--bundle", str(box.bundle), box.name).code != 0
    assert box.kind() == "already_exists"
    assert box.state()["status"] == "created"


def test_only_one_of_many_simultaneous_starts_wins(box: Box) -> None:
    box.create("sleep", "100")
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(box.call("start", box.name).code))
        for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(map(bool, codes)) == [False] + [True] * 7


def test_only_one_of_many_simultaneous_creates_wins(box: Box) -> None:
    box.process["args"] = ["sleep", "100"]
    box.write()
    argv = box.argv("create", "--bundle", str(box.bundle), box.name)
    with (box.directory / "out").open("wb") as out:
        racing = [
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            for _ in range(6)
        ]
        assert sorted(bool(each.wait(20)) for each in racing) == [False] + [True] * 5
    assert box.state()["status"] == "created"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "../x", "é"])
def test_bad_ids_are_refused(box: Box, name: str) -> None:
    box.write()
    assert box.call("create", "--bundle", str(box.bundle), name).code != 0
    assert not box.root.exists() or list(box.root.iterdir()) == []


def test_list_shows_containers(box: Box) -> None:
    box.create("sleep", "100")
    (entry,) = json.loads(box.ok("list", "--format", "json").out)
    assert (entry["id"], entry["status"], entry["pid"]) == (box.name, "created", box.pid)
    assert box.ok("list", "-q").out == f"{box.name}\n"
    header, line = box.ok("list").lines
    assert (
        header.split()
        == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"][: len(header.split())]
    )
    assert line.split()[0] == box.name


def test_pause_and_resume(box: Box) -> None:
    box.start("sleep", "100")
    box.ok("pause", box.name)
    assert box.state()["status"] == "paused"
    assert box.call("exec", box.name, "true").code != 0
    box.ok("resume", box.name)
    assert box.state()["status"] == "running"
    assert box.call("resume", box.name).code != 0


def test_a_paused_container_can_be_deleted_by_force(box: Box) -> None:
    box.start("sleep", "100")
    box.ok("pause", box.name)
    box.ok("delete", "--force", box.name)


def test_annotations_and_rootfs_are_in_the_state(box: Box) -> None:
    box.config["annotations"] = {"org.example.key": "value"}
    box.create("true")
    state = box.state()
    assert state["annotations"]["org.example.key"] == "value"
    assert state["rootfs"] == str(box.rootfs)
    assert (state["ociVersion"], state["owner"]) == ("1.2.0", "root")
    created = datetime.fromisoformat(state["created"])
    assert timedelta() <= datetime.now(UTC) - created < timedelta(minutes=1)


def test_version_and_features(box: Box) -> None:
    assert "spec: 1." in box.ok("--version").out
    features = json.loads(box.ok("features").out)
    assert {"mount", "pid", "user", "time"} <= set(features["linux"]["namespaces"])
    assert "createRuntime" in features["hooks"]
    assert "rro" in features["mountOptions"]


def test_spec_writes_a_configuration_that_runs(box: Box) -> None:
    box.ok("spec", "--bundle", str(box.bundle))
    written = json.loads((box.bundle / "config.json").read_text())
    assert written["process"]["args"] == ["sh"]
    assert box.call("spec", "--bundle", str(box.bundle)).code != 0
    box.config = written
    box.process["terminal"] = False
    box.linux["cgroupsPath"] = f"/{PARENT}/{box.name}"
    assert box.sh("cat /proc/1/comm; true") == ["sh"]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["create", "--nonsense", "x"],
        ["state"],
        ["kill"],
        ["checkpoint", "x"],
        ["delete"],
    ],
)
def test_bad_commands_are_refused_in_one_sentence(box: Box, words: list[str]) -> None:
    result = box.call(*words)
    assert result.code != 0
    assert len(result.err.strip().splitlines()) == 1


def test_the_standard_streams_are_recorded_where_readers_of_crun_look(box: Box) -> None:
    box.create("true")
    record = json.loads((box.root / box.name / "status").read_text())
    streams = json.loads(record["external_descriptors"])
    assert streams == ["/dev/null", *[str(box.directory / "out")] * 2]
    assert record["pid"] == box.pid
    assert (record["bundle"], record["rootfs"]) == (str(box.bundle), str(box.rootfs))


def test_a_container_held_by_a_tracer_in_its_cgroup_can_be_deleted(box: Box) -> None:
    """Its first process cannot end before the tracer has seen its children's end: a CRIU whose caller was killed does not
    look."""
    box.start("sh", "-c", "sleep 1000 & wait")
    end = time.monotonic() + 10
    while len(pids := json.loads(box.ok("ps", "-f", "json", box.name).out)) < 2:
        assert time.monotonic() < end
    (child,) = [pid for pid in pids if pid != box.pid]
    seize = f"ctypes.CDLL(None).ptrace(0x4206, {child}, 0, 0) == 0"
    script = f"import ctypes; assert {seize}; print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.read(2) == b"1\n"
        (box.cgroup("devices") / "cgroup.procs").write_text(str(tracer.pid))
        box.ok("delete", "--force", box.name)
        assert tracer.wait(10) == -signal.SIGKILL
    assert "does not exist" in box.call("state", box.name).err
