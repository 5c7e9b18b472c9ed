"""Records of one kind (containers, images), in namespaces, as the bytes that the service serialized."""

from __future__ import annotations

import sqlite3

from containerd.metadata.db import Database
from wire import namespaces
from wire.errors import AlreadyExists, NotFound


class RecordStore:
    """Create, read, update and delete by name in the current namespace."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind

    async def create(self, name: str, data: bytes) -> None:
        """Add a record; raises AlreadyExists."""

        def insert(connection: sqlite3.Connection, namespace: str) -> None:
            try:
                connection.execute(
                    "INSERT INTO records VALUES (?, ?, ?, ?)", (self._kind, namespace, name, data)
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f'{self._kind} "{name}": already exists') from None

        await self._database.call(insert, namespaces.current())

    async def put(self, name: str, data: bytes) -> None:
        """Add or replace a record."""

        def replace(connection: sqlite3.Connection, namespace: str) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)",
                (self._kind, namespace, name, data),
            )

        await self._database.call(replace, namespaces.current())

    async def get(self, name: str) -> bytes:
        """A record's bytes; raises NotFound."""

        def select(connection: sqlite3.Connection, namespace: str) -> bytes:
            row = connection.execute(
                "SELECT data FROM records WHERE kind = ? AND namespace = ? AND name = ?",
                (self._kind, namespace, name),
            ).fetchone()
            if row is None:
                raise NotFound(f'{self._kind} "{name}": not found')
            return bytes(row[0])

        return await self._database.call(select, namespaces.current())

    async def list(self) -> list[bytes]:
        """All records of the namespace, by name."""

        def select(connection: sqlite3.Connection, namespace: str) -> list[bytes]:
            rows = connection.execute(
                "SELECT data FROM records WHERE kind = ? AND namespace = ? ORDER BY name",
                (self._kind, namespace),
            )
            return [bytes(row[0]) for row in rows]

        return await self._database.call(select, namespaces.current())

    async def delete(self, name: str) -> None:
        """Remove a record; raises NotFound."""

        def delete(connection: sqlite3.Connection, namespace: str) -> None:
            cursor = connection.execute(
                "DELETE FROM records WHERE kind = ? AND namespace = ? AND name = ?",
                (self._kind, namespace, name),
            )
            if not cursor.rowcount:
                raise NotFound(f'{self._kind} "{name}": not found')

        await self._database.call(delete, namespaces.current())
