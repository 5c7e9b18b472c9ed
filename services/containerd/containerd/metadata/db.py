"""The metadata file: SQLite in WAL mode, durable on every commit, used from one thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

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


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[[], Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: BaseException | None = None


class Database:
    """One connection behind one thread: a call is a transaction, and calls do not overlap.

    Calls that wait while others are made durable become durable together: one sync for all of them.
    """

    def __init__(self, path: str, data: Iterable[str] = ()) -> None:
        """``data`` are the folders of what the records are about.

        Raises DataLoss if they have something in them and the file is gone or empty, or if the file is damaged: whatever
        has no record would be swept away, also from under running containers.
        """
        self._waiting: list[_Call] = []
        self._busy = False
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

        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        work = partial(contextvars.copy_context().run, function, self._connection, *args, **kwargs)
        self._waiting.append(_Call(work, future))
        if not self._busy:
            self._begin(loop)
        # Shielded: a caller that goes away does not undo what others may have seen.
        return await asyncio.shield(future)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        calls, self._waiting = self._waiting, []
        try:
            done = loop.run_in_executor(self._thread, self._commit, calls)
        except RuntimeError as error:
            # Closed.
            for call in calls:
                call.future.set_exception(error)
            return
        self._busy = True
        done.add_done_callback(partial(self._answer, loop, calls))

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        calls: list[_Call],
        done: asyncio.Future[list[_Outcome]],
    ) -> None:
        self._busy = False
        if self._waiting:
            self._begin(loop)
        for call, outcome in zip(calls, done.result(), strict=True):
            if isinstance(outcome.error, BaseException):
                call.future.set_exception(outcome.error)
            else:
                call.future.set_result(outcome.result)

    def _commit(self, calls: list[_Call]) -> list[_Outcome]:
        """Do the calls, each by itself undone if it fails, and make them durable together."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._do(call) for call in calls]
            connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - it is raised where each call was made
            # The disk is full, for example: nothing is durable.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return [_Outcome(error=error) for _ in calls]
        return outcomes

    def _do(self, call: _Call) -> _Outcome:
        connection = self._connection
        connection.execute("SAVEPOINT call")
        try:
            outcome = _Outcome(call.work())
        except BaseException as error:
            if not connection.in_transaction:
                # SQLite has undone the whole of it.
                raise
            connection.execute("ROLLBACK TO call")
            outcome = _Outcome(error=error)
        connection.execute("RELEASE call")
        return outcome

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
