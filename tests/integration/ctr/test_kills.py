"""`kill -9` of containerd between the steps of pull, import, upload and collection: done or undone, and nothing left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from tests.integration.ctr.test_mirrors import _pull
from tests.support.containerd import OURS, Containerd, running_containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry
from tests.support.stack import BIN

# How many of the steps of an operation are tried; the slow run tries all.
SAMPLES = 3
# Seconds; a step that takes more is named, so that a hang is told from a busy machine.
SLOW = 10


@dataclass(frozen=True)
class Operation:
    """Something that changes what the daemon keeps; ``image`` is the name that it makes, if it makes one."""

    run: Callable[[Containerd], object]
    image: str = ""


def _archive() -> bytes:
    return docker_archive("docker.io/library/killed:1", [busybox_layer(), layer({"a": b"1"})])


@pytest.fixture(scope="module")
def operations(
    registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Operation]:
    path = tmp_path_factory.mktemp("archive") / "image.tar"
    path.write_bytes(_archive())
    name = registry.push(_archive(), "killed:1")

    def create_and_remove(containerd: Containerd) -> None:
        containerd.ctr("snapshots", "prepare", "work")
        containerd.ctr("snapshots", "commit", "--", "done", "work")
        containerd.ctr("snapshots", "rm", "done")

    def collect(containerd: Containerd) -> None:
        containerd.ctr("images", "import", path)
        containerd.ctr("images", "rm", "--sync", "docker.io/library/killed:1")

    return {
        "transfer pull": Operation(lambda containerd: _pull(containerd, name), name),
        "ctr pull": Operation(
            lambda containerd: containerd.ctr("images", "pull", "--plain-http", name), name
        ),
        "import": Operation(
            lambda containerd: containerd.ctr("images", "import", path),
            "docker.io/library/killed:1",
        ),
        "snapshots": Operation(create_and_remove),
        "collection": Operation(collect),
    }


NAMES = ["transfer pull", "ctr pull", "import", "snapshots", "collection"]


@contextlib.contextmanager
def _daemon(number: int) -> Iterator[Containerd]:
    """One that dies at a step (0: at none); what is started after it does not."""
    if shutil.which("ctr") is None or os.geteuid() != 0:
        pytest.skip("needs root and Debian's ctr")
    root = Path(tempfile.mkdtemp(prefix="dockyard-kill-"))
    mortal = (sys.executable, "-m", "tests.support.mortal", root / "steps", str(number))
    with running_containerd(root, program=mortal, flags=("--shim-dir", str(BIN))) as daemon:
        daemon.program, daemon.flags = (BIN / "containerd",), ()
        yield daemon


def _steps(operation: Operation) -> list[str]:
    """The changes of state that the operation makes."""
    with _daemon(0) as daemon:
        operation.run(daemon)
        daemon.kill()
        return (daemon.root / "steps").read_text().splitlines()


def _check(daemon: Containerd, operation: Operation) -> None:
    """What is recorded is there and whole, and what is there is recorded."""
    for digest in daemon.blobs():
        path = daemon.root / "data/content/blobs" / digest.replace(":", "/")
        # The collection that follows the start may take one meanwhile.
        with contextlib.suppress(FileNotFoundError):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, digest
    listed = set(daemon.ctr("content", "ls", "-q").split())
    # What a collection took meanwhile is not listed any more either.
    gone = listed - daemon.blobs()
    assert gone.isdisjoint(daemon.ctr("content", "ls", "-q").split())
    if operation.image in daemon.ctr("images", "ls", "-q").split():
        missing = [
            line
            for line in daemon.ctr("images", "check").splitlines()[1:]
            if "complete" not in line
        ]
        assert missing == []
    # The leases of a client that was cut off hold for a day; without them all must be what an image refers to.
    daemon.empty_leases()
    daemon.collect()
    assert set(daemon.ctr("content", "ls", "-q").split()) == daemon.blobs()
    snapshots = daemon.ctr("snapshots", "ls").splitlines()[1:]
    assert len(daemon.directories()) == len(snapshots)
    assert all(line.split()[-1] in {"Committed", "Active"} for line in snapshots)
    assert daemon.uploads() == set()


def _killed_at(operation: Operation, number: int) -> None:
    with _daemon(number) as daemon:
        with contextlib.suppress(AssertionError, grpc.RpcError):
            operation.run(daemon)
        assert daemon.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            # An operation does not always make as many steps.
            daemon.process.wait(2)
        died = daemon.process.poll() == -signal.SIGKILL
        daemon.kill()
        _check(daemon, operation)
        if died:
            for name in daemon.ctr("snapshots", "ls").splitlines()[1:]:
                if not name.startswith("sha256:"):
                    daemon.call("snapshots", "rm", name.split()[0])
            with contextlib.suppress(AssertionError):
                # A client that was cut off behind the name of the image has nothing left to do.
                operation.run(daemon)
        if operation.image:
            # Names of containers are the machine's: the runtime's state and the cgroups do not know of our root.
            name = f"try-{os.urandom(4).hex()}"
            out = daemon.ctr("run", "--rm", "--runtime", OURS, operation.image, name, "cat", "/a")
            assert out == "1"
        _check(daemon, operation)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_killed_at_some_steps(operations: dict[str, Operation], name: str) -> None:
    operation = operations[name]
    count = len(_steps(operation))
    assert count > 5, "the daemon reports no changes of state"
    for sample in range(SAMPLES):
        _killed_at(operation, 1 + sample * (count - 1) // (SAMPLES - 1))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_killed_at_every_step(operations: dict[str, Operation], name: str) -> None:
    operation = operations[name]
    steps = _steps(operation)
    begun = time.monotonic()
    for number, step in enumerate(steps, 1):
        started = time.monotonic()
        try:
            _killed_at(operation, number)
        except Exception as error:
            raise AssertionError(f"killed before step {step}") from error
        if (took := time.monotonic() - started) > SLOW:
            sys.stderr.write(f"\n{name}: {took:.0f} s, killed before step {step}\n")
    sys.stderr.write(f"\n{name}: {len(steps)} steps in {time.monotonic() - begun:.0f} s\n")


def test_steps_are_reported(operations: dict[str, Operation]) -> None:
    """The other tests are worth what this one finds."""
    steps = _steps(operations["import"])
    kinds = {line.split()[1] for line in steps}
    assert {"os.rename", "fsync", "BEGIN", "COMMIT"} <= kinds, json.dumps(sorted(kinds))
