"""The metadata file: SQLite in WAL mode, durable on every commit, used from one thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, Final, ParamSpec, TypeVar

from wire.errors import DataLoss

P = ParamSpec("P")
T = TypeVar("T")

_SCHEMA: Final = """
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
  UNIQUE (namespace, name));
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
# 1: children of content are named by labels; before, they were found by parsing manifests.
_VERSION: Final = 1


class Database:
    """One connection behind one thread: a call is a transaction, and calls do not overlap."""

    def __init__(self, path: str, data: Iterable[str] = ()) -> None:
        """``data`` are the folders of what the records are about.

        Raises DataLoss if they have something in them and the file is gone or empty, or if the file is damaged: whatever
        has no record would be swept away, also from under running containers.
        """
        _check_present(path, data)
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            raise DataLoss(f"{path} is damaged: {error}; put back a copy of it") from None

    def _open(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metadata")
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # Until a page is read, a damaged file looks as good as any.
        self._connection.execute("PRAGMA schema_version")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA foreign_keys=ON")
        fresh = not self._connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        self._connection.executescript(_SCHEMA)
        # What was written by an earlier version is brought up to date by the daemon, which then calls ``migrated``.
        (self.version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if fresh:
            self.migrated()

    def migrated(self) -> None:
        """The records are of this version now."""
        self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        self.version = _VERSION

    @property
    def current(self) -> bool:
        """Whether the records were written by this version."""
        return bool(self.version == _VERSION)

    async def call(
        self,
        function: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``function(connection, …)`` as one transaction: committed when it returns, undone when it raises.

        It sees the caller's context: namespace and lease.
        """

        def run() -> T:
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = function(connection, *args, **kwargs)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return result

        loop = asyncio.get_running_loop()
        # Shielded: a caller that goes away does not undo what others may have seen.
        context = contextvars.copy_context()
        return await asyncio.shield(loop.run_in_executor(self._thread, context.run, run))

    def close(self) -> None:
        """Close the file."""
        self._thread.shutdown()
        self._connection.close()


def _check_present(path: str, data: Iterable[str]) -> None:
    if os.path.exists(path) and os.path.getsize(path) > 0:
        return
    for folder in data:
        if os.path.isdir(folder) and any(files or deeper for _, deeper, files in os.walk(folder)):
            raise DataLoss(
                f"{path} is missing or empty, and {folder} is not: nothing would know what is in there."
                f" Put back a copy of the file, or remove {folder} to begin anew"
            )
