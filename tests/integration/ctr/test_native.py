"""The native snapshotter: everything that ctr does with `--snapshotter native`, here by its environment variable."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.integration.ctr.conftest import IMAGE
from tests.integration.ctr.test_verify import verify
from tests.support.containerd import OURS, Containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry
from tests.support.stack import wait_until

from wire import typeurl
from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc
from wire.gen.containerd.services.transfer.v1 import transfer_pb2, transfer_pb2_grpc
from wire.gen.containerd.types.transfer import imagestore_pb2, registry_pb2

HERE = (("containerd-namespace", "default"),)


@pytest.fixture(autouse=True)
def _by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINERD_SNAPSHOTTER", "native")


@pytest.fixture
def native(containerd: Containerd) -> Iterator[Containerd]:
    """The daemon, without snapshots before and after."""
    yield containerd
    containerd.empty()
    # What ctr prepares is never garbage.
    for name in reversed(names(containerd)):
        containerd.call("snapshots", "rm", name)
    assert directories(containerd) == set()
    assert containerd.directories() == set()


def directories(containerd: Containerd) -> set[str]:
    """The directories of native snapshots, and of what is left of them."""
    folder = containerd.root / "data/native"
    return {path.name for each in folder.iterdir() for path in each.iterdir()}


def names(containerd: Containerd) -> list[str]:
    return [line.split()[0] for line in containerd.ctr("snapshots", "ls").splitlines()[1:]]


def test_pull_run_change_and_remove(native: Containerd, registry: Registry) -> None:
    layers = [busybox_layer(), layer({"two": b"2\n"}), layer({".wh.two": b"", "three": b"3\n"})]
    name = registry.push(docker_archive("x:1", layers), "native:1")
    native.ctr("images", "pull", "--plain-http", name)
    assert len(names(native)) == 3
    assert native.ctr("snapshots", "--snapshotter", "overlayfs", "ls").splitlines()[1:] == []
    run = ("run", "--runtime", OURS)
    script = "cat /three; ls /two; echo mine > /three; cat /three"
    assert native.ctr(*run, "--rm", name, "one", "sh", "-c", script).splitlines() == ["3", "mine"]
    # The image is as before, and what is written is another container's business.
    assert native.ctr(*run, "-d", name, "two", "sleep", "1000") == ""
    assert native.ctr("tasks", "exec", "--exec-id", "x", "two", "cat", "/three") == "3"
    root = next(native.root.glob("state/io.containerd.runtime.v2.task/default/two/rootfs"))
    assert (
        "overlay"
        not in subprocess.run(
            ["findmnt", "-no", "FSTYPE", root], capture_output=True, text=True, check=True
        ).stdout
    )
    native.kill()
    assert len(names(native)) == 4
    native.ctr("tasks", "kill", "--signal", "9", "two")
    wait_until(lambda: "STOPPED" in native.ctr("tasks", "ls"))
    native.call("tasks", "delete", "two")
    native.ctr("containers", "rm", "two")
    # Whatever the container's record names keeps its snapshot, and that all below it.
    native.ctr("images", "rm", "--sync", name)
    assert names(native) == []
    assert directories(native) == set()


def test_prepare_view_commit_and_remove(native: Containerd, tmp_path: Path) -> None:
    native.ctr("snapshots", "prepare", "base")
    base = _path(native, "base")
    (base / "kept").write_text("1" * 5000)
    os.chown(base / "kept", 1000, 1001)
    (base / "kept").chmod(0o4755)
    os.chmod(base, 0o711)
    os.link(base / "kept", base / "same")
    os.mknod(base / "device", 0o20600, os.makedev(1, 3))
    native.ctr("snapshots", "commit", "--", "low", "base")
    assert "does not exist" in native.fails("snapshots", "info", "base")
    native.ctr("snapshots", "prepare", "work", "low")
    work = _path(native, "work")
    status = (work / "kept").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_nlink) == (
        0o4755,
        1000,
        1001,
        2,
    )
    assert (work / "device").stat().st_rdev == os.makedev(1, 3)
    assert work.stat().st_mode & 0o7777 == 0o711
    (work / "new").write_text("x")
    assert not (base / "new").exists()
    diff = subprocess.run(
        ["ctr", "--address", native.address, "snapshots", "diff", "work"],
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(diff)) as found:
        assert found.getnames() == ["new"]
    assert float(native.ctr("snapshots", "usage", "work").splitlines()[1].split()[1]) >= 8
    native.ctr("snapshots", "view", "seen", "low")
    assert _path(native, "seen") == base
    assert "already exists" in native.fails("snapshots", "prepare", "work", "low")
    assert "does not exist" in native.fails("snapshots", "prepare", "other", "nope")
    assert "not committed" in native.fails("snapshots", "prepare", "other", "work")
    assert "cannot remove snapshot with child" in native.fails("snapshots", "rm", "low")
    # The same names are free in the other snapshotter.
    native.ctr("snapshots", "--snapshotter", "overlayfs", "prepare", "work")
    native.ctr("snapshots", "--snapshotter", "overlayfs", "rm", "work")
    for name in ("seen", "work", "low"):
        native.ctr("snapshots", "rm", name)
    assert directories(native) == set()


def _path(containerd: Containerd, key: str) -> Path:
    stub = snapshots_pb2_grpc.SnapshotsStub(containerd.channel)
    request = snapshots_pb2.MountsRequest(snapshotter="native", key=key)
    (mount,) = stub.Mounts(request, metadata=HERE).mounts
    assert mount.type == "bind"
    return Path(mount.source)


def _pull(containerd: Containerd, reference: str, *snapshotters: str) -> None:
    source = registry_pb2.OCIRegistry(reference=reference)
    destination = imagestore_pb2.ImageStore(
        name=reference, unpacks=[{"snapshotter": each} for each in snapshotters]
    )
    request = transfer_pb2.TransferRequest(
        source=typeurl.pack(source), destination=typeurl.pack(destination)
    )
    transfer_pb2_grpc.TransferStub(containerd.channel).Transfer(request, metadata=HERE)


def test_the_transfer_service_unpacks_for_whom_is_named(
    native: Containerd, registry: Registry
) -> None:
    layers = [busybox_layer(), layer({"two": b"2\n"}), layer({".wh.two": b"", "three": b"3\n"})]
    name = registry.push(docker_archive("x:1", layers), "native:2")
    _pull(native, name, "native")
    assert len(names(native)) == 3
    assert native.ctr("snapshots", "--snapshotter", "overlayfs", "ls").splitlines()[1:] == []
    assert native.ctr("run", "--rm", "--runtime", OURS, name, "one", "ls", "/three") == "/three"
    # Their bytes are accounted for; one that is gone is told of.
    assert verify(native) == (0, [])
    gone = min((native.root / "data/native/snapshots").iterdir())
    gone.rename(native.root / "aside")
    code, (found,) = verify(native)
    assert (code, found["path"], "is missing" in found["text"]) == (1, str(gone), True)
    (native.root / "aside").rename(gone)
    # And then for the other, with the same content; each keeps its own.
    _pull(native, name, "")
    native.collect()
    listed = native.ctr("snapshots", "--snapshotter", "overlayfs", "ls").splitlines()[1:]
    assert len(listed) == len(names(native)) == 3
    for snapshotters, code in (
        (("zfs",), grpc.StatusCode.INVALID_ARGUMENT),
        (("native", "overlayfs"), grpc.StatusCode.UNIMPLEMENTED),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            _pull(native, name, *snapshotters)
        assert raised.value.code() is code


def test_two_snapshotters_side_by_side(native: Containerd, archive: Path) -> None:
    native.ctr("images", "import", archive)
    native.ctr("images", "import", "--snapshotter", "overlayfs", archive)
    both = [("one", "native"), ("two", "overlayfs")]
    for name, snapshotter in both:
        words = ("run", "-d", "--runtime", OURS, "--snapshotter", snapshotter, IMAGE, name)
        native.ctr(*words, "sleep", "1000")
    native.ctr("images", "rm", "--sync", IMAGE)
    native.collect()
    for name, _ in both:
        assert native.ctr("tasks", "exec", "--exec-id", "x", name, "cat", "/three") == "3"
    stub = containers_pb2_grpc.ContainersStub(native.channel)
    found = stub.List(containers_pb2.ListContainersRequest(), metadata=HERE).containers
    assert {each.id: each.snapshotter for each in found} == dict(both)
    error = native.fails("namespaces", "rm", "default")
    assert 'snapshots on "overlayfs" snapshotter' in error or "containers" in error


def test_plugins_and_namespaces(native: Containerd) -> None:
    assert "native" in native.ctr("plugins", "ls")
    native.ctr("-n", "other", "snapshots", "prepare", "x")
    assert 'snapshots on "native" snapshotter' in native.fails("namespaces", "rm", "other")
    native.ctr("-n", "other", "snapshots", "rm", "x")
    native.ctr("namespaces", "rm", "other")


def test_what_a_kill_leaves_is_swept(native: Containerd) -> None:
    native.ctr("snapshots", "prepare", "kept")
    native.end(9)
    for folder in ("fresh", "drafts", "trash", "snapshots"):
        (native.root / "data/native" / folder / "99/fs").mkdir(parents=True)
    native.start()
    assert directories(native) == {_path(native, "kept").parent.name}
    native.ctr("snapshots", "rm", "kept")
