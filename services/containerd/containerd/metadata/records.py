"""Records of one kind (containers, images), in namespaces, as the bytes that the service serialized."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from containerd.metadata import leases
from containerd.metadata.db import Database
from containerd.metadata.namespaces import ensure
from wire import namespaces
from wire.errors import AlreadyExists, NotFound

_HOLDERS = {"image": "images", "mount": "mounts"}


class RecordStore:
    """Create, read, update and delete by name in the current namespace."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind

    async def create(self, name: str, data: bytes, *, hold: bool = False) -> None:
        """Add a record, with ``hold`` to the current lease as well; raises AlreadyExists."""

        def insert(connection: sqlite3.Connection, namespace: str) -> None:
            ensure(connection, namespace)
            try:
                connection.execute(
                    "INSERT INTO records VALUES (?, ?, ?, ?)", (self._kind, namespace, name, data)
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f'{self._kind} "{name}": already exists') from None
            self._held(connection, namespace, name, wanted=hold)

        await self._database.call(insert, namespaces.current())

    async def put(self, name: str, data: bytes) -> None:
        """Add or replace a record."""

        def replace(connection: sqlite3.Connection, namespace: str) -> None:
            ensure(connection, namespace)
            connection.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)",
                (self._kind, namespace, name, data),
            )

        await self._database.call(replace, namespaces.current())

    async def modify(
        self, name: str, change: Callable[[bytes], bytes], *, hold: bool = False
    ) -> bytes:
        """Replace a record by what ``change`` makes of it, in one transaction; the new bytes. Raises NotFound."""

        def update(connection: sqlite3.Connection, namespace: str) -> bytes:
            data = change(self._find(connection, namespace, name))
            connection.execute(
                "UPDATE records SET data = ? WHERE kind = ? AND namespace = ? AND name = ?",
                (data, self._kind, namespace, name),
            )
            self._held(connection, namespace, name, wanted=hold)
            return data

        return await self._database.call(update, namespaces.current())

    async def get(self, name: str) -> bytes:
        """A record's bytes; raises NotFound."""
        return await self._database.call(self._find, namespaces.current(), name)

    async def list(self) -> list[bytes]:
        """All records of the namespace, by name."""

        def select(connection: sqlite3.Connection, namespace: str) -> list[bytes]:
            rows = connection.execute(
                "SELECT data FROM records WHERE kind = ? AND namespace = ? ORDER BY name",
                (self._kind, namespace),
            )
            return [bytes(row[0]) for row in rows]

        return await self._database.call(select, namespaces.current())

    async def delete(self, name: str, check: Callable[[bytes], None] = lambda _: None) -> None:
        """Remove a record, unless ``check`` raises for its bytes; raises NotFound."""

        def delete(connection: sqlite3.Connection, namespace: str) -> None:
            check(self._find(connection, namespace, name))
            connection.execute(
                "DELETE FROM records WHERE kind = ? AND namespace = ? AND name = ?",
                (self._kind, namespace, name),
            )
            holder = _HOLDERS.get(self._kind)
            if holder:
                leases.release(connection, namespace, holder, name)

        await self._database.call(delete, namespaces.current())

    def _find(self, connection: sqlite3.Connection, namespace: str, name: str) -> bytes:
        row = connection.execute(
            "SELECT data FROM records WHERE kind = ? AND namespace = ? AND name = ?",
            (self._kind, namespace, name),
        ).fetchone()
        if row is None:
            raise NotFound(f'{self._kind} "{name}": not found')
        return bytes(row[0])

    def _held(
        self, connection: sqlite3.Connection, namespace: str, name: str, *, wanted: bool
    ) -> None:
        if wanted:
            leases.hold(connection, namespace, _HOLDERS[self._kind], name)
