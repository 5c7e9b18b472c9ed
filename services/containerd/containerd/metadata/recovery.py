"""Opening the metadata: the database and its journal are held against each other, and one is made again from the other.

The journal is on disk before the database is changed, and the database is not synced at each commit. So what is
found after any death is one of these:

- the journal is ahead: the database lacks the last transactions, and gets them;
- the database is gone, damaged, not what the journal says, or older than it: it is made again from the journal;
- the journal is gone, damaged or behind: it is written again from the database, if that is whole;
- both are gone: a first start, unless there is data.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from containerd.metadata import failures, journal, schema
from containerd.metadata.journal import Journal, Reading
from wire.atomic import ensure_directory, sync_directory
from wire.errors import DataLoss

logger = logging.getLogger(__name__)

_BESIDE: Final = ("-wal", "-shm", "-journal")


def journal_of(path: str) -> str:
    """Where the journal of a database is."""
    return f"{os.path.splitext(path)[0]}.journal"


def opened(path: str, data: Iterable[str]) -> tuple[sqlite3.Connection, Journal]:
    """The database and its journal, which say the same.

    ``data`` are the folders of what the records are about. Raises DataLoss if both are gone or damaged and there is
    something in these: what has no record would be swept away, also from under running containers. Raises
    ResourceExhausted, Unavailable, Internal for a database that cannot be read or written for another reason.
    """
    ensure_directory(os.path.dirname(path))
    for unfinished in (f"{path}.new", f"{path}.new-journal", f"{journal_of(path)}.new"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)
    found = journal.read(journal_of(path))
    there = os.path.exists(path) and os.path.getsize(path) > 0
    if not there and found is None:
        _check_empty(path, data)
        return _first(path)
    reason = "the database was missing or empty"
    if there:
        try:
            return _reconciled(path, found)
        except _Unusable as error:
            reason = str(error)
        except sqlite3.Error as error:
            if not failures.is_damage(error):
                raise failures.translate(path, error) from None
            reason = f"the database was damaged: {error}"
    if found is None or found.damaged:
        raise DataLoss(
            f"{path}: {reason}; and {journal_of(path)}, from which it is made again, is"
            f" {'missing' if found is None else 'damaged'}, too. Put back a copy of one of them"
        )
    return rebuilt(path, found, reason)


def rebuilt(path: str, found: Reading, reason: str) -> tuple[sqlite3.Connection, Journal]:
    """The database, made again from its journal; a death in between leaves the journal, and the next start does it."""
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")
        schema.prepare(connection)
        tables = schema.tables(connection)
        connection.execute("BEGIN")
        for line in journal.lines(journal_of(path), found):
            _apply(connection, tables, line)
        _raise_sequences(connection, found)
        schema.move(connection, found.number)
        connection.execute(f"PRAGMA user_version = {int(found.head['version'])}")
        connection.execute("COMMIT")
        (broken,) = connection.execute("SELECT count(*) FROM pragma_foreign_key_check").fetchone()
    if broken:
        raise DataLoss(f"{journal_of(path)}: {broken} rows refer to others that are not there")
    descriptor = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    # They belong to what was there before, and would be taken for the new one's.
    for suffix in _BESIDE:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")
    os.rename(fresh, path)
    sync_directory(os.path.dirname(path))
    logger.warning(
        "metadata rebuilt from its journal",
        extra={"path": path, "reason": reason, "records": len(found.rows)},
    )
    return _connected(path), Journal(journal_of(path), found)


def rewritten(connection: sqlite3.Connection, path: str) -> Journal:
    """The journal, made again from the database."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = schema.tables(connection)

    def rows() -> Iterator[bytes]:
        for table in tables.values():
            for row in table.rows(connection):
                yield table.line(table.key_of(row), row)

    return Journal.write(
        journal_of(path),
        rows(),
        schema.position(connection),
        schema.sequences(connection),
        head(connection, version),
    )


def head(connection: sqlite3.Connection, version: int) -> dict[str, Any]:
    """What a journal begins with: the version of the records, and the columns that its rows have."""
    columns = {name: list(table.columns) for name, table in schema.tables(connection).items()}
    return {"version": version, "columns": columns}


class _Unusable(Exception):
    """The database is there, and its journal must take its place."""


def _first(path: str) -> tuple[sqlite3.Connection, Journal]:
    connection = _connected(path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    return connection, rewritten(connection, path)


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # Until a page is read, a damaged file looks as good as any.
        connection.execute("PRAGMA schema_version")
        connection.execute("PRAGMA journal_mode=WAL")
        # The journal is what is on disk at each commit.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        # So that the row which an INSERT OR REPLACE removes is noticed.
        connection.execute("PRAGMA recursive_triggers=ON")
        schema.prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _reconciled(path: str, found: Reading | None) -> tuple[sqlite3.Connection, Journal]:
    """The database as it is, when it can be kept; raises _Unusable, sqlite3.Error."""
    connection = _connected(path)
    try:
        number = schema.position(connection)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if found is None or found.damaged or found.number < number:
            # It cannot be compared, so it has to be whole by its own account.
            _check(connection)
            if found is not None and found.number > number:
                raise _Unusable("the database was older than its journal")
            what = "missing" if found is None else "damaged" if found.damaged else "cut off"
            logger.warning(
                "journal of the metadata written again", extra={"path": path, "reason": what}
            )
            return connection, rewritten(connection, path)
        if found.base > number:
            raise _Unusable("the database was older than its journal")
        if found.head != head(connection, version):
            # Of another version of this daemon: its rows look different.
            _check(connection)
            _catch_up(connection, path, found, number)
            return connection, rewritten(connection, path)
        _catch_up(connection, path, found, number)
        if not _is_equal(connection, found):
            raise _Unusable("the database was not what its journal says")
        _check(connection)
        return connection, Journal(journal_of(path), found)
    except BaseException:
        connection.close()
        raise


def _check(connection: sqlite3.Connection) -> None:
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise _Unusable(f"the database was damaged: {answer}")


def _catch_up(connection: sqlite3.Connection, path: str, found: Reading, number: int) -> None:
    """Give the database the transactions that it lacks."""
    if found.number == number:
        return
    tables = schema.tables(connection)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN IMMEDIATE")
    with open(journal_of(path), "rb") as file:
        for key, last in found.touched.items():
            if last <= number:
                continue
            offset, length, _ = found.rows.get(key, (0, 0, 0))
            file.seek(offset)
            _apply(connection, tables, file.read(length) if length else key + b"\tnull")
    _raise_sequences(connection, found)
    schema.move(connection, found.number)
    connection.execute("COMMIT")
    connection.execute("PRAGMA foreign_keys=ON")
    logger.info("metadata caught up", extra={"transactions": found.number - number})


def _apply(connection: sqlite3.Connection, tables: Mapping[str, schema.Table], line: bytes) -> None:
    """Do to the database what a line of the journal says; raises DataLoss for a table that is not known here."""
    name, key, row = schema.read(line)
    table = tables.get(name)
    if table is None:
        raise DataLoss(f"the journal of the metadata is of another version: it has {name}")
    if row is None:
        table.remove(connection, key)
    else:
        table.put(connection, row)


def _raise_sequences(connection: sqlite3.Connection, found: Reading) -> None:
    for table, highest in found.sequences.items():
        query = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?"
        if not connection.execute(query, (highest, table)).rowcount:
            connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, highest))


def _is_equal(connection: sqlite3.Connection, found: Reading) -> bool:
    """Whether the rows are those of the journal, byte for byte."""
    count = 0
    for table in schema.tables(connection).values():
        for row in table.rows(connection):
            line = table.line(table.key_of(row), row)
            place = found.rows.get(line.rpartition(b"\t")[0])
            if place is None or place[2] != journal.checksum(line):
                return False
            count += 1
    return count == len(found.rows)


def _check_empty(path: str, data: Iterable[str]) -> None:
    for folder in data:
        if os.path.isdir(folder) and any(files or deeper for _, deeper, files in os.walk(folder)):
            raise DataLoss(
                f"{path} is missing or empty, and {folder} is not: nothing would know what is in there."
                f" Put back a copy of the file, or remove {folder} to begin anew"
            )
