"""The metadata file is lost, cut off or damaged while containers run: the next start makes it again, and nothing is missing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.containerd import OURS, Containerd, running_containerd
from tests.support.stack import BIN, wait_until

from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.content.v1 import content_pb2, content_pb2_grpc
from wire.gen.containerd.services.images.v1 import images_pb2, images_pb2_grpc
from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc
from wire.gen.containerd.services.namespaces.v1 import namespace_pb2, namespace_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc

IMAGE = "docker.io/library/busybox:latest"
NAMES = ("first", "second")


@pytest.fixture(scope="module")
def busy(archive: Path) -> Iterator[Containerd]:
    """A daemon of its own with two running containers, an upload, a lease and labels everywhere, in two namespaces."""
    if os.geteuid() != 0 or shutil.which("ctr") is None or not (BIN / "containerd").exists():
        pytest.skip("needs root, Debian's ctr and a built stack")
    with running_containerd(Path(tempfile.mkdtemp(prefix="dockyard-lost-"))) as daemon:
        for namespace in ("default", "other"):
            daemon.ctr("-n", namespace, "images", "import", archive)
        daemon.ctr("images", "label", IMAGE, "kept=yes")
        daemon.ctr("namespaces", "label", "other", "owner=me")
        daemon.ctr("leases", "create", "--id", "mine", "held=1")
        daemon.ctr("snapshots", "prepare", "work")
        daemon.ctr("snapshots", "label", "work", "containerd.io/gc.root=1")
        for name in NAMES:
            daemon.ctr(
                "run", "-d", "--runtime", OURS, "--label", "a=b", IMAGE, _name(daemon, name),
                "sh", "-c", "while true; do sleep 0.1; done",
            )  # fmt: skip
        daemon.collect()
        yield daemon


def _name(daemon: Containerd, name: str) -> str:
    """Names of containers are the machine's."""
    return f"{name}-{daemon.mark}"


def _known(daemon: Containerd) -> dict[str, Any]:
    """Everything that the services tell, as text."""
    found: dict[str, Any] = {}
    namespaces = namespace_pb2_grpc.NamespacesStub(daemon.channel)
    for each in namespaces.List(
        namespace_pb2.ListNamespacesRequest(), wait_for_ready=True
    ).namespaces:
        where = (("containerd-namespace", each.name),)
        containers = containers_pb2_grpc.ContainersStub(daemon.channel)
        images = images_pb2_grpc.ImagesStub(daemon.channel)
        content = content_pb2_grpc.ContentStub(daemon.channel)
        snapshots = snapshots_pb2_grpc.SnapshotsStub(daemon.channel)
        leases = leases_pb2_grpc.LeasesStub(daemon.channel)
        listed = leases.List(leases_pb2.ListRequest(), metadata=where)
        found[each.name] = [
            each,
            containers.List(containers_pb2.ListContainersRequest(), metadata=where),
            images.List(images_pb2.ListImagesRequest(), metadata=where),
            *content.List(content_pb2.ListContentRequest(), metadata=where),
            *snapshots.List(
                snapshots_pb2.ListSnapshotsRequest(snapshotter="overlayfs"), metadata=where
            ),
            listed,
            *(
                leases.ListResources(leases_pb2.ListResourcesRequest(id=lease.id), metadata=where)
                for lease in listed.leases
            ),
        ]
    return {name: [str(each) for each in values] for name, values in found.items()}


def _pids(daemon: Containerd) -> dict[str, list[str]]:
    """The tasks, their processes and states."""
    return {
        words[0]: words[1:]
        for line in daemon.ctr("tasks", "ls").splitlines()[1:]
        if (words := line.split())
    }


def _lost(folder: Path) -> None:
    for path in folder.glob("metadata.db*"):
        path.unlink()


def _cut(part: float) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        path = folder / "metadata.db"
        os.truncate(path, int(path.stat().st_size * part))

    return work


def _garbage(pages: int) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        for path in folder.glob("metadata.db*"):
            size, chance = path.stat().st_size, random.Random(pages)
            with open(path, "r+b") as file:
                for _ in range(pages):
                    file.seek(chance.randrange(max(1, size // 4096)) * 4096)
                    file.write(chance.randbytes(4096))

    return work


def _journal(folder: Path) -> None:
    (folder / "metadata.journal").unlink()


DAMAGE = {
    "lost": _lost,
    "empty": _cut(0),
    "half": _cut(0.5),
    "all but a page": _cut(0.95),
    "garbage": _garbage(1),
    "much garbage": _garbage(40),
}


def _lines(daemon: Containerd, message: str) -> list[dict[str, Any]]:
    found = []
    for line in (daemon.root / "log").read_text().splitlines():
        if line.startswith("{") and message in line:
            found.append(json.loads(line))
    return found


def _check(daemon: Containerd, known: dict[str, Any], tasks: dict[str, list[str]]) -> None:
    assert _known(daemon) == known
    assert _pids(daemon) == tasks
    for name in NAMES:
        out = daemon.ctr("tasks", "exec", "--exec-id", "e", _name(daemon, name), "echo", "there")
        assert out == "there"
    # And a collection takes nothing away.
    daemon.collect()
    after = _known(daemon)
    assert after == known


@pytest.mark.timeout(120)
@pytest.mark.parametrize("damage", [*DAMAGE, "journal"])
def test_containers_go_on(busy: Containerd, damage: str) -> None:
    known, tasks = _known(busy), _pids(busy)
    assert all(words[1] == "RUNNING" for words in tasks.values())
    message = "journal of the metadata written again" if damage == "journal" else "metadata rebuilt"
    before = len(_lines(busy, message))
    busy.end(signal.SIGKILL)
    (_journal if damage == "journal" else DAMAGE[damage])(busy.root / "data")
    busy.start()
    _check(busy, known, tasks)
    assert len(_lines(busy, message)) == before + 1
    # A second start has nothing to say.
    busy.kill()
    _check(busy, known, tasks)
    assert len(_lines(busy, message)) == before + 1


@pytest.mark.timeout(180)
def test_killed_while_it_is_made_again(busy: Containerd) -> None:
    known, tasks = _known(busy), _pids(busy)
    busy.end(signal.SIGKILL)
    _lost(busy.root / "data")
    whole = busy.program
    number, died = 1, 0
    try:
        while True:
            steps = busy.root / "steps"
            steps.unlink(missing_ok=True)
            busy.program = (sys.executable, "-m", "tests.support.mortal", str(steps), str(number))
            busy.flags = ("--shim-dir", str(BIN))
            busy.environment["MORTAL_AT_START"] = "1"
            try:
                busy.start()
            except AssertionError:
                assert busy.process is not None
                assert busy.process.wait(10) == -signal.SIGKILL
                busy.process = None
                died += 1
                number += 9
                continue
            break
    finally:
        busy.program, busy.flags = whole, ()
        del busy.environment["MORTAL_AT_START"]
    assert died >= 2
    busy.kill()
    _check(busy, known, tasks)


@pytest.mark.timeout(120)
def test_damaged_under_the_daemon(busy: Containerd) -> None:
    """It notices when it reads, or at its next start; its clients do not."""
    known, tasks = _known(busy), _pids(busy)
    for damage in ("much garbage", "lost"):
        DAMAGE[damage](busy.root / "data")
        wait_until(lambda: busy.call("images", "ls").code == 0)
        busy.ctr("images", "label", IMAGE, "kept=yes")
        busy.kill()
        after = _known(busy)
        assert _pids(busy) == tasks
        assert after.keys() == known.keys()
        assert [len(each) for each in after.values()] == [len(each) for each in known.values()]
