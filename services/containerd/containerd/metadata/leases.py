"""Leases: what is made under one is held by it against garbage collection until the lease is deleted or expires."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from containerd.metadata import namespaces as namespace_table
from containerd.metadata.db import Database
from wire import digest as digests
from wire import leases, namespaces
from wire.errors import AlreadyExists, InvalidArgument, NotFound, NotImplementedYet
from wire.identifiers import validate_labels

EXPIRE_LABEL: Final = "containerd.io/gc.expire"
FLAT_LABEL: Final = "containerd.io/gc.flat"
# A lease of a transfer of ours: no client knows it, so it ends with the daemon that made it.
_OWN_LABEL: Final = "dockyard.io/transfer"
_LONGEST_TRANSFER: Final = timedelta(hours=24)
_KINDS: Final = frozenset({"content", "images", "ingests"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease; ``created`` in nanoseconds since 1970."""

    lease_id: str
    created: int
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Resource:
    """What a lease holds: ``content``, ``ingests``, ``images`` or ``snapshots/<snapshotter>``, and its name."""

    kind: str
    name: str


def hold(connection: sqlite3.Connection, namespace: str, kind: str, name: str) -> bool:
    """Add a resource to the lease of the current call, if it has one; raises NotFound for a lease that does not exist."""
    lease = leases.current()
    if not lease:
        return False
    _require(connection, namespace, lease, "lease does not exist: not found")
    connection.execute(
        "INSERT OR IGNORE INTO lease_resources VALUES (?, ?, ?, ?)", (namespace, lease, kind, name)
    )
    return True


def release(connection: sqlite3.Connection, namespace: str, kind: str, name: str) -> None:
    """Take a resource out of the lease of the current call."""
    lease = leases.current()
    if lease:
        connection.execute(
            "DELETE FROM lease_resources WHERE namespace = ? AND lease = ? AND type = ? AND id = ?",
            (namespace, lease, kind, name),
        )


class LeaseStore:
    """The leases of the current namespace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, lease_id: str, labels: Mapping[str, str]) -> Lease:
        """Raises InvalidArgument, AlreadyExists."""
        if not lease_id:
            raise InvalidArgument("lease id must be provided: invalid argument")
        validate_labels(labels)
        lease = Lease(lease_id=lease_id, created=time.time_ns(), labels=dict(labels))

        def insert(connection: sqlite3.Connection, namespace: str) -> None:
            namespace_table.ensure(connection, namespace)
            try:
                connection.execute(
                    "INSERT INTO leases VALUES (?, ?, ?, ?)",
                    (namespace, lease_id, lease.created, json.dumps(lease.labels)),
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f'lease "{lease_id}": already exists') from None

        await self._database.call(insert, namespaces.current())
        return lease

    async def delete(self, lease_id: str) -> None:
        """Let everything go that the lease holds; raises NotFound."""

        def delete(connection: sqlite3.Connection, namespace: str) -> None:
            cursor = connection.execute(
                "DELETE FROM leases WHERE namespace = ? AND id = ?", (namespace, lease_id)
            )
            if not cursor.rowcount:
                raise NotFound(f'lease "{lease_id}": not found')
            connection.execute(
                "DELETE FROM lease_resources WHERE namespace = ? AND lease = ?",
                (namespace, lease_id),
            )

        await self._database.call(delete, namespaces.current())

    async def list(self) -> list[Lease]:
        """All leases, by id."""

        def select(connection: sqlite3.Connection, namespace: str) -> list[Lease]:
            rows = connection.execute(
                "SELECT id, created, labels FROM leases WHERE namespace = ? ORDER BY id",
                (namespace,),
            )
            return [
                Lease(lease_id=row[0], created=row[1], labels=json.loads(row[2])) for row in rows
            ]

        return await self._database.call(select, namespaces.current())

    async def add(self, lease_id: str, resource: Resource) -> None:
        """Hold a resource, which need not exist yet; raises NotFound, InvalidArgument, NotImplementedYet."""

        def insert(connection: sqlite3.Connection, namespace: str) -> None:
            _require(connection, namespace, lease_id)
            _check(resource)
            connection.execute(
                "INSERT OR IGNORE INTO lease_resources VALUES (?, ?, ?, ?)",
                (namespace, lease_id, resource.kind, resource.name),
            )

        await self._database.call(insert, namespaces.current())

    async def remove(self, lease_id: str, resource: Resource) -> None:
        """Let a resource go; raises as ``add``."""

        def delete(connection: sqlite3.Connection, namespace: str) -> None:
            _require(connection, namespace, lease_id)
            _check(resource)
            connection.execute(
                "DELETE FROM lease_resources WHERE namespace = ? AND lease = ? AND type = ? AND id = ?",
                (namespace, lease_id, resource.kind, resource.name),
            )

        await self._database.call(delete, namespaces.current())

    async def resources(self, lease_id: str) -> Sequence[Resource]:
        """What a lease holds; raises NotFound."""

        def select(connection: sqlite3.Connection, namespace: str) -> Sequence[Resource]:
            _require(connection, namespace, lease_id)
            rows = connection.execute(
                "SELECT type, id FROM lease_resources WHERE namespace = ? AND lease = ? ORDER BY type, id",
                (namespace, lease_id),
            )
            return [Resource(*row) for row in rows]

        return await self._database.call(select, namespaces.current())

    @asynccontextmanager
    async def transfer(self) -> AsyncIterator[None]:
        """Everything made in the block is held until its end: what a transfer brings in has no owner yet.

        A caller that has a lease of its own keeps it: the resources outlive the block then.
        """
        if leases.current():
            yield
            return
        expires = (datetime.now(UTC) + _LONGEST_TRANSFER).isoformat(timespec="seconds")
        name = f"transfer-{os.urandom(8).hex()}"
        await self.create(name, {EXPIRE_LABEL: expires, _OWN_LABEL: "true"})
        try:
            with leases.bind(name):
                yield
        finally:
            await self.delete(name)

    async def forget_transfers(self) -> None:
        """Delete the leases of transfers that an earlier life of this daemon did not finish."""

        def delete(connection: sqlite3.Connection) -> None:
            rows = connection.execute("SELECT namespace, id, labels FROM leases").fetchall()
            for namespace, name, labels in rows:
                if _OWN_LABEL in json.loads(labels):
                    for query in (
                        "DELETE FROM leases WHERE namespace = ? AND id = ?",
                        "DELETE FROM lease_resources WHERE namespace = ? AND lease = ?",
                    ):
                        connection.execute(query, (namespace, name))

        await self._database.call(delete)


def _require(
    connection: sqlite3.Connection, namespace: str, lease_id: str, message: str = ""
) -> None:
    row = connection.execute(
        "SELECT 1 FROM leases WHERE namespace = ? AND id = ?", (namespace, lease_id)
    ).fetchone()
    if row is None:
        raise NotFound(message or f'lease "{lease_id}": not found')


def _check(resource: Resource) -> None:
    kind, separator, snapshotter = resource.kind.partition("/")
    if kind in _KINDS:
        if separator:
            raise InvalidArgument(f"invalid resource type {resource.kind}: invalid argument")
        if kind == "content":
            digests.parse(resource.name)
    elif kind == "snapshots":
        if not snapshotter or "/" in snapshotter:
            raise InvalidArgument(
                f"invalid snapshot resource type {resource.kind}: invalid argument"
            )
    else:
        raise NotImplementedYet(f"resource type {resource.kind} not supported yet: not implemented")
