"""Our containerd when it is killed, and when a shim is, ours and the original's: the truth is told in every case."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.containerd import OURS, RUNC, Containerd, running_containerd
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, wait_until

pytestmark = pytest.mark.root
IMAGE = f"docker.io/library/{BUSYBOX}"


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    if os.geteuid() != 0 or not (BIN / "containerd").exists() or not shutil.which("ctr"):
        pytest.skip("needs root, a built stack and Debian's ctr")
    root = Path(tempfile.mkdtemp(prefix="dockyard-recovery-"))
    with running_containerd(root) as found:
        archive = root / "image.tar"
        archive.write_bytes(docker_archive(IMAGE, [busybox_layer()]))
        found.ctr("images", "import", archive)
        yield found


@pytest.fixture(params=[OURS, RUNC])
def runtime(request: pytest.FixtureRequest) -> str:
    if request.param == RUNC and not (
        shutil.which("containerd-shim-runc-v2") and shutil.which("runc")
    ):
        pytest.skip("needs Debian's containerd-shim-runc-v2 and runc")
    return str(request.param)


@pytest.fixture
def name(containerd: Containerd, request: pytest.FixtureRequest) -> Iterator[str]:
    found = f"box{abs(hash(request.node.name)) % 10**9}"
    yield found
    containerd.call("tasks", "rm", "-f", found)
    containerd.call("containers", "rm", found)
    assert found not in containerd.ctr("tasks", "ls", "-q").split()
    assert not list(containerd.root.glob(f"state/*/default/{found}"))
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"*/default/{found}") if path.is_dir()]


def task(containerd: Containerd, name: str) -> tuple[int, str]:
    lines = (line.split() for line in containerd.ctr("tasks", "ls").splitlines()[1:])
    return {words[0]: (int(words[1]), words[2]) for words in lines}[name]


def start(containerd: Containerd, runtime: str, name: str) -> int:
    script = "trap 'exit 23' TERM; while true; do sleep 0.1; done"
    containerd.ctr("run", "-d", "--runtime", runtime, IMAGE, name, "sh", "-c", script)
    pid, status = task(containerd, name)
    assert status == "RUNNING"
    return pid


def shim_of(pid: int) -> int:
    """The parent of a container's process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def exit_code(containerd: Containerd, name: str) -> int:
    """As `ctr tasks delete` tells it."""
    wait_until(lambda: task(containerd, name)[1] == "STOPPED")
    found = containerd.call("tasks", "delete", name).err
    return int(found.rpartition("exit code ")[2].split('"')[0])


def test_tasks_are_found_again(containerd: Containerd, runtime: str, name: str) -> None:
    pid = start(containerd, runtime, name)
    containerd.kill()
    assert task(containerd, name) == (pid, "RUNNING")
    assert containerd.ctr("tasks", "exec", "--exec-id", "x", name, "echo", "there") == "there"
    containerd.ctr("tasks", "kill", name)
    assert exit_code(containerd, name) == 23


def test_an_end_while_containerd_is_away(containerd: Containerd, runtime: str, name: str) -> None:
    pid = start(containerd, runtime, name)
    containerd.end(signal.SIGKILL)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    containerd.start()
    assert exit_code(containerd, name) == 23


def test_a_container_whose_shim_was_killed(containerd: Containerd, runtime: str, name: str) -> None:
    pid = start(containerd, runtime, name)
    shim = shim_of(pid)
    os.kill(shim, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{shim}").exists())
    # It still runs, and that is what is said of it.
    assert task(containerd, name) == (pid, "RUNNING")
    containerd.kill()
    assert task(containerd, name) == (pid, "RUNNING")
    assert str(pid) in containerd.ctr("tasks", "ps", name)
    if runtime == OURS:
        assert containerd.ctr("tasks", "exec", "--exec-id", "x", name, "echo", "there") == "there"
    containerd.ctr("tasks", "kill", name)
    # 137 where the kernel does not tell of other processes' ends (before Linux 6.15).
    assert exit_code(containerd, name) in (23, 137)


def test_a_client_that_takes_its_fifos_away(containerd: Containerd, name: str) -> None:
    """As one does that was cut off from a killed containerd: each of the shim's processes goes on without them."""
    script = "trap 'exit 23' TERM; while true; do echo x; sleep 0.1; done"
    words = ("containers", "create", "--runtime", OURS, "--", IMAGE, name, "sh", "-c", script)
    containerd.ctr(*words)
    containerd.ctr("tasks", "start", "-d", name)
    (bundle,) = containerd.root.glob(f"state/*/default/{name}")
    (record,) = json.loads((bundle / "shim.json").read_text())["processes"]
    fifos = [Path(record[each]) for each in ("stdin", "stdout", "stderr") if record[each]]
    assert fifos
    for path in fifos:
        path.unlink(missing_ok=True)
    pid, _ = task(containerd, name)
    keeper = int((bundle / "shim.pid").read_text())
    # The worker hands over when it was left alone for a moment.
    wait_until(lambda: shim_of(pid) == keeper)
    assert containerd.ctr("tasks", "exec", "--exec-id", "x", name, "echo", "there") == "there"
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{keeper}").exists())
    assert task(containerd, name) == (pid, "RUNNING")
    assert containerd.ctr("tasks", "exec", "--exec-id", "y", name, "echo", "there") == "there"
    containerd.ctr("tasks", "kill", name)
    assert exit_code(containerd, name) in (23, 137)


def test_a_container_that_ended_with_its_shim(
    containerd: Containerd, runtime: str, name: str
) -> None:
    pid = start(containerd, runtime, name)
    shim = shim_of(pid)
    os.kill(shim, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    os.kill(shim, signal.SIGKILL)
    assert exit_code(containerd, name) == 137


def test_everybody_dies_at_once(containerd: Containerd, runtime: str, name: str) -> None:
    pid = start(containerd, runtime, name)
    shim = shim_of(pid)
    containerd.end(signal.SIGKILL)
    os.kill(shim, signal.SIGKILL)
    containerd.start()
    assert task(containerd, name) == (pid, "RUNNING")
    containerd.ctr("tasks", "kill", "-s", "KILL", name)
    assert exit_code(containerd, name) == 137


def test_a_stopped_shim_does_not_keep_containerd_from_starting(
    containerd: Containerd, runtime: str, name: str
) -> None:
    pid = start(containerd, runtime, name)
    shim = shim_of(pid)
    os.kill(shim, signal.SIGSTOP)
    try:
        containerd.kill()
        assert containerd.call("version").code == 0
    finally:
        os.kill(shim, signal.SIGCONT)
    assert task(containerd, name) == (pid, "RUNNING")
