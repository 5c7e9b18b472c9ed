"""Every byte below the daemon's root, and what it is there for."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from containerd.verify.findings import Finding
from containerd.verify.store import Store

_METADATA: Final = frozenset(
    {
        # By which `dockyard` knows a folder that it made.
        ".dockyard",
        "containerd.lock",
        "metadata.db",
        "metadata.db-shm",
        "metadata.db-wal",
        "metadata.journal",
        "uuid",
    }
)
_FOLDERS: Final = frozenset(
    {
        "",
        "content",
        "content/blobs",
        "content/blobs/sha256",
        "content/blobs/sha384",
        "content/blobs/sha512",
        "content/ingest",
        "content/trash",
    }
)
_SNAPSHOTTER_FOLDERS: Final = frozenset({"", "snapshots", "trash", "fresh", "drafts"})
_BLOCK: Final = 512


@dataclass(slots=True)
class Accounts:
    """Bytes on disk by what they are for, and those that no record explains, by path."""

    bytes: Counter[str] = field(default_factory=Counter)
    unaccounted: dict[str, int] = field(default_factory=dict)


def account(store: Store) -> Accounts:
    """Look at every file once."""
    found = Accounts()
    outside = [
        folder
        for folder in (store.overlay, store.native)
        if os.path.relpath(folder, store.root).startswith("..")
    ]
    for root in (store.root, *outside):
        _walk(store, root, found)
    return found


def verify(store: Store) -> Iterator[Finding]:
    """What is unaccounted, and the sums."""
    found = account(store)
    for path, size in sorted(found.unaccounted.items()):
        text = (
            f"{size} bytes that no record explains: something under way, or what a death left,"
            " which the next start removes"
        )
        yield Finding(level="warning", subject="disk", text=text, path=path)
    sums = ", ".join(f"{kind} {size}" for kind, size in sorted(found.bytes.items()))
    left = sum(found.unaccounted.values())
    yield Finding(level="ok", subject="disk", text=f"bytes: {sums}, unaccounted {left}")


def _walk(store: Store, root: str, found: Accounts) -> None:
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda each: each.name)
        except FileNotFoundError:
            continue
        for entry in entries:
            kind = _kind(store, entry.path)
            if kind == "folder" and entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
                continue
            size = _size(entry.path)
            if kind in {"", "folder"}:
                found.unaccounted[entry.path] = size
            else:
                found.bytes[kind] += size


def _kind(store: Store, path: str) -> str:
    """What a path is there for; ``folder`` for those that are looked into, empty if nothing explains it."""
    for folder in (store.overlay, store.native):
        below = os.path.relpath(path, folder)
        if not below.startswith(".."):
            return _snapshot_kind(store, below)
    inside = os.path.relpath(path, store.root)
    above = (f"{folder}/".startswith(f"{path}/") for folder in (store.overlay, store.native))
    if inside in _FOLDERS or any(above):
        return "folder"
    if inside in _METADATA:
        return "metadata"
    parent, name = os.path.split(inside)
    if parent.startswith("content/blobs/"):
        digest = f"{os.path.basename(parent)}:{name}"
        return "blobs" if digest in store.blobs or digest in store.ingests.values() else ""
    if parent == "content/ingest":
        return "ingests" if name.isdigit() and int(name) in store.ingests else ""
    return ""


def _snapshot_kind(store: Store, inside: str) -> str:
    if inside == "." or inside in _SNAPSHOTTER_FOLDERS:
        return "folder"
    parts = inside.split("/")
    if parts[0] == "snapshots" and parts[1].isdigit() and int(parts[1]) in store.snapshots:
        if len(parts) == 2:
            return "folder"
        return "snapshots" if parts[2] in {"fs", "work"} else ""
    return ""


def _size(path: str) -> int:
    """The blocks of a file, or of a directory and everything in it, hard links once."""
    size, pending, seen = 0, [path], set()
    while pending:
        each = pending.pop()
        try:
            status = os.lstat(each)
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            size += status.st_blocks * _BLOCK
            if stat.S_ISDIR(status.st_mode):
                pending += (os.path.join(each, name) for name in os.listdir(each))
        except FileNotFoundError:
            continue
    return size
