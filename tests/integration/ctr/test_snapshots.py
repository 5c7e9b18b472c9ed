"""ctr snapshots, and layers computed from them."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from tests.support.containerd import Containerd

from wire.gen.containerd.services.content.v1 import content_pb2, content_pb2_grpc
from wire.gen.containerd.services.diff.v1 import diff_pb2, diff_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc

HERE = (("containerd-namespace", "default"),)


@pytest.fixture
def top(containerd: Containerd, image: str) -> Iterator[str]:
    """The topmost snapshot of the image; what is made on top of it goes in the end."""
    yield _committed(containerd)[-1]
    for line in reversed(containerd.ctr("snapshots", "ls").splitlines()[1:]):
        if not line.startswith("sha256:"):
            containerd.call("snapshots", "rm", line.split()[0])


def _committed(containerd: Containerd) -> list[str]:
    lines = containerd.ctr("snapshots", "ls").splitlines()[1:]
    return [line.split()[0] for line in lines if line.endswith("Committed ")]


@contextlib.contextmanager
def _mounted(containerd: Containerd, key: str, target: Path) -> Iterator[Path]:
    target.mkdir(exist_ok=True)
    command = containerd.ctr("snapshots", "mounts", target, key)
    subprocess.run(command.split(), check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)


def _change(tree: Path) -> None:
    (tree / "new").write_text("new\n")
    (tree / "three").unlink()
    os.link(tree / "new", tree / "same")
    (tree / "dir/sub").mkdir(parents=True)
    (tree / "dir/sub/file").write_text("1")
    os.mkfifo(tree / "dir/fifo")
    os.symlink("/nowhere", tree / "link")
    os.setxattr(tree / "new", "user.mine", b"\xff\x00")
    for path in (tree / "data").iterdir():
        path.unlink()
    (tree / "data").rmdir()
    (tree / "data").mkdir()
    (tree / "data/other").write_text("x")
    os.chmod(tree / "bin/busybox", 0o700)


CHANGED = {
    "bin",
    "bin/busybox",
    "data",
    "data/.wh.seed",
    "data/other",
    "dir",
    "dir/fifo",
    "dir/sub",
    "dir/sub/file",
    "link",
    "new",
    "same",
    ".wh.three",
}


def test_prepare_commit_and_remove(containerd: Containerd, top: str, tmp_path: Path) -> None:
    containerd.ctr("snapshots", "prepare", "work", top)
    assert "already exists" in containerd.fails("snapshots", "prepare", "work", top)
    with _mounted(containerd, "work", tmp_path / "m") as tree:
        (tree / "new").write_text("1" * 5000)
    usage = containerd.ctr("snapshots", "usage", "work").splitlines()[1].split()
    assert float(usage[1]) >= 8
    containerd.ctr("snapshots", "commit", "--", "done", "work")
    assert "does not exist" in containerd.fails("snapshots", "info", "work")
    assert '"Kind": "Committed"' in containerd.ctr("snapshots", "info", "done")
    assert "cannot be mounted" in containerd.fails("snapshots", "mounts", "/nowhere", "done")
    assert "cannot remove snapshot with child" in containerd.fails("snapshots", "rm", top)
    assert containerd.ctr("snapshots", "label", "done", "a=b").split(",").count("a=b") == 1
    assert containerd.ctr("snapshots", "tree").splitlines()[-1].endswith("done")
    containerd.ctr("snapshots", "rm", "done")
    assert containerd.directories() == {str(number) for number in (_numbers(containerd))}


def _numbers(containerd: Containerd) -> list[int]:
    """The directories that the committed snapshots have."""
    found = []
    for name in _committed(containerd):
        stub = snapshots_pb2_grpc.SnapshotsStub(containerd.channel)
        key = f"look-{name}"
        request = snapshots_pb2.ViewSnapshotRequest(snapshotter="overlayfs", key=key, parent=name)
        mounts = stub.View(request, metadata=HERE).mounts
        text = " ".join([mounts[0].source, *mounts[0].options])
        path = text.partition("lowerdir=")[2] or text
        found.append(int(path.split(":")[0].split("/snapshots/")[1].split("/")[0]))
        remove = snapshots_pb2.RemoveSnapshotRequest(snapshotter="overlayfs", key=key)
        stub.Remove(remove, metadata=HERE)
    return found


def test_a_view_is_read_only(containerd: Containerd, top: str, tmp_path: Path) -> None:
    # The client labels no view: nothing keeps one once a collection comes by.
    containerd.collect()
    containerd.ctr("snapshots", "view", "seen", top)
    with _mounted(containerd, "seen", tmp_path / "m") as tree:
        assert (tree / "three").read_text() == "3\n"
        with pytest.raises(OSError, match="Read-only"):
            (tree / "new").write_text("1")
    containerd.ctr("snapshots", "view", "base", _committed(containerd)[0])
    with _mounted(containerd, "base", tmp_path / "m") as tree:
        assert (tree / "bin/busybox").exists()
        with pytest.raises(OSError, match="Read-only"):
            (tree / "new").write_text("1")


def test_only_committed_snapshots_are_parents(containerd: Containerd, top: str) -> None:
    containerd.ctr("snapshots", "prepare", "work", top)
    error = containerd.fails("snapshots", "prepare", "other", "work")
    assert 'parent "work" is not committed snapshot' in error
    assert "does not exist" in containerd.fails("snapshots", "prepare", "other", "nope")
    assert "snapshotter not loaded: zfs" in containerd.fails(
        "snapshots", "--snapshotter", "zfs", "ls"
    )


def test_diff_of_an_active_snapshot(containerd: Containerd, top: str, tmp_path: Path) -> None:
    containerd.ctr("snapshots", "prepare", "work", top)
    with _mounted(containerd, "work", tmp_path / "m") as tree:
        _change(tree)
    data = subprocess.run(
        ["ctr", "--address", containerd.address, "snapshots", "diff", "work"],
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        members = {member.name: member for member in archive}
    assert set(members) == CHANGED
    assert members["same"].linkname == "new" or members["new"].linkname == "same"
    assert members["link"].linkname == "/nowhere"
    assert members["dir/fifo"].isfifo()
    assert members["bin/busybox"].mode == 0o700
    assert "SCHILY.xattr.user.mine" in members["new"].pax_headers


def test_diff_between_committed_snapshots(containerd: Containerd, top: str, tmp_path: Path) -> None:
    """Two trees of which the one is not the upper directory of the other."""
    containerd.ctr("snapshots", "prepare", "work", top)
    with _mounted(containerd, "work", tmp_path / "m") as tree:
        _change(tree)
    containerd.ctr("snapshots", "commit", "--", "done", "work")
    data = subprocess.run(
        ["ctr", "--address", containerd.address, "snapshots", "diff", top, "done"],
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        names = set(archive.getnames())
    assert names == CHANGED


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ],
)
def test_a_diff_can_be_applied(
    containerd: Containerd, top: str, tmp_path: Path, media_type: str
) -> None:
    snapshots = snapshots_pb2_grpc.SnapshotsStub(containerd.channel)
    diffs = diff_pb2_grpc.DiffStub(containerd.channel)
    containerd.ctr("snapshots", "prepare", "work", top)
    with _mounted(containerd, "work", tmp_path / "m") as tree:
        _change(tree)

    def mounts(key: str) -> list:
        request = snapshots_pb2.MountsRequest(snapshotter="overlayfs", key=key)
        return list(snapshots.Mounts(request, metadata=HERE).mounts)

    containerd.collect()
    containerd.ctr("snapshots", "view", "below", top)
    made = diffs.Diff(
        diff_pb2.DiffRequest(
            left=mounts("below"),
            right=mounts("work"),
            media_type=media_type,
            labels={"containerd.io/gc.root": "1"},
        ),
        metadata=HERE,
    ).diff
    assert made.media_type == media_type
    path = containerd.root / "data/content/blobs/sha256" / made.digest.removeprefix("sha256:")
    assert path.stat().st_size == made.size
    raw = path.read_bytes()
    if media_type.endswith("gzip"):
        raw = gzip.decompress(raw)
    elif media_type.endswith("zstd"):
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        assert set(archive.getnames()) == CHANGED
    containerd.ctr("snapshots", "prepare", "applied", top)
    applied = diffs.Apply(
        diff_pb2.ApplyRequest(diff=made, mounts=mounts("applied"), sync_fs=True), metadata=HERE
    ).applied
    info = content_pb2_grpc.ContentStub(containerd.channel).Info(
        content_pb2.InfoRequest(digest=made.digest), metadata=HERE
    )
    assert applied.digest == info.info.labels["containerd.io/uncompressed"]
    assert applied.size == len(raw)
    with _mounted(containerd, "applied", tmp_path / "m") as tree:
        assert (tree / "new").read_text() == "new\n"
        assert (tree / "new").stat().st_ino == (tree / "same").stat().st_ino
        assert os.getxattr(tree / "new", "user.mine") == b"\xff\x00"
        assert not (tree / "three").exists()
        assert [path.name for path in (tree / "data").iterdir()] == ["other"]
    containerd.ctr("content", "rm", made.digest)


def test_an_untouched_snapshot_differs_in_nothing(containerd: Containerd, top: str) -> None:
    containerd.ctr("snapshots", "prepare", "work", top)
    data = subprocess.run(
        ["ctr", "--address", containerd.address, "snapshots", "diff", "work"],
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        assert archive.getnames() == []


def test_foreign_media_types_are_refused(containerd: Containerd, top: str) -> None:
    containerd.ctr("snapshots", "prepare", "work", top)
    words = ("snapshots", "diff", "--media-type", "application/x-7z", "work")
    assert "unsupported diff media type: application/x-7z" in containerd.fails(*words)
