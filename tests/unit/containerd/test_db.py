"""Calls of the metadata file: each a transaction, durable together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerd.metadata.db import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "metadata.db"))
    yield database
    database.close()


def _add(connection: sqlite3.Connection, name: str) -> str:
    connection.execute("INSERT INTO namespaces (name) VALUES (?)", (name,))
    return name


def _names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM namespaces ORDER BY name")]


def test_calls_that_wait_are_committed_together(database: Database) -> None:
    commits: list[str] = []
    free = threading.Event()

    def first(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(commits.append)
        free.wait(10)

    async def work() -> list[str]:
        busy = asyncio.create_task(database.call(first))
        await asyncio.sleep(0)
        calls = [asyncio.create_task(database.call(_add, f"n{number}")) for number in range(20)]
        await asyncio.sleep(0)
        free.set()
        await busy
        return await asyncio.gather(*calls)

    assert asyncio.run(work()) == [f"n{number}" for number in range(20)]
    assert commits.count("COMMIT") == 2


def test_a_call_that_fails_undoes_itself_alone(database: Database) -> None:
    def twice(connection: sqlite3.Connection) -> None:
        _add(connection, "undone")
        _add(connection, "before")

    async def work() -> list[object]:
        return await asyncio.gather(
            database.call(lambda _: None),
            database.call(_add, "before"),
            database.call(twice),
            database.call(_add, "after"),
            return_exceptions=True,
        )

    _, before, failed, after = asyncio.run(work())
    assert (before, after) == ("before", "after")
    assert isinstance(failed, sqlite3.IntegrityError)
    assert asyncio.run(database.call(_names)) == ["after", "before"]


def test_what_cannot_be_made_durable_fails_for_everybody(database: Database) -> None:
    def break_off(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA defer_foreign_keys=ON")
        connection.execute(
            "INSERT INTO snapshots (namespace, name, parent, kind, created, updated, labels)"
            " VALUES ('n', 's', 77, 1, 0, 0, '{}')"
        )

    async def work() -> list[object]:
        return await asyncio.gather(
            database.call(lambda _: None),
            database.call(_add, "lost"),
            database.call(break_off),
            return_exceptions=True,
        )

    _, lost, broken = asyncio.run(work())
    assert isinstance(lost, sqlite3.IntegrityError)
    assert isinstance(broken, sqlite3.IntegrityError)
    assert asyncio.run(database.call(_names)) == []


def test_a_caller_that_goes_away_undoes_nothing(database: Database) -> None:
    async def work() -> list[str]:
        call = asyncio.create_task(database.call(_add, "kept"))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return await database.call(_names)

    assert asyncio.run(work()) == ["kept"]


_BEFORE = """
CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, name TEXT NOT NULL,
  parent INTEGER REFERENCES snapshots (id), kind INTEGER NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, labels TEXT NOT NULL,
  size INTEGER NOT NULL DEFAULT 0, inodes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (namespace, name));
INSERT INTO snapshots VALUES (3, 'n', 'low', NULL, 3, 1, 2, '{}', 10, 11);
INSERT INTO snapshots VALUES (7, 'n', 'high', 3, 2, 1, 2, '{}', 0, 0);
INSERT INTO snapshots VALUES (9, 'n', 'gone', 7, 2, 1, 2, '{}', 0, 0);
DELETE FROM snapshots WHERE id = 9;
PRAGMA user_version = 1;
"""


async def test_snapshots_of_a_time_with_one_snapshotter_are_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "metadata.db")
    for _ in range(2):
        with sqlite3.connect(path) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
                connection.executescript(_BEFORE)
        connection.close()
        database = Database(path)
        rows = await database.call(
            lambda connection: connection.execute(
                "SELECT id, snapshotter, namespace, name, parent, kind, size, inodes FROM snapshots"
            ).fetchall()
        )
        database.close()
        assert rows[:2] == [
            (3, "overlayfs", "n", "low", None, 3, 10, 11),
            (7, "overlayfs", "n", "high", 3, 2, 0, 0),
        ]
    database = Database(path)

    def insert(connection: sqlite3.Connection) -> int | None:
        columns = "snapshotter, namespace, name, parent, kind, created, updated, labels"
        words = f"INSERT INTO snapshots ({columns}) VALUES (?, 'n', 'low', NULL, 3, 1, 1, '{{}}')"
        return connection.execute(words, ("native",)).lastrowid

    # The same name in another snapshotter; a number that was given out is not given out again.
    assert await database.call(insert) == 10
    with pytest.raises(sqlite3.IntegrityError):
        await database.call(insert)
    with pytest.raises(sqlite3.IntegrityError):
        # A parent cannot go before its child.
        await database.call(lambda found: found.execute("DELETE FROM snapshots WHERE id = 3"))
    database.close()
