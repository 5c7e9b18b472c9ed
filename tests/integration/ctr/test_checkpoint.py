"""Checkpoints by ctr: as content, where it is told to, and back again. CRIU is a stand-in unless there is one that works."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.integration.ctr.conftest import IMAGE
from tests.support.containerd import OURS, RUNC, Containerd, running_containerd
from tests.support.criu import StandIn
from tests.support.stack import BIN, wait_until

from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.content.v1 import content_pb2, content_pb2_grpc
from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc
from wire.gen.containerd.services.tasks.v1 import tasks_pb2, tasks_pb2_grpc
from wire.gen.containerd.types import descriptor_pb2

HERE = (("containerd-namespace", "default"),)
IMAGES = "application/vnd.containerd.container.criu.checkpoint.criu.tar"
SPEC = "application/vnd.containerd.container.checkpoint.config.v1+proto"


@pytest.fixture(scope="module")
def module(daemon: Containerd, archive: Path) -> Iterator[tuple[Containerd, StandIn]]:
    """A daemon whose shims find the stand-in."""
    del daemon
    root = Path(tempfile.mkdtemp(prefix="dockyard-ctr-"))
    criu = StandIn(root / "criu")
    criu.install()
    # ctr has options for a checkpoint for this runtime alone; it is ours under that name.
    (criu.folder / "containerd-shim-runc-v2").symlink_to(BIN / "containerd-shim-dockyard-v1")
    with running_containerd(root, **criu.environment) as found:
        found.ctr("images", "import", archive)
        yield found, criu


@pytest.fixture
def dumper(module: tuple[Containerd, StandIn]) -> Iterator[Containerd]:
    containerd, criu = module
    criu.will_dump()
    containerd.ctr("run", "-d", "--runtime", OURS, IMAGE, "saved", "sleep", "1000")
    yield containerd
    for name in containerd.ctr("containers", "ls", "-q").split():
        containerd.call("tasks", "rm", "-f", name)
        containerd.call("containers", "rm", name)
    # Nothing of a dump stays outside of the content.
    assert list(containerd.root.glob("state/io.containerd.runtime.v2.task/default/*")) == []


@pytest.fixture
def criu(module: tuple[Containerd, StandIn]) -> StandIn:
    return module[1]


def status(containerd: Containerd, name: str) -> str:
    lines = [line.split() for line in containerd.ctr("tasks", "ls").splitlines()[1:]]
    return {words[0]: words[2] for words in lines}.get(name, "")


def test_an_image_of_a_checkpoint(dumper: Containerd) -> None:
    name = dumper.ctr("tasks", "checkpoint", "saved").splitlines()[-1]
    # ctr has paused it meanwhile.
    assert status(dumper, "saved") == "RUNNING"
    assert "checkpoint" in name
    assert name in dumper.ctr("images", "ls", "-q")
    stub = content_pb2_grpc.ContentStub(dumper.channel)
    digest = next(
        line.split()[2] for line in dumper.ctr("images", "ls").splitlines() if line.startswith(name)
    )
    read = stub.Read(content_pb2.ReadContentRequest(digest=digest), metadata=HERE)
    index = json.loads(b"".join(each.data for each in read))
    kinds = [each["mediaType"] for each in index["manifests"]]
    assert {IMAGES, SPEC} <= set(kinds)
    assert list(dumper.root.glob("state/*/default/saved/checkpoint-*")) == []
    dumper.ctr("images", "rm", "--sync", name)


def test_where_the_client_says(dumper: Containerd, criu: StandIn, tmp_path: Path) -> None:
    images, work = tmp_path / "images", tmp_path / "work"
    dumper.ctr("run", "-d", "--runtime", RUNC, IMAGE, "other", "sleep", "1000")
    before = dumper.blobs()
    flags = ("--image-path", images, "--work-path", work, "--exit")
    dumper.ctr("tasks", "checkpoint", *flags, "other")
    assert criu.told["directories"] == [str(images), str(work)]
    assert (images / "descriptors.json").exists()
    # No images among the content: what was there, and what ctr adds itself.
    assert dumper.blobs() >= before
    wait_until(lambda: status(dumper, "other") == "STOPPED")


def test_a_failure_is_told_and_leaves_nothing(dumper: Containerd, criu: StandIn) -> None:
    before = dumper.blobs(), dumper.ctr("images", "ls", "-q")
    criu.will_dump(success=False, log="Error (criu/x.c:1): not on this kernel\n")
    error = dumper.fails("tasks", "checkpoint", "saved")
    assert "not on this kernel" in error
    assert "criu-dump.log" in error
    assert status(dumper, "saved") == "RUNNING"
    assert (dumper.blobs(), dumper.ctr("images", "ls", "-q")) == before


def test_a_task_comes_back_from_content(dumper: Containerd, criu: StandIn) -> None:
    stub = tasks_pb2_grpc.TasksStub(dumper.channel)
    # Without one, what nothing refers to is garbage.
    leases = leases_pb2_grpc.LeasesStub(dumper.channel)
    leases.Create(leases_pb2.CreateRequest(id="checkpoint"), metadata=HERE)
    leased = (*HERE, ("containerd-lease", "checkpoint"))
    saved = stub.Checkpoint(tasks_pb2.CheckpointTaskRequest(container_id="saved"), metadata=leased)
    images, spec = saved.descriptors
    assert (images.media_type, spec.media_type) == (IMAGES, SPEC)
    containers = containers_pb2_grpc.ContainersStub(dumper.channel)
    found = containers.Get(containers_pb2.GetContainerRequest(id="saved"), metadata=HERE)
    read = content_pb2_grpc.ContentStub(dumper.channel).Read(
        content_pb2.ReadContentRequest(digest=spec.digest), metadata=HERE
    )
    assert b"".join(each.data for each in read) == found.container.spec.SerializeToString()
    dumper.ctr("containers", "create", "--runtime", OURS, IMAGE, "back", "sleep", "1000")
    criu.will_restore()
    request = snapshots_pb2.MountsRequest(snapshotter="overlayfs", key="back")
    mounts = snapshots_pb2_grpc.SnapshotsStub(dumper.channel).Mounts(request, metadata=HERE).mounts
    create = tasks_pb2.CreateTaskRequest(container_id="back", checkpoint=images, rootfs=mounts)
    assert stub.Create(create, metadata=HERE).pid == 0
    assert status(dumper, "back") == "CREATED"
    pid = stub.Start(tasks_pb2.StartRequest(container_id="back"), metadata=HERE).pid
    assert pid > 0
    bundle = dumper.root / "state/io.containerd.runtime.v2.task/default/back"
    assert criu.told["directories"] == [f"{bundle}/checkpoint", f"{bundle}/criu-work"]
    # Whatever of the daemon is killed now, it is a task like others.
    dumper.kill()
    assert status(dumper, "back") == "RUNNING"
    assert str(pid) in dumper.ctr("tasks", "ps", "back")
    dumper.ctr("tasks", "kill", "--signal", "9", "back")
    wait_until(lambda: status(dumper, "back") == "STOPPED")
    dumper.call("tasks", "rm", "back")
    dumper.empty_leases()


def test_what_is_no_checkpoint_is_refused(dumper: Containerd) -> None:
    dumper.ctr("containers", "create", "--runtime", OURS, IMAGE, "back", "sleep", "1000")
    stub = tasks_pb2_grpc.TasksStub(dumper.channel)
    digest = "sha256:" + 64 * "0"
    for kind, notes, code in (
        ("application/x", {}, grpc.StatusCode.INVALID_ARGUMENT),
        (IMAGES, {}, grpc.StatusCode.NOT_FOUND),
        (IMAGES, {"RestoreFromPath": "/x"}, grpc.StatusCode.UNIMPLEMENTED),
    ):
        images = descriptor_pb2.Descriptor(
            media_type=kind, digest=digest, annotations=notes, size=1
        )
        create = tasks_pb2.CreateTaskRequest(container_id="back", checkpoint=images)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Create(create, metadata=HERE)
        assert raised.value.code() is code
        assert status(dumper, "back") == ""
    request = tasks_pb2.CheckpointTaskRequest(container_id="saved", parent_checkpoint="sha256:x")
    with pytest.raises(grpc.RpcError) as raised:
        stub.Checkpoint(request, metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    request = tasks_pb2.CheckpointTaskRequest(container_id="nobody")
    with pytest.raises(grpc.RpcError) as raised:
        stub.Checkpoint(request, metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_without_criu_it_is_a_clear_error(containerd: Containerd, image: str) -> None:
    if shutil.which("criu"):
        pytest.skip("there is one")
    containerd.ctr("run", "-d", "--runtime", OURS, image, "frozen", "sleep", "1000")
    error = containerd.fails("tasks", "checkpoint", "frozen")
    assert "criu is needed and is not there" in error
    assert status(containerd, "frozen") == "RUNNING"


def test_a_container_with_its_files_is_saved_and_comes_back(
    dumper: Containerd, criu: StandIn, tmp_path: Path
) -> None:
    script = ("sh", "-c", "echo mine > /file; rm /three")
    dumper.ctr("tasks", "exec", "--exec-id", "x", "saved", *script)
    name = "docker.io/library/saved:1"
    dumper.ctr("containers", "checkpoint", "--rw", "--image", "--task", "saved", name)
    # It was paused meanwhile, and goes on.
    assert status(dumper, "saved") == "RUNNING"
    criu.will_restore()
    dumper.ctr("containers", "restore", "--rw", "--live", "back", name)
    assert status(dumper, "back") == "RUNNING"
    assert IMAGE in dumper.ctr("containers", "ls")
    target = tmp_path / "m"
    target.mkdir()
    subprocess.run(dumper.ctr("snapshots", "mounts", target, "back").split(), check=True)
    try:
        assert (target / "file").read_text() == "mine\n"
        assert not (target / "three").exists()
    finally:
        subprocess.run(["umount", target], check=True)
    dumper.ctr("tasks", "kill", "--signal", "9", "back")
    wait_until(lambda: status(dumper, "back") == "STOPPED")
    dumper.ctr("images", "rm", "--sync", name)
