"""The metadata file or its journal is lost, cut off, damaged or locked, or the process dies in between: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from containerd.metadata import journal, recovery, schema
from containerd.metadata.db import Database
from wire.errors import DataLoss, Internal, ResourceExhausted, Unavailable

Dump = dict[str, list[tuple[Any, ...]]]
SPEC = random.Random(1).randbytes(9000)
ADD = (
    "INSERT INTO snapshots (namespace, name, parent, kind, created, updated, labels)"
    " VALUES ('n', ?, ?, 3, 0, 0, '{}')"
)


def dump(connection: sqlite3.Connection) -> Dump:
    return {
        name: sorted(table.rows(connection)) for name, table in schema.tables(connection).items()
    }


def write(database: Database, *statements: tuple[str, tuple[Any, ...]]) -> None:
    def work(connection: sqlite3.Connection) -> None:
        for statement, values in statements:
            connection.execute(statement, values)

    asyncio.run(database.call(work))


def fill(database: Database, count: int = 12) -> None:
    """Rows in every table, some of them changed and removed again."""
    for number in range(count):
        name = f'tab\tquote"line\n{number}\udcff'.encode(errors="replace").decode()
        write(
            database,
            ("INSERT INTO records VALUES ('container', 'n', ?, ?)", (name, SPEC + bytes([number]))),
            ("INSERT INTO blobs VALUES ('n', ?, 1, 2, 3, '{}')", (f"sha256:{number}",)),
            ("INSERT INTO namespaces (name) VALUES (?)", (f"n{number}",)),
            ("INSERT INTO leases VALUES ('n', ?, 4, '{}')", (name,)),
            ("INSERT INTO lease_resources VALUES ('n', ?, 'images', 'i')", (name,)),
        )
    for number in range(count):
        write(database, (ADD, (f"s{number}", number or None)))
    write(database, ("DELETE FROM snapshots WHERE id = ?", (count,)))
    write(database, ("UPDATE records SET data = ? WHERE name LIKE '%1%'", (b"changed",)))
    write(database, ("UPDATE records SET name = 'other' WHERE name LIKE '%2%'", ()))
    write(database, ("DELETE FROM blobs WHERE digest = 'sha256:3'", ()))
    write(
        database,
        (
            "INSERT INTO ingests (namespace, ref, total, expected, started) VALUES ('n', 'r', 0, '', 1)",
            (),
        ),
        ("UPDATE ingests SET total = 9", ()),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metadata.db"


FILES = ("metadata.db", "metadata.db-wal", "metadata.db-shm", "metadata.journal")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dump]:
    """A folder with the files as `kill -9` leaves them, and what they say."""
    live, left = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("left")
    database = Database(str(live / "metadata.db"))
    fill(database)
    for name in FILES:
        shutil.copy(live / name, left / name)
    found = dump(database._connection)
    database.close()
    return left, found


@pytest.fixture
def expected(path: Path, killed: tuple[Path, Dump]) -> Dump:
    """What the files at ``path`` say, whose daemon was killed."""
    for name in FILES:
        shutil.copy(killed[0] / name, path.parent / name)
    return killed[1]


@contextlib.contextmanager
def opened(path: Path, *data: str) -> Iterator[Database]:
    database = Database(str(path), data)
    try:
        yield database
    finally:
        database.close()


def check(path: Path, expected: Dump) -> None:
    """All is there, the database and its journal agree, and the next snapshot gets a number that none has had."""
    with opened(path) as database:
        assert dump(database._connection) == expected
        write(
            database,
            (ADD, ("new", None)),
        )
        rows = dump(database._connection)["snapshots"]
        assert max(row[0] for row in rows) == max(row[0] for row in expected["snapshots"]) + 2
        again = dump(database._connection)
    os.unlink(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with opened(path) as database:
        assert dump(database._connection) == again


def lose(path: Path) -> None:
    for each in (path, *path.parent.glob(f"{path.name}-*")):
        each.unlink()


def lose_wal(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}-*"):
        each.unlink()


def settle(path: Path) -> None:
    """All pages in the file itself."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def cut(part: float) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        settle(path)
        os.truncate(path, int(path.stat().st_size * part))

    return work


def garble(seed: int, pages: int) -> Callable[[Path], None]:
    """Overwrite some pages, or parts of them."""

    def work(path: Path) -> None:
        settle(path)
        chance = random.Random(seed)
        size = path.stat().st_size
        with open(path, "r+b") as file:
            for _ in range(pages):
                file.seek(chance.randrange(size // 4096) * 4096 + chance.choice((0, 100, 2000)))
                file.write(chance.randbytes(chance.choice((8, 500, 2000))))

    return work


DAMAGE = {
    "nothing": lambda _: None,
    "lost": lose,
    "lost wal": lose_wal,
    "empty": cut(0),
    "one byte": lambda path: path.write_bytes(b"S"),
    "no database": lambda path: path.write_bytes(b"this is no database" * 1000),
    **{f"cut at {part}": cut(part) for part in (0.01, 0.3, 0.5, 0.9, 0.999)},
    **{f"garbage {seed}": garble(seed, 1 + seed % 4) for seed in range(12)},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_database(path: Path, expected: Dump, damage: str) -> None:
    DAMAGE[damage](path)
    check(path, expected)


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name not in {"lost wal", "empty"}])
def test_the_journal(path: Path, expected: Dump, damage: str) -> None:
    file = path.with_suffix(".journal")
    if damage.startswith("cut"):
        # Also to nothing at all.
        os.truncate(file, int(file.stat().st_size * (float(damage.rsplit(maxsplit=1)[-1]) - 0.01)))
    elif damage.startswith("garbage"):
        with open(file, "r+b") as opened_file:
            opened_file.seek(int(file.stat().st_size * int(damage.rsplit(maxsplit=1)[-1]) / 12))
            opened_file.write(random.Random(damage).randbytes(50))
    else:
        DAMAGE[damage](file)
    check(path, expected)


def test_garbage_in_a_row_is_noticed(path: Path, expected: Dump) -> None:
    """What SQLite itself does not notice: other bytes in a place where any are allowed."""
    settle(path)
    data = path.read_bytes()
    place = data.index(SPEC[100:200])
    path.write_bytes(data[:place] + b"?" * 100 + data[place + 100 :])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check(path, expected)


def test_an_index_that_misleads(path: Path, expected: Dump) -> None:
    """All rows are as they were, and are not found any more."""
    settle(path)
    query = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_snapshots_1'"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        ((page,), (size,)) = (
            connection.execute(query).fetchone(),
            connection.execute("PRAGMA page_size").fetchone(),
        )
    data = bytearray(path.read_bytes())
    here = slice((page - 1) * size, page * size)
    data[here] = data[here].replace(b"ns4", b"nx4")
    assert bytes(data) != path.read_bytes()
    path.write_bytes(data)
    lookup = "SELECT id FROM snapshots WHERE namespace = 'n' AND name = 's4'"
    with opened(path) as database:
        assert database._connection.execute(lookup).fetchone() == (5,)
    check(path, expected)


def test_a_log_of_an_older_database(path: Path, expected: Dump, tmp_path: Path) -> None:
    """It is left behind where the database was, and does not belong to the one that is made again."""
    log = path.with_name(f"{path.name}-wal")
    shutil.copy(log, tmp_path / "older")
    with opened(path) as database:
        write(database, ("UPDATE records SET data = ? WHERE name = 'other'", (b"later",)))
        now = dump(database._connection)
    path.unlink()
    shutil.copy(tmp_path / "older", log)
    with opened(path) as database:
        assert dump(database._connection) == now != expected


@pytest.mark.parametrize("lost", ["a line", "a transaction"])
def test_a_journal_without(path: Path, expected: Dump, lost: str) -> None:
    """What is left is readable and whole, line by line: the database is right all the same."""
    file = path.with_suffix(".journal")
    lines = file.read_bytes().rstrip(b"\0").splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if b" *end\t" in line]
    first, last = ends[4] + 1, ends[5]
    del lines[first : first + 1 if lost == "a line" else last + 1]
    file.write_bytes(b"".join(lines))
    check(path, expected)


@pytest.mark.parametrize("what", ["byte", "newline", "mark", "transaction", "line of the last"])
def test_a_damaged_journal_alone_is_not_taken_for_a_short_one(
    path: Path, expected: Dump, what: str
) -> None:
    """Only the last transaction may be cut short; anything else would bring back an older state as if it were whole."""
    file = path.with_suffix(".journal")
    lines = file.read_bytes().rstrip(b"\0").splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if b" *end\t" in line]
    at = ends[4] + 1
    line = lines[at]
    if what == "byte":
        lines[at] = line[:20] + bytes([line[20] ^ 1]) + line[21:]
    elif what == "newline":
        lines[at] = line[:-1]
    elif what == "mark":
        lines[at] = line[:8] + b"_" + line[9:]
    elif what == "transaction":
        del lines[at : ends[5] + 1]
    else:
        del lines[-2]
    file.write_bytes(b"".join(lines))
    lose(path)
    (path.parent / "blobs" / "a").mkdir(parents=True)
    before = file.read_bytes()
    with pytest.raises(DataLoss, match="damaged, too"):
        Database(str(path), (str(path.parent / "blobs"),))
    assert file.read_bytes() == before
    assert expected


def test_an_older_copy(path: Path, expected: Dump, tmp_path: Path) -> None:
    settle(path)
    shutil.copy(path, tmp_path / "copy")
    with opened(path) as database:
        fill_more = ("INSERT INTO namespaces (name) VALUES ('later')", ())
        write(database, fill_more)
        now = dump(database._connection)
    shutil.copy(tmp_path / "copy", path)
    with opened(path) as database:
        assert dump(database._connection) == now != expected


def test_both_lost(path: Path, expected: Dump, tmp_path: Path) -> None:
    (tmp_path / "blobs" / "a").mkdir(parents=True)
    lose(path)
    os.truncate(path.with_suffix(".journal"), 50)
    for _ in range(2):
        with pytest.raises(DataLoss, match=r"metadata\.db is missing or empty"):
            Database(str(path), (str(tmp_path / "blobs"),))
    path.write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(DataLoss, match=r"the database was damaged.*missing, too"):
            Database(str(path), (str(tmp_path / "blobs"),))
    assert expected


class Killed(BaseException):
    """The process has died here."""


def _steps(monkeypatch: pytest.MonkeyPatch, at: int) -> list[str]:
    """Die at the n-th change of a name, or sync."""
    done: list[str] = []

    def dying(name: str) -> None:
        original = getattr(os, name)

        def work(*given: Any, **options: Any) -> Any:
            done.append(name)
            if len(done) == at:
                raise Killed(name)
            return original(*given, **options)

        monkeypatch.setattr(os, name, work)

    for name in ("unlink", "rename", "fsync", "fdatasync"):
        dying(name)
    return done


@pytest.mark.parametrize("lost", ["database", "journal"])
def test_killed_while_it_is_made_again(
    path: Path, expected: Dump, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    if lost == "database":
        lose_wal(path)
        path.write_bytes(b"no database" * 1000)
    else:
        path.with_suffix(".journal").write_bytes(b"no journal\n" * 1000)
    count = 1
    while True:
        with monkeypatch.context() as own:
            steps = _steps(own, count)
            try:
                Database(str(path)).close()
            except Killed:
                count += 1
                continue
        break
    assert len(steps) >= 3
    assert count > len(steps)
    check(path, expected)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_in_a_transaction(path: Path, expected: Dump, at: int) -> None:
    """Before, in the middle of, and behind what goes into the journal: the transaction is there or it is not."""
    with opened(path) as database:
        write(database, ("INSERT INTO namespaces (name) VALUES ('last')", ()))
        rows = dump(database._connection)
    lines = path.with_suffix(".journal").read_bytes().rstrip(b"\0").splitlines()
    whole = [line + b"\n" for line in lines]
    # The database as if the transaction had not got there.
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM namespaces WHERE name = 'last'")
        connection.execute("UPDATE position SET number = number - 1")
    left = {1: whole[:-2], 2: [*whole[:-1], whole[-1][:20]], 3: whole}[at]
    path.with_suffix(".journal").write_bytes(b"".join(left))
    check(path, rows if at == 3 else expected)


def test_damage_under_a_running_daemon(path: Path) -> None:
    with opened(path) as database:
        fill(database)
        expected = dump(database._connection)
        database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database._connection.execute("PRAGMA cache_size=0")
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))

        def read(connection: sqlite3.Connection) -> int:
            return len(connection.execute("SELECT data FROM records").fetchall())

        async def both() -> list[int]:
            return await asyncio.gather(database.call(read), database.call(read))

        assert asyncio.run(both()) == [len(expected["records"])] * 2
        assert dump(database._connection) == expected
    check(path, expected)


def test_a_row_that_was_undone_is_not_written_down(path: Path) -> None:
    with opened(path) as database:

        def work(connection: sqlite3.Connection) -> None:
            with contextlib.suppress(sqlite3.IntegrityError):
                # The first row is put before the second is refused, and goes again with it.
                connection.execute("INSERT INTO namespaces (name) VALUES ('x'), ('x')")
            connection.execute("INSERT INTO namespaces (name) VALUES ('y')")

        asyncio.run(database.call(work))
        expected = dump(database._connection)
        assert expected["namespaces"] == [("y", "{}")]
    lose_wal(path)
    path.unlink()
    with opened(path) as database:
        assert dump(database._connection) == expected


def test_it_does_not_grow_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_SLACK", 20_000)
    with opened(path) as database:
        fill(database)
        for number in range(100):
            write(
                database,
                ("UPDATE records SET data = ? WHERE name = 'other'", (SPEC + bytes([number]),)),
            )
        expected = dump(database._connection)
        file = path.with_suffix(".journal")
        assert file.stat().st_size < 2 * 20 * len(SPEC) * 4 / 3 + 40_000 + journal._AHEAD
    check(path, expected)


# -- what is no damage


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was done, and it goes on when there is space again."""
    with opened(path) as database:
        fill(database)
        expected = dump(database._connection)
        original = os.pwrite

        def full(descriptor: int, data: bytes, offset: int) -> int:
            # Half of it fits.
            original(descriptor, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as own:
            own.setattr(os, "pwrite", full)
            with pytest.raises(ResourceExhausted, match="No space left"):
                write(database, ("INSERT INTO namespaces (name) VALUES ('lost')", ()))
        assert dump(database._connection) == expected
        write(database, ("UPDATE namespaces SET labels = labels", ()))
    check(path, expected)


def test_a_journal_that_cannot_be_cut(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds is not known then: it is written again before the next transaction."""
    with opened(path) as database:
        fill(database)
        expected = dump(database._connection)

        def fail(*_: Any) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as own:
            own.setattr(os, "fdatasync", fail)
            own.setattr(os, "ftruncate", fail)
            with pytest.raises(Internal, match="Input/output error"):
                write(database, ("INSERT INTO namespaces (name) VALUES ('lost')", ()))
        assert dump(database._connection) == expected
        write(database, ("UPDATE namespaces SET labels = labels", ()))
    check(path, expected)


def test_a_database_that_cannot_take_it(path: Path) -> None:
    """The journal has it already, and lets it go again."""
    with opened(path) as database:
        fill(database)
        expected = dump(database._connection)
        (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
        database._connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(ResourceExhausted, match=r"metadata\.db: no space left"):
            write(
                database, ("INSERT INTO records VALUES ('container', 'n', 'big', ?)", (SPEC * 99,))
            )
        with pytest.raises(sqlite3.IntegrityError):
            write(
                database,
                ("PRAGMA defer_foreign_keys=ON", ()),
                (ADD, ("orphan", 9999)),
            )
        assert dump(database._connection) == expected
    check(path, expected)


def test_a_locked_file(path: Path, expected: Dump, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *given, **options: connect(*given, **options, timeout=0)
    )
    with contextlib.closing(connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="locked by another process"):
            Database(str(path))
    check(path, expected)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    path.mkdir()
    with pytest.raises(Internal, match="unable to open database file"):
        Database(str(path))


def test_the_rows_are_read_as_they_were_written() -> None:
    table = schema.Table("t", ("k", "v"), ("k",))
    for value in (None, 5, -1, "\t\n\0\u2028", b"\0\xff", "", b""):
        name, key, row = schema.read(table.line(("key\t\n",), ("key\t\n", value)))
        assert (name, key, row) == ("t", ["key\t\n"], {"k": "key\t\n", "v": value})
    assert b"\n" not in table.line(("\n",), ("\n", "\n"))


def test_a_row_without_a_column_gets_its_default(path: Path) -> None:
    with opened(path) as database:
        snapshots = database._tables["snapshots"]
        row = {
            "id": 7,
            "namespace": "n",
            "name": "s",
            "kind": 3,
            "created": 0,
            "updated": 0,
            "labels": "{}",
        }
        snapshots.put(database._connection, row)
        assert snapshots.find(database._connection, (7,))[-3:] == (0, 0, "overlayfs")  # type: ignore[index]


def test_a_journal_of_another_version_is_written_again(path: Path, expected: Dump) -> None:
    """Other columns than now: the database counts, if it is whole."""
    found = journal.read(str(path.with_suffix(".journal")))
    assert found is not None
    found.head["columns"]["snapshots"].remove("inodes")
    lines = list(journal.lines(str(path.with_suffix(".journal")), found))
    journal.Journal.write(
        str(path.with_suffix(".journal")), lines, found.number, found.sequences, found.head
    ).close()
    check(path, expected)
    assert recovery.journal_of(str(path)) == str(path.with_suffix(".journal"))
