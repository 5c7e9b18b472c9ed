"""The mounts service: activations by gRPC, what keeps them, and what is killed in the middle of their lives."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.integration.ctr.conftest import IMAGE
from tests.support.containerd import OURS, Containerd
from tests.support.stack import wait_until

from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc
from wire.gen.containerd.services.mounts.v1 import mounts_pb2 as pb
from wire.gen.containerd.services.mounts.v1 import mounts_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc
from wire.gen.containerd.services.tasks.v1 import tasks_pb2, tasks_pb2_grpc
from wire.gen.containerd.types.mount_pb2 import ActivationInfo, Mount

HERE = (("containerd-namespace", "default"),)


class Mounts:
    """A client; what it activates is kept by a lease."""

    def __init__(self, containerd: Containerd) -> None:
        self.containerd = containerd
        self.where = (*HERE, ("containerd-lease", "mounts"))
        leases = leases_pb2_grpc.LeasesStub(containerd.channel)
        leases.Create(leases_pb2.CreateRequest(id="mounts"), metadata=HERE)

    @property
    def stub(self) -> Any:
        return mounts_pb2_grpc.MountsStub(self.containerd.channel)

    def activate(
        self, name: str, *mounts: Mount, leased: bool = True, **fields: Any
    ) -> ActivationInfo:
        request = pb.ActivateRequest(name=name, mounts=mounts, **fields)
        found = self.stub.Activate(request, metadata=self.where if leased else HERE)
        info = found.info
        assert isinstance(info, ActivationInfo)
        return info

    def refused(self, *mounts: Mount, **fields: Any) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as raised:
            self.activate("refused", *mounts, **fields)
        assert self.left() == []
        return raised.value.code()

    def info(self, name: str) -> ActivationInfo:
        found = self.stub.Info(pb.InfoRequest(name=name), metadata=HERE).info
        assert isinstance(found, ActivationInfo)
        return found

    def deactivate(self, name: str) -> None:
        self.stub.Deactivate(pb.DeactivateRequest(name=name), metadata=HERE)

    def names(self, *filters: str) -> Sequence[str]:
        return [
            each.info.name
            for each in self.stub.List(pb.ListRequest(filters=filters), metadata=HERE)
        ]

    def left(self) -> list[str]:
        """What stands in the manager's folder."""
        folder = self.containerd.root / "state/io.containerd.mount-manager.v1.bolt"
        return sorted(path.name for path in folder.iterdir())

    def mounted(self) -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4] for line in lines]
        return [point for point in points if point.startswith(f"{self.containerd.root}/state/io")]


@pytest.fixture
def mounts(containerd: Containerd) -> Iterator[Mounts]:
    found = Mounts(containerd)
    yield found
    for name in found.names():
        found.deactivate(name)
    assert found.left() == found.mounted() == []
    containerd.empty_leases()


@pytest.fixture
def layers(tmp_path: Path) -> Sequence[Path]:
    """Two directories, each with a file of its own name."""
    found = [tmp_path / name for name in ("one", "two")]
    for path in found:
        path.mkdir()
        (path / path.name).write_text(path.name)
    return found


def bind(path: Path, *options: str) -> Mount:
    return Mount(type="bind", source=str(path), options=["rbind", *options])


def overlay(*options: str) -> Mount:
    return Mount(type="format/overlay", source="overlay", options=["index=off", *options])


def test_an_overlay_of_mounts_made_here(
    mounts: Mounts, layers: Sequence[Path], tmp_path: Path
) -> None:
    info = mounts.activate(
        "o",
        bind(layers[0], "ro"),
        bind(layers[1]),
        overlay("lowerdir={{ overlay 1 0 }}"),
        labels={"a": "b"},
    )
    first, second = info.active
    assert (first.mount.type, first.mount.source) == ("bind", str(layers[0]))
    assert first.mounted_at.seconds
    assert Path(first.mount_point, "one").read_text() == "one"
    with pytest.raises(OSError, match="Read-only"):
        Path(first.mount_point, "new").write_text("")
    # What is left is the caller's.
    (system,) = info.system
    assert system == Mount(
        type="overlay",
        source="overlay",
        options=["index=off", f"lowerdir={second.mount_point}:{first.mount_point}"],
    )
    assert (info.name, dict(info.labels)) == ("o", {"a": "b"})
    assert mounts.info("o") == info
    with pytest.raises(grpc.RpcError) as raised:
        mounts.activate("o", bind(layers[0]), temporary=True)
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS
    mounts.deactivate("o")
    for call in (lambda: mounts.info("o"), lambda: mounts.deactivate("o")):
        with pytest.raises(grpc.RpcError) as raised:
            call()
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_temporary_makes_all_and_gives_a_bind(mounts: Mounts, layers: Sequence[Path]) -> None:
    info = mounts.activate(
        "t",
        *(bind(path) for path in layers),
        overlay("lowerdir={{mount 0}}:{{mount 1}}"),
        temporary=True,
    )
    assert len(info.active) == 3
    (system,) = info.system
    assert (system.type, list(system.options)) == ("bind", ["rbind"])
    assert {path.name for path in Path(system.source).iterdir()} == {"one", "two"}


def test_directories_are_made_below_the_root(mounts: Mounts, tmp_path: Path) -> None:
    data = mounts.containerd.root / "data"
    made = data / "made-for-a-mount"
    option = f"X-containerd.mkdir.path={made}:0751:1000:1001"
    info = mounts.activate(
        "m", Mount(type="mkdir/bind", source=str(made), options=["rbind", option])
    )
    try:
        assert list(info.active) == []
        assert list(info.system) == [Mount(type="bind", source=str(made), options=["rbind"])]
        status = made.stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o751, 1000, 1001)
        mounts.deactivate("m")
        (data / "out").symlink_to(tmp_path)
        for path, code in (
            (f"{tmp_path}/x", grpc.StatusCode.UNIMPLEMENTED),
            (f"{data}/../x", grpc.StatusCode.UNIMPLEMENTED),
            (f"{data}/nowhere/x", grpc.StatusCode.FAILED_PRECONDITION),
            # A link is followed inside of the root only.
            (f"{data}/out/x", grpc.StatusCode.FAILED_PRECONDITION),
            (f"{data}/x:999", grpc.StatusCode.INVALID_ARGUMENT),
            (f"{data}/x:755:0", grpc.StatusCode.INVALID_ARGUMENT),
        ):
            option = f"X-containerd.mkdir.path={path}"
            assert mounts.refused(Mount(type="mkdir/bind", source="/", options=[option])) is code, (
                path
            )
        assert not (tmp_path / "x").exists()
    finally:
        made.rmdir()
        with contextlib.suppress(FileNotFoundError):
            (data / "out").unlink()


def test_what_is_refused(mounts: Mounts, layers: Sequence[Path]) -> None:
    plain = bind(layers[0])
    # The caller makes these as ever.
    assert mounts.refused(plain) is grpc.StatusCode.UNIMPLEMENTED
    assert mounts.refused() is grpc.StatusCode.UNIMPLEMENTED
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert mounts.refused(overlay("lowerdir={{ mount 0 }}")) is invalid
    assert mounts.refused(plain, overlay("lowerdir={{ mount 1 }}")) is invalid
    assert mounts.refused(plain, overlay("lowerdir={{ nope 0 }}")) is invalid
    assert mounts.refused(plain, overlay("lowerdir={{ mount")) is invalid
    assert mounts.refused(Mount(type="mkfs/ext4", source="/x")) is invalid
    assert mounts.refused(Mount(type="bind", source="/", target="x"), temporary=True) is invalid
    assert mounts.refused(*[plain] * 256, temporary=True) is invalid
    assert mounts.refused(plain, temporary=True, labels={"k" * 5000: "v"}) is invalid
    # The second is refused by the kernel: the first is gone again.
    bad = Mount(type="no-such-filesystem", source="none")
    assert mounts.refused(plain, bad, temporary=True) is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as raised:
        mounts.stub.Activate(
            pb.ActivateRequest(name="x", mounts=[plain], temporary=True),
            metadata=(*HERE, ("containerd-lease", "nobody")),
        )
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert mounts.mounted() == []


def test_labels_filters_and_namespaces(mounts: Mounts, layers: Sequence[Path]) -> None:
    mounts.activate("a", bind(layers[0]), temporary=True, labels={"who": "me", "old": "1"})
    mounts.activate("b", bind(layers[0]), temporary=True)
    assert mounts.names() == ["a", "b"]
    assert mounts.names("name==b") == ["b"]
    assert mounts.names("labels.who==me") == ["a"]
    change = ActivationInfo(name="a", labels={"who": "you"})
    request = pb.UpdateRequest(info=change, update_mask={"paths": ["labels.who"]})
    found = mounts.stub.Update(request, metadata=HERE).info
    assert dict(found.labels) == {"who": "you", "old": "1"}
    assert len(found.active) == 1
    request = pb.UpdateRequest(info=change, update_mask={"paths": ["system"]})
    with pytest.raises(grpc.RpcError) as raised:
        mounts.stub.Update(request, metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    other = (("containerd-namespace", "other"),)
    assert list(mounts.stub.List(pb.ListRequest(), metadata=other)) == []
    with pytest.raises(grpc.RpcError) as raised:
        mounts.stub.Deactivate(pb.DeactivateRequest(name="a"), metadata=other)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_what_keeps_an_activation(mounts: Mounts, layers: Sequence[Path]) -> None:
    plain = bind(layers[0])
    stub = containers_pb2_grpc.ContainersStub(mounts.containerd.channel)
    container = containers_pb2.Container(
        id="keeper", runtime={"name": OURS}, spec={"type_url": "x"}
    )
    stub.Create(containers_pb2.CreateContainerRequest(container=container), metadata=HERE)
    mounts.activate("leased", plain, temporary=True)
    kept = {"containerd.io/gc.bref.container": "keeper"}
    mounts.activate("named", plain, temporary=True, leased=False, labels=kept)
    mounts.activate("nobody", plain, temporary=True, leased=False)
    mounts.containerd.collect()
    assert mounts.names() == ["leased", "named"]
    assert len(mounts.left()) == len(mounts.mounted()) == 2
    stub.Delete(containers_pb2.DeleteContainerRequest(id="keeper"), metadata=HERE)
    mounts.containerd.empty_leases()
    mounts.containerd.collect()
    assert mounts.left() == mounts.mounted() == []


def test_after_a_kill(mounts: Mounts, layers: Sequence[Path]) -> None:
    plain = bind(layers[0])
    mounts.activate("kept", plain, temporary=True)
    lost = mounts.activate("lost", plain, plain, temporary=True)
    mounts.containerd.end(signal.SIGKILL)
    # As if it had been killed while it made one.
    half = mounts.containerd.root / "state/io.containerd.mount-manager.v1.bolt/half"
    (half / "000").mkdir(parents=True)
    assert os.system(f"mount --bind {layers[0]} {half}/000") == 0
    # As a machine that was started anew: the mount is gone.
    assert os.system(f"umount {lost.active[1].mount_point}") == 0
    mounts.containerd.start()
    assert mounts.names() == ["kept"]
    assert len(mounts.left()) == len(mounts.mounted()) == 1
    assert (layers[0] / "one").read_text() == "one"


def test_a_mount_in_use_is_detached(mounts: Mounts, layers: Sequence[Path]) -> None:
    info = mounts.activate("busy", bind(layers[0]), temporary=True)
    with open(f"{info.active[0].mount_point}/one", encoding="utf-8") as file:
        mounts.deactivate("busy")
        assert mounts.mounted() == []
        assert file.read() == "one"


def test_a_task_on_mounts_made_here(mounts: Mounts, image: str) -> None:
    """As the original: what is not the shim's to mount is mounted before the task, and taken away after it."""
    containerd = mounts.containerd
    containerd.ctr("containers", "create", "--runtime", OURS, IMAGE, "formatted", "sleep", "1000")
    snapshots = snapshots_pb2_grpc.SnapshotsStub(containerd.channel)
    request = snapshots_pb2.MountsRequest(snapshotter="overlayfs", key="formatted")
    (plain,) = snapshots.Mounts(request, metadata=HERE).mounts
    lower = next(each for each in plain.options if each.startswith("lowerdir=")).removeprefix(
        "lowerdir="
    )
    below = [Mount(type="bind", source=path, options=["rbind", "ro"]) for path in lower.split(":")]
    options = [each for each in plain.options if not each.startswith("lowerdir=")]
    options.append(f"lowerdir={{{{ overlay 0 {len(below) - 1} }}}}")
    rootfs = [*below, Mount(type="format/overlay", source="overlay", options=options)]
    tasks = tasks_pb2_grpc.TasksStub(containerd.channel)
    for _ in range(2):
        tasks.Create(
            tasks_pb2.CreateTaskRequest(container_id="formatted", rootfs=rootfs), metadata=HERE
        )
        tasks.Start(tasks_pb2.StartRequest(container_id="formatted"), metadata=HERE)
        assert mounts.names() == ["formatted"]
        out = containerd.ctr("tasks", "exec", "--exec-id", "x", "formatted", "cat", "/three")
        assert out == "3"
        containerd.kill()
        containerd.ctr("tasks", "kill", "--signal", "9", "formatted")
        wait_until(lambda: "STOPPED" in containerd.ctr("tasks", "ls"))
        tasks = tasks_pb2_grpc.TasksStub(containerd.channel)
        tasks.Delete(tasks_pb2.DeleteTaskRequest(container_id="formatted"), metadata=HERE)
        assert mounts.names() == []
