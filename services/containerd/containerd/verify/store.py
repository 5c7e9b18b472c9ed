"""What the metadata says, read beside a daemon that may be running, and where its files are."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from containerd.gc.graph import SNAPSHOTTER
from containerd.images.labels import CONTENT, SNAPSHOT
from containerd.metadata import failures
from wire.errors import NotFound
from wire.gen.containerd.services.images.v1 import images_pb2

_SOURCE: Final = "containerd.io/distribution.source."
_CONFIG: Final = f"{CONTENT}.config"
_LAYER: Final = f"{CONTENT}.l."


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that some namespace knows, with the labels of all of them."""

    digest: str
    size: int
    labels: Mapping[str, str]

    @property
    def sources(self) -> Iterator[tuple[str, str]]:
        """The hosts (without ports) and repositories that it came from."""
        for key, value in self.labels.items():
            if key.startswith(_SOURCE):
                for repository in value.split(","):
                    yield key.removeprefix(_SOURCE), repository

    @property
    def children(self) -> list[str]:
        """What it refers to, by its labels: they tell it also when its bytes are damaged."""
        return [value for key, value in self.labels.items() if key.startswith(CONTENT)]

    @property
    def layers(self) -> list[str]:
        """The layers of a manifest, the lowest first."""
        numbered = {
            int(key.removeprefix(_LAYER)): value
            for key, value in self.labels.items()
            if key.startswith(_LAYER) and key.removeprefix(_LAYER).isdigit()
        }
        return [numbered[number] for number in sorted(numbered)]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot; ``parent`` is a number or None, ``kind`` as in ``snapshots.overlay.Kind``."""

    number: int
    namespace: str
    name: str
    parent: int | None
    kind: int
    snapshotter: str = SNAPSHOTTER


@dataclass(slots=True)
class Store:
    """Everything that is recorded. ``images`` are their targets by name, whatever the namespace."""

    root: str
    overlay: str
    native: str
    blobs: dict[str, Blob] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    ingests: dict[int, str] = field(default_factory=dict)

    def path(self, digest: str) -> str:
        """A blob's file."""
        return os.path.join(self.root, "content", "blobs", *digest.split(":", 1))

    def folder(self, number: int) -> str:
        """A snapshot's directory."""
        ours = self.snapshots[number].snapshotter == SNAPSHOTTER
        return os.path.join(self.overlay if ours else self.native, "snapshots", str(number))

    def names(self) -> dict[str, set[str]]:
        """The images that need each blob."""
        found: dict[str, set[str]] = {}
        for name, target in self.images.items():
            pending = [target]
            while pending:
                digest = pending.pop()
                users = found.setdefault(digest, set())
                if name not in users:
                    users.add(name)
                    if digest in self.blobs:
                        pending += self.blobs[digest].children
        return found

    def unpacked(self) -> Iterator[tuple[str, Sequence[str], str]]:
        """For each manifest that was unpacked: its config's digest, its layers, and the name of its topmost snapshot."""
        for blob in self.blobs.values():
            config = self.blobs.get(blob.labels.get(_CONFIG, ""))
            top = config.labels.get(f"{SNAPSHOT}.{SNAPSHOTTER}") if config else None
            if config and top:
                yield config.digest, blob.layers, top


def read(root: str, overlay: str, native: str) -> Store:
    """Read the records; raises NotFound if there are none, and what ``failures.translate`` makes of SQLite's errors."""
    path = os.path.join(root, "metadata.db")
    if not os.path.exists(path):
        raise NotFound(f"{path} does not exist; containerd makes it when it starts")
    store = Store(root, overlay, native)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            _fill(store, connection)
    except sqlite3.Error as error:
        raise failures.translate(path, error) from None
    return store


def _fill(store: Store, connection: sqlite3.Connection) -> None:
    for digest, size, labels in connection.execute("SELECT digest, size, labels FROM blobs"):
        known = store.blobs.get(digest)
        merged = {**(known.labels if known else {}), **json.loads(labels)}
        store.blobs[digest] = Blob(digest, size, merged)
    for name, data in connection.execute("SELECT name, data FROM records WHERE kind = 'image'"):
        store.images[name] = images_pb2.Image.FromString(data).target.digest
    columns = "id, namespace, name, parent, kind"
    # A daemon of before may have written it last.
    if any(row[1] == "snapshotter" for row in connection.execute("PRAGMA table_info(snapshots)")):
        columns += ", snapshotter"
    for row in connection.execute(f"SELECT {columns} FROM snapshots"):  # noqa: S608 - constants
        store.snapshots[row[0]] = Snapshot(*row)
    store.ingests.update(connection.execute("SELECT id, expected FROM ingests").fetchall())
