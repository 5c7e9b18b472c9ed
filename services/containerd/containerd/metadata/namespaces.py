"""Namespaces: they exist once something was made in them or they were created, and go only when they are empty."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from containerd.metadata.db import Database
from wire.errors import AlreadyExists, FailedPrecondition, NotFound
from wire.identifiers import validate, validate_labels

_OWNERS = (
    ("images", "SELECT 1 FROM records WHERE kind = 'image' AND namespace = ?"),
    ("blobs", "SELECT 1 FROM blobs WHERE namespace = ?"),
    ("containers", "SELECT 1 FROM records WHERE kind = 'container' AND namespace = ?"),
    *(
        (
            f'snapshots on "{snapshotter}" snapshotter',
            f"SELECT 1 FROM snapshots WHERE snapshotter = '{snapshotter}' AND namespace = ?",  # noqa: S608 - a constant
        )
        for snapshotter in ("overlayfs", "native")
    ),
)


def ensure(connection: sqlite3.Connection, namespace: str) -> None:
    """Make a namespace known because something is made in it."""
    connection.execute("INSERT OR IGNORE INTO namespaces (name) VALUES (?)", (namespace,))


class NamespaceStore:
    """All namespaces of the daemon."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Raises InvalidArgument, AlreadyExists."""
        validate(name)
        validate_labels(labels)

        def insert(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(
                    "INSERT INTO namespaces VALUES (?, ?)", (name, json.dumps(dict(labels)))
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f'namespace "{name}": already exists') from None

        await self._database.call(insert)

    async def labels(self, name: str) -> dict[str, str]:
        """Empty for a namespace that nobody made yet: clients ask for the defaults in its labels before they use it."""
        return await self._database.call(_labels, name)

    async def list(self) -> dict[str, dict[str, str]]:
        """The labels of each, by name."""

        def select(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
            rows = connection.execute("SELECT name, labels FROM namespaces ORDER BY name")
            return {name: json.loads(labels) for name, labels in rows}

        return await self._database.call(select)

    async def set_labels(self, name: str, labels: Mapping[str, str], *, replace: bool) -> None:
        """Set labels, an empty value removing one; ``replace`` removes those that are not given.

        Makes the namespace if there is none. Raises InvalidArgument.
        """
        validate(name)
        validate_labels(labels)

        def update(connection: sqlite3.Connection) -> None:
            ensure(connection, name)
            known = _labels(connection, name)
            merged = {**({} if replace else known), **labels}
            kept = {key: value for key, value in merged.items() if value}
            connection.execute(
                "UPDATE namespaces SET labels = ? WHERE name = ?", (json.dumps(kept), name)
            )

        await self._database.call(update)

    async def delete(self, name: str) -> None:
        """Raises NotFound, and FailedPrecondition while something is in it."""

        def delete(connection: sqlite3.Connection) -> None:
            known = "SELECT 1 FROM namespaces WHERE name = ?"
            if connection.execute(known, (name,)).fetchone() is None:
                raise NotFound(f'namespace "{name}": not found')
            left = [
                what for what, query in _OWNERS if connection.execute(query, (name,)).fetchone()
            ]
            if left:
                raise FailedPrecondition(
                    f'namespace "{name}" must be empty, but it still has {", ".join(left)}:'
                    " failed precondition"
                )
            for table in ("leases", "lease_resources", "ingests"):
                connection.execute(f"DELETE FROM {table} WHERE namespace = ?", (name,))  # noqa: S608 - constants
            connection.execute("DELETE FROM namespaces WHERE name = ?", (name,))

        await self._database.call(delete)


def _labels(connection: sqlite3.Connection, name: str) -> dict[str, str]:
    row = connection.execute("SELECT labels FROM namespaces WHERE name = ?", (name,)).fetchone()
    found: dict[str, str] = json.loads(row[0]) if row else {}
    return found
