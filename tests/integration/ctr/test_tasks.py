"""ctr run and ctr tasks, with our shim and with the original's."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.containerd_shim.test_recovery import shim_of
from tests.support.containerd import OURS, RUNC, Containerd, running_containerd
from tests.support.stack import wait_until

pytestmark = pytest.mark.usefixtures("image")
IMAGE = "docker.io/library/busybox:latest"


@pytest.fixture(params=[OURS, RUNC])
def runtime(request: pytest.FixtureRequest) -> str:
    """Our runtime, and the one that ctr asks for by itself."""
    if request.param == RUNC and not (
        shutil.which("containerd-shim-runc-v2") and shutil.which("runc")
    ):
        pytest.skip("needs Debian's containerd-shim-runc-v2 and runc")
    return str(request.param)


def _run(containerd: Containerd, runtime: str, *words: str, **options: object) -> str:
    return containerd.ctr("run", "--runtime", runtime, *words, **options)


def _status(containerd: Containerd, name: str) -> str:
    for line in containerd.ctr("tasks", "ls").splitlines()[1:]:
        if line.split()[0] == name:
            return line.split()[2]
    return ""


def test_run_gives_output_and_exit_status(containerd: Containerd, runtime: str) -> None:
    words = ("run", "--rm", "--runtime", runtime, IMAGE, "once", "sh", "-c")
    done = containerd.call(*words, "echo out; echo err >&2; exit 7")
    assert (done.code, done.out) == (7, "out\n")
    assert "err\n" in done.err
    assert containerd.ctr("containers", "ls", "-q") == ""
    assert containerd.ctr("tasks", "ls", "-q") == ""
    assert "once" not in containerd.ctr("snapshots", "ls")


def test_stdin_comes_whole(containerd: Containerd, runtime: str) -> None:
    data = os.urandom(3 << 20)
    words = ("run", "--rm", "--runtime", runtime, IMAGE, "input", "sh", "-c")
    done = containerd.call(*words, "sha256sum", stdin=data)
    assert done.out.split()[0] == hashlib.sha256(data).hexdigest()


def test_a_command_that_is_not_there(containerd: Containerd, runtime: str) -> None:
    words = ("run", "--rm", "--runtime", runtime, IMAGE, "missing", "/no/such")
    assert "no such file or directory" in containerd.fails(*words)
    assert containerd.ctr("tasks", "ls", "-q") == ""


def test_options_reach_the_container(
    containerd: Containerd, runtime: str, tmp_path: object
) -> None:
    out = _run(
        containerd,
        runtime,
        *("--rm", "--env", "MINE=1", "--cwd", "/data"),
        *("--mount", f"type=bind,src={tmp_path},dst=/mnt,options=rbind:ro", "--read-only"),
        *(IMAGE, "options", "sh", "-c", "echo $MINE; pwd; touch /x || touch /mnt/x || echo no"),
    )
    assert out.splitlines() == ["1", "/data", "no"]


def test_exec_and_processes(containerd: Containerd, runtime: str) -> None:
    _run(containerd, runtime, "-d", IMAGE, "back", "sleep", "1000")
    assert _status(containerd, "back") == "RUNNING"
    done = containerd.call(
        "tasks", "exec", "--exec-id", "one", "back", "sh", "-c", "echo in; exit 3"
    )
    assert (done.code, done.out) == (3, "in\n")
    for number in range(8):
        words = ("tasks", "exec", "--exec-id", f"in{number}", "back", "cat")
        assert containerd.call(*words, stdin=b"given").out == "given"
    containerd.ctr("tasks", "exec", "-d", "--exec-id", "long", "back", "sleep", "1000")
    pids = [line.split()[0] for line in containerd.ctr("tasks", "ps", "back").splitlines()[1:]]
    assert len(pids) == 2
    assert all("sleep" in _command(pid) for pid in pids)
    error = containerd.fails("tasks", "exec", "--exec-id", "bad", "back", "/no/such")
    assert "no such file or directory" in error
    containerd.ctr("tasks", "kill", "-s", "SIGKILL", "--exec-id", "long", "back")
    wait_until(lambda: len(containerd.ctr("tasks", "ps", "back").splitlines()) == 2)
    assert _status(containerd, "back") == "RUNNING"


def _command(pid: str) -> str:
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
        return file.read()


def test_kill_wait_and_delete(containerd: Containerd, runtime: str) -> None:
    _run(containerd, runtime, "-d", IMAGE, "killed", "sleep", "1000")
    assert _status(containerd, "killed") == "RUNNING"
    containerd.ctr("tasks", "kill", "-s", "SIGKILL", "killed")
    wait_until(lambda: _status(containerd, "killed") == "STOPPED")
    assert "137" in containerd.call("tasks", "rm", "killed").err
    assert _status(containerd, "killed") == ""
    assert "not found" in containerd.fails("tasks", "kill", "killed")
    containerd.ctr("containers", "rm", "killed")
    assert "killed" not in containerd.ctr("snapshots", "ls")


def test_a_running_task_cannot_be_deleted(containerd: Containerd, runtime: str) -> None:
    _run(containerd, runtime, "-d", IMAGE, "alive", "sleep", "1000")
    assert containerd.call("tasks", "rm", "alive").code != 0
    assert _status(containerd, "alive") == "RUNNING"
    assert "cannot delete a non stopped container" in containerd.fails("containers", "rm", "alive")


def test_pause_and_resume(containerd: Containerd, runtime: str) -> None:
    _run(containerd, runtime, "-d", IMAGE, "paused", "sh", "-c", "while :; do :; done")
    assert _status(containerd, "paused") == "RUNNING"
    containerd.ctr("tasks", "pause", "paused")
    assert _status(containerd, "paused") == "PAUSED"
    containerd.ctr("tasks", "resume", "paused")
    assert _status(containerd, "paused") == "RUNNING"


def test_a_listing_wakes_no_shim_of_what_is_known_to_run(containerd: Containerd) -> None:
    _run(containerd, OURS, "-d", IMAGE, "known", "sleep", "1000")
    rows = containerd.ctr("tasks", "ls").splitlines()[1:]
    pid = next(int(row.split()[1]) for row in rows if row.startswith("known"))
    shim = shim_of(pid)
    os.kill(shim, signal.SIGSTOP)
    try:
        assert containerd.ctr("tasks", "ls").splitlines()[1:] == rows
        os.kill(pid, signal.SIGKILL)
    finally:
        os.kill(shim, signal.SIGCONT)
    wait_until(lambda: _status(containerd, "known") == "STOPPED")


def test_metrics(containerd: Containerd, runtime: str) -> None:
    _run(
        containerd, runtime, "-d", "--memory-limit", str(64 << 20), IMAGE, "measured", "sleep", "99"
    )
    table = containerd.ctr("tasks", "metrics", "measured")
    assert "memory.limit_in_bytes    67108864" in table or "memory.usage_limit" in table
    document = json.loads(containerd.ctr("tasks", "metrics", "--format", "json", "measured"))
    assert document["pids"]["current"] == 1


def test_attach(containerd: Containerd, runtime: str) -> None:
    """A second client takes the streams of a container whose first one detached."""
    _run(containerd, runtime, "-d", IMAGE, "attached", "sh", "-c", "sleep 1; echo late; exit 5")
    done = containerd.call("tasks", "attach", "attached")
    assert done.code == 5


def test_terminal(containerd: Containerd, runtime: str) -> None:
    pid, master = pty.fork()
    if pid == 0:
        words = ("run", "--rm", "-t", "--runtime", runtime, IMAGE, "terminal", "sh")
        os.execvp("ctr", ["ctr", "--address", str(containerd.address), *words])
    seen = ""
    deadline = time.monotonic() + 20
    os.write(master, b"tty; echo $((6*7)); exit 9\n")
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data.decode()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    os.close(master)
    assert "/dev/" in seen
    assert "42" in seen


def test_containers_survive_a_killed_daemon(containerd: Containerd, runtime: str) -> None:
    _run(containerd, runtime, "-d", IMAGE, "survivor", "sh", "-c", "sleep 1000; exit 0")
    before = containerd.ctr("tasks", "ls").splitlines()[1].split()
    containerd.kill()
    assert containerd.ctr("tasks", "ls").splitlines()[1].split() == before
    words = ("tasks", "exec", "--exec-id", "after", "survivor", "echo", "here")
    assert containerd.call(*words).out == "here\n"
    containerd.ctr("tasks", "kill", "-s", "SIGKILL", "survivor")
    wait_until(lambda: _status(containerd, "survivor") == "STOPPED")
    assert "137" in containerd.call("tasks", "rm", "survivor").err


def test_exit_while_the_daemon_is_away(containerd: Containerd, runtime: str) -> None:
    _run(containerd, runtime, "-d", IMAGE, "away", "sh", "-c", "sleep 1; exit 6")
    pid = containerd.ctr("tasks", "ls").splitlines()[1].split()[1]
    containerd.end(9)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}/root"))
    containerd.start()
    assert _status(containerd, "away") == "STOPPED"
    assert "exit code 6" in containerd.call("tasks", "rm", "away").err


def test_containers_are_described(containerd: Containerd, runtime: str) -> None:
    containerd.ctr("containers", "create", "--runtime", runtime, "--label", "a=b", IMAGE, "made")
    found = json.loads(containerd.ctr("containers", "info", "made"))
    assert found["Image"] == IMAGE
    assert found["Runtime"]["Name"] == runtime
    assert found["Labels"]["a"] == "b"
    assert found["Spec"]["process"]["args"] == ["sh"]
    assert containerd.ctr("containers", "ls", "-q", "labels.a==b") == "made"
    assert containerd.ctr("containers", "ls", "-q", "labels.a==c") == ""
    containerd.ctr("containers", "label", "made", "c=d")
    assert containerd.ctr("containers", "ls", "-q", "labels.c") == "made"
    assert "already exists" in containerd.fails("containers", "create", IMAGE, "made")
    containerd.ctr("tasks", "start", "-d", "made")
    assert _status(containerd, "made")


def test_an_unknown_runtime(containerd: Containerd) -> None:
    words = ("run", "--rm", "--runtime", "io.containerd.nope.v1", IMAGE, "nope", "true")
    assert "nope" in containerd.fails(*words)
    assert containerd.ctr("containers", "ls", "-q") == ""


@pytest.fixture(scope="module")
def without_runc_shim(
    tmp_path_factory: pytest.TempPathFactory, archive: Path
) -> Iterator[Containerd]:
    """A daemon that finds no other shim than ours for the runtime that ctr asks for."""
    folder = tmp_path_factory.mktemp("path")
    # Our launchers need it.
    (folder / "readlink").symlink_to("/usr/bin/readlink")
    root = Path(tempfile.mkdtemp(prefix="dockyard-ctr-"))
    with running_containerd(root, PATH=str(folder)) as daemon:
        daemon.ctr("images", "import", archive)
        yield daemon


def test_our_shim_stands_in_for_the_one_of_runc(without_runc_shim: Containerd) -> None:
    without_runc_shim.ctr("run", "-d", IMAGE, "stand-in", "sleep", "1000")
    pid = without_runc_shim.ctr("tasks", "ls").splitlines()[1].split()[1]
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        parent = file.read().rpartition(")")[2].split()[1]
    assert "containerd-shim-dockyard-v1" in _command(parent)


def test_runc_options_choose_the_binary(without_runc_shim: Containerd) -> None:
    words = ("run", "--rm", "--runc-binary")
    error = without_runc_shim.fails(*words, "/no/such/runc", IMAGE, "bin", "true")
    assert "/no/such/runc" in error
    runc = shutil.which("runc")
    if runc is None:
        pytest.skip("needs Debian's runc")
    out = without_runc_shim.ctr(*words, runc, IMAGE, "foreign", "echo", "by runc")
    assert out == "by runc"
