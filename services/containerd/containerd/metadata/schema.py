"""The tables of the metadata file, and a row as a line of text."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (
  namespace TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, labels TEXT NOT NULL,
  PRIMARY KEY (namespace, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
  id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, name TEXT NOT NULL,
  parent INTEGER REFERENCES snapshots (id), kind INTEGER NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, labels TEXT NOT NULL,
  size INTEGER NOT NULL DEFAULT 0, inodes INTEGER NOT NULL DEFAULT 0,
  snapshotter TEXT NOT NULL DEFAULT 'overlayfs',
  UNIQUE (snapshotter, namespace, name));
CREATE TABLE IF NOT EXISTS leases (
  namespace TEXT NOT NULL, id TEXT NOT NULL, created INTEGER NOT NULL, labels TEXT NOT NULL,
  PRIMARY KEY (namespace, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease_resources (
  namespace TEXT NOT NULL, lease TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (namespace, lease, type, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS namespaces (
  name TEXT NOT NULL PRIMARY KEY, labels TEXT NOT NULL DEFAULT '{}') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ingests (
  id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, ref TEXT NOT NULL,
  total INTEGER NOT NULL, expected TEXT NOT NULL, started INTEGER NOT NULL, expires INTEGER,
  UNIQUE (namespace, ref));
"""
# Snapshots of a time with one snapshotter: what a name must be unique in cannot be altered, so the table is made anew, with the
# numbers that were given out, which name directories. SQLite wants the references unchecked meanwhile.
_ONE_SNAPSHOTTER: Final = f"""
PRAGMA foreign_keys=OFF;
BEGIN IMMEDIATE;
ALTER TABLE snapshots RENAME TO snapshots_before;
{SCHEMA}
INSERT INTO snapshots (id, namespace, name, parent, kind, created, updated, labels, size, inodes)
  SELECT id, namespace, name, parent, kind, created, updated, labels, size, inodes FROM snapshots_before;
INSERT OR REPLACE INTO sqlite_sequence (rowid, name, seq)
  SELECT (SELECT rowid FROM sqlite_sequence WHERE name = 'snapshots'), 'snapshots', seq
  FROM sqlite_sequence WHERE name = 'snapshots_before';
DROP TABLE snapshots_before;
COMMIT;
PRAGMA foreign_keys=ON;
"""  # noqa: S608 - of our own schema
# 1: children of content are named by labels; before, they were found by parsing manifests.
VERSION: Final = 1
# The last transaction of the journal that the file has; of no interest to the journal itself.
_POSITION: Final = """
CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL);
INSERT OR IGNORE INTO position VALUES (1, 0);
"""
_OWN: Final = "position"
_BINARY: Final = "base64"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are journalled."""

    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]

    def rows(self, connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
        """All rows."""
        yield from connection.execute(f"SELECT {', '.join(self.columns)} FROM {self.name}")  # noqa: S608 - of our own schema

    def find(self, connection: sqlite3.Connection, key: Sequence[Any]) -> tuple[Any, ...] | None:
        """One row by its primary key."""
        where = " AND ".join(f"{name} = ?" for name in self.keys)
        query = f"SELECT {', '.join(self.columns)} FROM {self.name} WHERE {where}"  # noqa: S608 - of our own schema
        found: tuple[Any, ...] | None = connection.execute(query, key).fetchone()
        return found

    def key_of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """The primary key of a row."""
        return tuple(row[self.columns.index(name)] for name in self.keys)

    def put(self, connection: sqlite3.Connection, row: Mapping[str, Any]) -> None:
        """Add or replace a row, which may lack columns that have a default."""
        names = [name for name in self.columns if name in row]
        query = f"INSERT OR REPLACE INTO {self.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - of our own schema
        connection.execute(query, [row[name] for name in names])

    def remove(self, connection: sqlite3.Connection, key: Sequence[Any]) -> None:
        """Remove the row with a primary key, if there is one."""
        where = " AND ".join(f"{name} = ?" for name in self.keys)
        connection.execute(f"DELETE FROM {self.name} WHERE {where}", key)  # noqa: S608 - of our own schema

    def line(self, key: Sequence[Any], row: Sequence[Any] | None) -> bytes:
        """A row, or its absence, as text without newlines: table, key and columns by name."""
        columns = b"null" if row is None else _object(self.columns, row)
        return b"\t".join((self.name.encode(), _dump(list(key)), columns))


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables that are not there, and bring those of before up to date."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(snapshots)")}
    if columns and "snapshotter" not in columns:
        connection.executescript(_ONE_SNAPSHOTTER)
    connection.executescript(SCHEMA + _POSITION)


def tables(connection: sqlite3.Connection) -> dict[str, Table]:
    """The tables that are journalled, by name."""
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if name != _OWN and not name.startswith("sqlite_")
    ]
    found = {}
    for name in sorted(names):
        described = connection.execute(f"PRAGMA table_info({name})").fetchall()
        keys = sorted((row[5], row[1]) for row in described if row[5])
        found[name] = Table(
            name, tuple(row[1] for row in described), tuple(each for _, each in keys)
        )
    return found


def read(line: bytes) -> tuple[str, list[Any], dict[str, Any] | None]:
    """Table, key and columns of a ``Table.line``; raises ValueError."""
    table, key, row = line.split(b"\t")
    columns = json.loads(row, object_hook=_binary)
    return table.decode(), json.loads(key, object_hook=_binary), columns


def position(connection: sqlite3.Connection) -> int:
    """The number of the last transaction that the file has."""
    (number,) = connection.execute("SELECT number FROM position").fetchone()
    return int(number)


def move(connection: sqlite3.Connection, number: int) -> None:
    """Note the number of the last transaction."""
    connection.execute("UPDATE position SET number = ?", (number,))


def sequences(connection: sqlite3.Connection) -> dict[str, int]:
    """The highest numbers that were ever given out, by table: they name folders and are not used again."""
    return dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())


def _object(names: Sequence[str], values: Sequence[Any]) -> bytes:
    # By hand, because a container's specification is long, and the encoder looks at each character of it.
    entries = zip(names, values, strict=True)
    return b"{%b}" % b",".join(
        b'"%b":%b' % (name.encode(), _dump(value)) for name, value in entries
    )


def _dump(value: Any) -> bytes:
    if isinstance(value, bytes):
        return b'{"%b":"%b"}' % (_BINARY.encode(), base64.b64encode(value))
    return json.dumps(value, separators=(",", ":")).encode()


def _binary(found: dict[str, Any]) -> Any:
    return base64.b64decode(found[_BINARY]) if found.keys() == {_BINARY} else found
