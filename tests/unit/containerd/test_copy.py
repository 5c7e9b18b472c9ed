"""Copies of trees are what was copied."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from containerd.snapshots.copy import copy_tree


def _told(tree: Path) -> dict[str, tuple[object, ...]]:
    """All that a copy must keep, by the names below a tree."""
    found = {}
    for path in [tree, *sorted(tree.rglob("*"))]:
        status = path.lstat()
        content: object = None
        if path.is_symlink():
            content = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        attributes = {
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
        }
        found[str(path.relative_to(tree))] = (
            status.st_mode,
            (status.st_uid, status.st_gid),
            status.st_mtime_ns,
            status.st_nlink,
            content,
            attributes,
        )
    return found


def test_a_copy_is_the_same(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep/er").mkdir(parents=True)
    target.mkdir()
    (source / "file").write_bytes(b"x" * 100_000)
    (source / "file").chmod(0o4751)
    (source / "empty").touch()
    os.link(source / "file", source / "deep/link")
    os.symlink("/no/where", source / "deep/symlink")
    os.mkfifo(source / "deep/er/fifo", 0o640)
    if "user.x" not in os.listxattr(source / "file"):
        os.setxattr(source / "file", "user.x", b"\xff\x00")
    for path in (
        source / "deep/er/fifo",
        source / "file",
        source / "deep/er",
        source / "deep",
        source,
    ):
        os.utime(path, ns=(10**18, 10**18 + 123_456_789), follow_symlinks=False)
    os.utime(source / "deep/symlink", ns=(5, 6), follow_symlinks=False)
    (source / "deep").chmod(0o1777)
    os.utime(source / "deep", ns=(1, 2))
    before = _told(source)
    copy_tree(str(source), str(target))
    assert _told(target) == before
    assert (target / "file").stat().st_ino == (target / "deep/link").stat().st_ino
    assert (target / "file").stat().st_ino != (source / "file").stat().st_ino


def test_holes_stay_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with open(source / "sparse", "wb") as file:
        file.seek(10 << 20)
        file.write(b"middle")
        file.truncate(50 << 20)
    with open(source / "hole", "wb") as file:
        file.truncate(1 << 20)
    copy_tree(str(source), str(target))
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "hole").stat().st_size == 1 << 20
    for name in ("sparse", "hole"):
        assert (target / name).stat().st_blocks == (source / name).stat().st_blocks
