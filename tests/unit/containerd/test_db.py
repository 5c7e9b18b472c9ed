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
