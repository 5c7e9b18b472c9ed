"""`kill -9` of containerd between the steps of a task's calls: each is done or undone, can be repeated, and leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from tests.support import leaks
from tests.support.containerd import OURS, Containerd, running_containerd
from tests.support.stack import BIN, wait_until

from wire.gen.containerd.services.tasks.v1 import tasks_pb2, tasks_pb2_grpc

IMAGE = "docker.io/library/busybox:latest"
WHERE = (("containerd-namespace", "default"),)
SCRIPT = "trap 'exit 5' TERM; while true; do sleep 0.05; done"


@pytest.fixture(scope="module")
def daemon(archive: Path) -> Iterator[Containerd]:
    if os.geteuid() != 0 or not (BIN / "containerd").exists():
        pytest.skip("needs root and a built stack")
    with running_containerd(Path(tempfile.mkdtemp(prefix="dockyard-taskkill-"))) as found:
        found.ctr("images", "import", archive)
        yield found


@dataclass
class Subject:
    """One container of one attempt."""

    daemon: Containerd
    name: str

    @property
    def bundle(self) -> Path:
        return self.daemon.root / "state" / leaks.TASKS / "default" / self.name

    def tasks(self) -> tasks_pb2_grpc.TasksStub:
        return tasks_pb2_grpc.TasksStub(self.daemon.channel)

    def status(self) -> str:
        """As `ctr tasks ls` shows it; empty for a container without a task."""
        for line in self.daemon.ctr("tasks", "ls").splitlines()[1:]:
            words = line.split()
            if words[0] == self.name:
                return words[2]
        return ""

    def pid(self) -> int:
        request = tasks_pb2.GetRequest(container_id=self.name)
        return int(self.tasks().Get(request, metadata=WHERE, wait_for_ready=True).process.pid)

    def create(self) -> None:
        self.daemon.ctr(
            "containers", "create", "--runtime", OURS, "--", IMAGE, self.name, "sh", "-c", SCRIPT
        )

    def run(self) -> None:
        self.create()
        self.daemon.ctr("tasks", "start", "-d", self.name)

    def stop(self) -> None:
        self.daemon.call("tasks", "kill", "-s", "SIGKILL", self.name)
        wait_until(lambda: self.status() in {"STOPPED", ""})

    def left(self) -> dict[str, list[str]]:
        """What a container without a task must not have."""
        found = {
            "bundle": [str(self.bundle)] if self.bundle.exists() else [],
            "cgroups": [str(path) for path in leaks.CGROUPS.glob(f"*/default/{self.name}")],
            "mounts": [
                line
                for line in Path("/proc/self/mountinfo").read_text().splitlines()
                if self.name in line
            ],
            "processes": self.processes(),
        }
        return {name: each for name, each in found.items() if each}

    def processes(self) -> list[str]:
        """Shims and what runs in the container."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (
                    (entry / "cwd").readlink() == self.bundle
                    or f"/{self.name}\n" in (entry / "cgroup").read_text()
                ):
                    found.append(entry.name)
        return found


def _check_created(subject: Subject) -> None:
    """Not there, created, or running: as the client, cut off, cannot know."""
    status = subject.status()
    assert status in {"", "CREATED", "RUNNING"}, status
    if status == "CREATED":
        subject.tasks().Start(tasks_pb2.StartRequest(container_id=subject.name), metadata=WHERE)
    elif status == "":
        wait_until(lambda: not subject.left(), what=str(subject.left()))
        subject.daemon.ctr("tasks", "start", "-d", subject.name)
    assert subject.status() == "RUNNING"
    _check_executes(subject)


def _check_executes(subject: Subject) -> None:
    out = subject.daemon.ctr(
        "tasks", "exec", "--exec-id", f"e{os.urandom(4).hex()}", subject.name, "echo", "there"
    )
    assert out == "there"


def _execute(subject: Subject) -> None:
    subject.daemon.ctr("tasks", "exec", "--exec-id", "again", subject.name, "echo", "once")


def _check_executed(subject: Subject) -> None:
    """The container is as it was; the exec is gone, or can be removed, and its name can be used again."""
    assert subject.status() == "RUNNING"
    _check_executes(subject)
    tasks = subject.tasks()
    request = tasks_pb2.DeleteProcessRequest(container_id=subject.name, exec_id="again")
    kill = tasks_pb2.KillRequest(container_id=subject.name, exec_id="again", signal=9)

    def gone() -> bool:
        # It runs for some milliseconds if it was started.
        with contextlib.suppress(grpc.RpcError):
            tasks.Kill(kill, metadata=WHERE)
        try:
            tasks.DeleteProcess(request, metadata=WHERE)
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.NOT_FOUND)
        return True

    wait_until(gone)
    _execute(subject)


def _check_killed(subject: Subject) -> None:
    assert subject.status() in {"RUNNING", "STOPPED"}
    if subject.status() == "RUNNING":
        _check_executes(subject)
    subject.daemon.call("tasks", "kill", "-s", "SIGTERM", subject.name)
    wait_until(lambda: subject.status() == "STOPPED")
    done = subject.tasks().Wait(
        tasks_pb2.WaitRequest(container_id=subject.name), metadata=WHERE, timeout=20
    )
    assert done.exit_status == 5


def _check_deleted(subject: Subject) -> None:
    assert subject.status() in {"", "STOPPED"}
    if subject.status():
        subject.daemon.ctr("tasks", "rm", subject.name)
    assert subject.status() == ""


def _check_removed(subject: Subject) -> None:
    """Not begun, killed, or gone."""
    assert subject.status() in {"", "STOPPED", "RUNNING"}
    subject.stop()
    _check_deleted(subject)


@dataclass(frozen=True)
class Operation:
    """A call: what must be before, the call, and what must hold when its daemon was killed and is back."""

    before: Callable[[Subject], None]
    run: Callable[[Subject], object]
    check: Callable[[Subject], None]


def _stopped(subject: Subject) -> None:
    subject.run()
    subject.stop()


OPERATIONS = {
    "create and start": Operation(
        Subject.create,
        lambda subject: subject.daemon.ctr("tasks", "start", "-d", subject.name),
        _check_created,
    ),
    "exec": Operation(Subject.run, _execute, _check_executed),
    "kill": Operation(
        Subject.run,
        lambda subject: (
            subject.daemon.ctr("tasks", "kill", "-s", "SIGTERM", subject.name),
            wait_until(lambda: subject.status() == "STOPPED"),
        ),
        _check_killed,
    ),
    "delete": Operation(
        _stopped, lambda subject: subject.daemon.ctr("tasks", "rm", subject.name), _check_deleted
    ),
    "delete of what runs": Operation(
        Subject.run,
        lambda subject: subject.daemon.ctr("tasks", "rm", "-f", subject.name),
        _check_removed,
    ),
}


@contextlib.contextmanager
def _mortal(daemon: Containerd, number: int) -> Iterator[Path]:
    """The daemon dies at a step; behind the block there is a whole one. The file tells of the steps."""
    steps = daemon.root / "steps"
    steps.unlink(missing_ok=True)
    whole = daemon.program
    daemon.end(signal.SIGKILL)
    daemon.program = (sys.executable, "-m", "tests.support.mortal", str(steps), str(number))
    daemon.flags = ("--shim-dir", str(BIN))
    try:
        daemon.start()
        yield steps
    finally:
        daemon.end(signal.SIGKILL)
        daemon.program, daemon.flags = whole, ()
        daemon.start()


def _attempt(daemon: Containerd, operation: Operation, number: int) -> list[str]:
    """One call whose daemon dies at a step (0: not at all); the steps that there were."""
    # Names of containers are the machine's: the runtime's state and the cgroups do not know of our root.
    subject = Subject(daemon, f"killed-{os.urandom(4).hex()}")
    operation.before(subject)
    running = subject.pid() if operation.before is Subject.run else 0
    with _mortal(daemon, number) as steps:
        with contextlib.suppress(AssertionError, grpc.RpcError):
            operation.run(subject)
        if number:
            assert daemon.process is not None
            assert daemon.process.wait(20) == -signal.SIGKILL, "it was to die, and did not"
        found = steps.read_text().splitlines()
    if running and subject.status() == "RUNNING":
        assert subject.pid() == running
    operation.check(subject)
    subject.stop()
    if subject.status():
        daemon.ctr("tasks", "rm", subject.name)
    wait_until(lambda: not subject.left(), what=str(subject.left()))
    daemon.ctr("containers", "rm", subject.name)
    daemon.collect()
    assert leaks.unaccounted(daemon.root / "data") == set()
    return found


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_in_the_middle(daemon: Containerd, name: str) -> None:
    """At one step; the slow run tries all of them."""
    steps = _attempt(daemon, OPERATIONS[name], 0)
    assert len(steps) > 3, "the daemon reports no steps"
    _attempt(daemon, OPERATIONS[name], len(steps) // 2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_every_step(daemon: Containerd, name: str) -> None:
    steps = _attempt(daemon, OPERATIONS[name], 0)
    for number in range(1, len(steps) + 1):
        try:
            _attempt(daemon, OPERATIONS[name], number)
        except Exception as error:
            raise AssertionError(f"killed before step {steps[number - 1]}") from error
