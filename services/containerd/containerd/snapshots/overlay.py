"""The overlayfs snapshotter: one directory a snapshot, stacked by mount options."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from containerd.events.exchange import Exchange
from containerd.linux.syscalls import spread, sync_filesystem
from containerd.metadata import leases
from containerd.metadata.db import Database
from containerd.metadata.namespaces import ensure
from wire import namespaces
from wire.atomic import ensure_directory, sync_directory
from wire.errors import AlreadyExists, EngineError, FailedPrecondition, InvalidArgument, NotFound
from wire.gen.containerd.events import snapshot_pb2 as events
from wire.identifiers import validate_labels

SNAPSHOTTER: Final = "overlayfs"
# On a snapshot that is being filled: the name that it is to have. One that has it already is not made again.
TARGET_LABEL: Final = "containerd.io/snapshot.ref"
_COLUMNS: Final = "id, name, parent, kind, created, updated, labels, size, inodes"


class Kind(IntEnum):
    """As in the service's enum."""

    VIEW = 1
    ACTIVE = 2
    COMMITTED = 3


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount that the caller makes."""

    type: str
    source: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """One snapshot; ``parent`` is a name."""

    number: int
    name: str
    parent: str
    kind: Kind
    created: int
    updated: int
    labels: dict[str, str]
    size: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Draft:
    """The files of a layer before it is a snapshot; a crash leaves nothing of it."""

    path: str

    @property
    def files(self) -> str:
        """Where they are."""
        return f"{self.path}/fs"

    def discard(self) -> None:
        """Remove it, unless it was adopted. Blocking."""
        shutil.rmtree(self.path, ignore_errors=True)


class OverlaySnapshotter:
    """Snapshots of all namespaces below one directory.

    What is special to overlayfs is in ``_fill`` and ``_mounts``: whoever stacks directories in another way has others.
    """

    name: ClassVar[str] = SNAPSHOTTER

    def __init__(self, root: str, database: Database, exchange: Exchange) -> None:
        self._directory = os.path.join(root, "snapshots")
        self._trash = os.path.join(root, "trash")
        self._fresh = os.path.join(root, "fresh")
        self._drafts = os.path.join(root, "drafts")
        self._held = f"snapshots/{self.name}"
        self._database = database
        self._exchange = exchange
        self._removals: set[asyncio.Future[None]] = set()
        for unfinished in (self._fresh, self._drafts):
            shutil.rmtree(unfinished, ignore_errors=True)
        for directory in (self._directory, self._trash, self._fresh, self._drafts):
            ensure_directory(directory)
        # ext4 without a journal looks at each inode that was freed in the last minutes before it takes another one near it:
        # a layer's thousands of files must not stand where an image was just removed.
        spread(self._drafts)

    def upper(self, number: int) -> str:
        """Where a snapshot's own files are."""
        return f"{self._directory}/{number}/fs"

    async def prepare(
        self, name: str, parent: str, labels: dict[str, str], *, view: bool = False
    ) -> Sequence[Mount]:
        """A writable snapshot (or, as view, a read-only one) on top of a committed one.

        Raises AlreadyExists, also if the snapshot that this one is to become exists; the current lease holds it then.
        """
        kind = Kind.VIEW if view else Kind.ACTIVE
        validate_labels(labels)
        fresh = f"{self._fresh}/{os.urandom(8).hex()}"
        for path, mode in ((fresh, 0o711), (f"{fresh}/work", 0o711), (f"{fresh}/fs", 0o755)):
            os.mkdir(path, mode)
        try:
            if parent:
                await self._fill(f"{fresh}/fs", parent, kind)
            await self._database.call(
                self._insert, namespaces.current(), name, parent, kind, labels, fresh
            )
        except EngineError:
            # After any other failure it may be in use; the next start finds what is left of it.
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        if os.path.exists(fresh):
            shutil.rmtree(fresh, ignore_errors=True)
            raise AlreadyExists(f'snapshot "{labels.get(TARGET_LABEL) or name}": already exists')
        parents = await self._parents(name)
        if not view:
            self._exchange.publish(
                "/snapshot/prepare",
                events.SnapshotPrepare(key=name, parent=parent, snapshotter=self.name),
            )
        return self._mounts(parents, kind)

    async def _fill(self, directory: str, parent: str, kind: Kind) -> None:
        """Put into a new snapshot's directory what its parent's mount does not bring."""

    async def mounts(self, name: str) -> Sequence[Mount]:
        """The mounts of an active snapshot or view; raises NotFound, FailedPrecondition."""
        info = await self.stat(name)
        if info.kind is Kind.COMMITTED:
            raise FailedPrecondition(
                f"snapshot {name} is committed, it cannot be mounted: failed precondition"
            )
        return self._mounts(await self._parents(name), info.kind)

    async def commit(self, name: str, key: str, labels: Mapping[str, str]) -> None:
        """Make an active snapshot a committed one named ``name`` with these labels, after its files are on disk."""
        validate_labels(labels)
        info = await self.stat(key)
        if info.kind is not Kind.ACTIVE:
            raise FailedPrecondition(f"snapshot {key} is not active: failed precondition")
        size, inodes = await asyncio.to_thread(self._seal, info.number)

        def update(connection: sqlite3.Connection, namespace: str) -> bool:
            leases.hold(connection, namespace, self._held, name)
            now = time.time_ns()
            try:
                cursor = connection.execute(
                    "UPDATE snapshots SET name = ?, kind = ?, labels = ?, size = ?, inodes = ?, created = ?,"
                    " updated = ? WHERE id = ?",
                    (
                        name,
                        Kind.COMMITTED,
                        json.dumps(dict(labels)),
                        size,
                        inodes,
                        now,
                        now,
                        info.number,
                    ),
                )
            except sqlite3.IntegrityError:
                return False
            if not cursor.rowcount:
                raise NotFound(f"snapshot {key} does not exist: not found")
            leases.release(connection, namespace, self._held, key)
            return True

        if not await self._database.call(update, namespaces.current()):
            raise AlreadyExists(f'snapshot "{name}": already exists')
        self._exchange.publish(
            "/snapshot/commit",
            events.SnapshotCommit(key=key, name=name, snapshotter=self.name),
        )

    def draft(self) -> Draft:
        """A directory for the files of a layer that is to be adopted. Blocking; whoever made it discards it."""
        path = f"{self._drafts}/{os.urandom(8).hex()}"
        for each, mode in ((path, 0o711), (f"{path}/work", 0o711), (f"{path}/fs", 0o755)):
            os.mkdir(each, mode)
        return Draft(path)

    async def adopt(self, drafts: Sequence[tuple[str, Draft]], parent: str) -> None:
        """Make drafts a chain of committed snapshots with these names on top of ``parent``, all at once.

        Their files are on disk before. A name that exists already stays, and its draft is left alone.
        """
        usages = await asyncio.to_thread(self._seal_all, [draft for _, draft in drafts])

        def insert(connection: sqlite3.Connection, namespace: str) -> Sequence[str]:
            ensure(connection, namespace)
            below = self._find(connection, namespace, parent).number if parent else None
            made = []
            for (name, draft), (size, inodes) in zip(drafts, usages, strict=True):
                leases.hold(connection, namespace, self._held, name)
                if self._exists(connection, namespace, name):
                    below = self._find(connection, namespace, name).number
                    continue
                now = time.time_ns()
                labels = json.dumps({TARGET_LABEL: name})
                cursor = connection.execute(
                    "INSERT INTO snapshots (snapshotter, namespace, name, parent, kind, created, updated, labels, size,"
                    " inodes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        self.name,
                        namespace,
                        name,
                        below,
                        Kind.COMMITTED,
                        now,
                        now,
                        labels,
                        size,
                        inodes,
                    ),
                )
                below = cursor.lastrowid
                os.rename(draft.path, f"{self._directory}/{below}")
                made.append(name)
            if made:
                # The files were synced under their old names.
                sync_directory(self._directory)
            return made

        for name in await self._database.call(insert, namespaces.current()):
            self._exchange.publish(
                "/snapshot/commit",
                events.SnapshotCommit(key=name, name=name, snapshotter=self.name),
            )

    def _seal_all(self, drafts: Sequence[Draft]) -> Sequence[tuple[int, int]]:
        descriptor = os.open(self._fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_filesystem(descriptor)
        finally:
            os.close(descriptor)
        return [_usage(draft.files) for draft in drafts]

    async def stat(self, name: str) -> Info:
        """A snapshot of the current namespace; raises NotFound."""
        return await self._database.call(self._find, namespaces.current(), name)

    async def held(self, names: Sequence[str]) -> int:
        """How many snapshots of a chain there are, from the lowest on; the current lease holds these then."""

        def hold(connection: sqlite3.Connection, namespace: str) -> int:
            for number, name in enumerate(names):
                if not self._exists(connection, namespace, name):
                    return number
                leases.hold(connection, namespace, self._held, name)
            return len(names)

        return await self._database.call(hold, namespaces.current())

    async def list(self) -> list[Info]:
        """The snapshots of the current namespace."""

        def select(connection: sqlite3.Connection, namespace: str) -> list[Info]:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM snapshots WHERE snapshotter = ? AND namespace = ? ORDER BY id",  # noqa: S608 - a constant
                (self.name, namespace),
            ).fetchall()
            names = {row[0]: row[1] for row in rows}
            return [_info(row, names.get(row[2], "")) for row in rows]

        return await self._database.call(select, namespaces.current())

    async def usage(self, name: str) -> tuple[int, int]:
        """Bytes and inodes that the snapshot itself takes."""
        info = await self.stat(name)
        if info.kind is Kind.COMMITTED:
            return info.size, info.inodes
        return await asyncio.to_thread(_usage, self.upper(info.number))

    async def layers(self, name: str) -> Sequence[str]:
        """The directories of a snapshot and all below it, the topmost first."""
        return [self.upper(number) for number in await self._parents(name)]

    async def set_labels(self, name: str, labels: Mapping[str, str], *, replace: bool) -> None:
        """Set labels, an empty value removing one; ``replace`` removes those that are not given. Raises NotFound."""

        def update(connection: sqlite3.Connection, namespace: str) -> None:
            known = self._find(connection, namespace, name).labels
            merged = {**({} if replace else known), **labels}
            validate_labels(merged)
            kept = {key: value for key, value in merged.items() if value}
            connection.execute(
                "UPDATE snapshots SET labels = ?, updated = ? WHERE snapshotter = ? AND namespace = ? AND name = ?",
                (json.dumps(kept), time.time_ns(), self.name, namespace, name),
            )

        await self._database.call(update, namespaces.current())

    async def remove(self, name: str) -> None:
        """Remove a snapshot without children; raises NotFound, FailedPrecondition.

        A caller that goes away changes nothing: once the record is deleted, nobody else looks for the directory before the
        next start.
        """
        removal = asyncio.ensure_future(self._remove(name))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)
        await asyncio.shield(removal)

    async def _remove(self, name: str) -> None:
        def delete(connection: sqlite3.Connection, namespace: str) -> int:
            info = self._find(connection, namespace, name)
            try:
                connection.execute("DELETE FROM snapshots WHERE id = ?", (info.number,))
            except sqlite3.IntegrityError:
                raise FailedPrecondition(
                    f"cannot remove snapshot with child: {name}: failed precondition"
                ) from None
            leases.release(connection, namespace, self._held, name)
            return info.number

        await self.discard(await self._database.call(delete, namespaces.current()))
        self._exchange.publish(
            "/snapshot/remove", events.SnapshotRemove(key=name, snapshotter=self.name)
        )

    async def discard(self, number: int) -> None:
        """Remove the directory of a snapshot whose record is gone; a crash leaves it for ``sweep``."""
        trash = f"{self._trash}/{number}-{time.monotonic_ns()}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{self._directory}/{number}", trash)
            await asyncio.to_thread(shutil.rmtree, trash, ignore_errors=True)

    async def sweep(self) -> None:
        """Remove directories that no record knows: what a crash left behind."""
        for name in await self._database.call(self._strays):
            await self.discard(int(name))
        for name in os.listdir(self._trash):
            await asyncio.to_thread(shutil.rmtree, f"{self._trash}/{name}", ignore_errors=True)

    def _strays(self, connection: sqlite3.Connection) -> Sequence[str]:
        """Inside a transaction, so that no snapshot is made between the two looks."""
        query = "SELECT id FROM snapshots WHERE snapshotter = ?"
        known = {str(row[0]) for row in connection.execute(query, (self.name,))}
        return [name for name in os.listdir(self._directory) if name not in known]

    def _insert(
        self,
        connection: sqlite3.Connection,
        namespace: str,
        name: str,
        parent: str,
        kind: Kind,
        labels: dict[str, str],
        fresh: str,
    ) -> None:
        """Record a snapshot whose directory is ``fresh``, which stays where it is if there is such a snapshot."""
        if not name:
            raise InvalidArgument("snapshot key must not be empty: invalid argument")
        ensure(connection, namespace)
        for taken in (labels.get(TARGET_LABEL, ""), name):
            if taken and self._exists(connection, namespace, taken):
                # Not an error here: the lease must be kept.
                leases.hold(connection, namespace, self._held, taken)
                return
        below = None
        if parent:
            info = self._find(connection, namespace, parent)
            if info.kind is not Kind.COMMITTED:
                raise InvalidArgument(
                    f'parent "{parent}" is not committed snapshot: invalid argument'
                )
            below = info.number
        now = time.time_ns()
        cursor = connection.execute(
            "INSERT INTO snapshots (snapshotter, namespace, name, parent, kind, created, updated, labels)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.name, namespace, name, below, kind, now, now, json.dumps(labels)),
        )
        leases.hold(connection, namespace, self._held, name)
        if below is not None:
            status = os.stat(self.upper(below))
            os.chown(f"{fresh}/fs", status.st_uid, status.st_gid)
            os.chmod(f"{fresh}/fs", status.st_mode & 0o7777)
        # Inside the transaction: there is no record without its directory; a directory without a record is swept.
        os.rename(fresh, f"{self._directory}/{cursor.lastrowid}")
        sync_directory(self._directory)

    async def _parents(self, name: str) -> Sequence[int]:
        """The numbers of a snapshot and of all below it."""

        def select(connection: sqlite3.Connection, namespace: str) -> Sequence[int]:
            self._find(connection, namespace, name)
            rows = connection.execute(
                "WITH RECURSIVE chain (id, parent, depth) AS ("
                " SELECT id, parent, 0 FROM snapshots WHERE snapshotter = ? AND namespace = ? AND name = ?"
                " UNION ALL SELECT s.id, s.parent, depth + 1 FROM snapshots s JOIN chain ON s.id = chain.parent)"
                " SELECT id FROM chain ORDER BY depth",
                (self.name, namespace, name),
            )
            return [int(row[0]) for row in rows]

        return await self._database.call(select, namespaces.current())

    def _mounts(self, chain: Sequence[int], kind: Kind) -> Sequence[Mount]:
        own, below = chain[0], [self.upper(number) for number in chain[1:]]
        if kind is Kind.VIEW:
            if len(below) == 1:
                return [Mount("bind", below[0], ("ro", "rbind"))]
            if below:
                return [Mount("overlay", "overlay", ("index=off", f"lowerdir={':'.join(below)}"))]
            return [Mount("bind", self.upper(own), ("ro", "rbind"))]
        if not below:
            return [Mount("bind", self.upper(own), ("rw", "rbind"))]
        options = (
            "index=off",
            f"workdir={self._directory}/{own}/work",
            f"upperdir={self.upper(own)}",
            f"lowerdir={':'.join(below)}",
        )
        return [Mount("overlay", "overlay", options)]

    def _exists(self, connection: sqlite3.Connection, namespace: str, name: str) -> bool:
        query = "SELECT 1 FROM snapshots WHERE snapshotter = ? AND namespace = ? AND name = ?"
        return connection.execute(query, (self.name, namespace, name)).fetchone() is not None

    def _find(self, connection: sqlite3.Connection, namespace: str, name: str) -> Info:
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM snapshots WHERE snapshotter = ? AND namespace = ? AND name = ?",  # noqa: S608 - a constant
            (self.name, namespace, name),
        ).fetchone()
        if row is None:
            raise NotFound(f"snapshot {name} does not exist: not found")
        parent = connection.execute("SELECT name FROM snapshots WHERE id = ?", (row[2],)).fetchone()
        return _info(row, parent[0] if parent else "")

    def _seal(self, number: int) -> tuple[int, int]:
        upper = self.upper(number)
        descriptor = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_filesystem(descriptor)
        finally:
            os.close(descriptor)
        return _usage(upper)


def _info(row: tuple[int, str, int, int, int, int, str, int, int], parent: str) -> Info:
    return Info(
        number=row[0],
        name=row[1],
        parent=parent,
        kind=Kind(row[3]),
        created=row[4],
        updated=row[5],
        labels=json.loads(row[6]),
        size=row[7],
        inodes=row[8],
    )


def _usage(directory: str) -> tuple[int, int]:
    size = inodes = 0
    seen: set[int] = set()
    pending = [directory]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if status.st_ino in seen:
                    continue
                if status.st_nlink > 1:
                    seen.add(status.st_ino)
                inodes += 1
                size += status.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return size, inodes
