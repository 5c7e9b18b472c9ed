"""Uploads by clients: named by a reference, one writer at a time, resumable after a disconnection or a restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from containerd.content.local import ContentStore
from containerd.content.writer import Writer
from containerd.metadata import leases
from containerd.metadata.db import Database
from containerd.metadata.namespaces import ensure
from wire import digest as digests
from wire import namespaces
from wire.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from wire.identifiers import validate_labels

_CHUNK: Final = 1 << 20
# An upload without a lease is forgotten after this time.
_UNLEASED: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """An upload; ``offset`` is how many bytes are here, times are in nanoseconds since 1970."""

    ref: str
    offset: int
    total: int
    expected: str
    started: int
    updated: int


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    total: int
    expected: str
    started: int


class Upload:
    """An open upload of one client. Its blocking methods belong into a thread, one at a time."""

    def __init__(self, store: ContentStore, namespace: str, ref: str, row: _Row) -> None:
        self._store = store
        self.namespace = namespace
        self.ref = ref
        self._path = os.path.join(store.ingest, str(row.number))
        self.started = row.started
        self.total = row.total
        # The bytes are here already, put by another namespace: they are only copied if the client changes them.
        self.shared = row.expected
        self._size = 0
        self._writer: Writer | None = None

    def open(self) -> None:
        """Open the file, and hash what it holds."""
        if self.shared:
            self._size = os.stat(self._store.path(self.shared)).st_size
        else:
            self._writer = Writer(self._path, resume=True)

    @property
    def offset(self) -> int:
        """How many bytes are here."""
        return self._writer.size if self._writer else self._size

    @property
    def digest(self) -> str:
        """Of the bytes that are here."""
        return self._writer.digest if self._writer else self.shared

    def write(self, data: bytes) -> None:
        """Append."""
        self._own().write(data)

    def truncate(self) -> None:
        """Begin again."""
        if self._writer is None:
            self._writer = Writer(self._path)
            self.shared = ""
        self._writer.truncate()

    def _own(self) -> Writer:
        if self._writer is None:
            writer = Writer(self._path)
            with self._store.open(self.shared) as file:
                while data := file.read(_CHUNK):
                    writer.write(data)
            self._writer, self.shared = writer, ""
        return self._writer

    def publish(self, pins: set[str], size: int, expected: str) -> str:
        """Make the bytes a blob; raises FailedPrecondition if they are not what was expected."""
        if size and size != self.offset:
            raise FailedPrecondition(
                f'"{self.ref}" failed size validation: {self.offset} != {size}: failed precondition'
            )
        if self._writer is None:
            if expected and expected != self.shared:
                raise FailedPrecondition(f'"{self.ref}" unexpected digest: failed precondition')
            return self.shared
        # One that is malformed is another one, as for the original.
        like = expected if digests.is_valid(expected) else self._writer.digest
        if expected and self._writer.digest_like(like) != expected:
            raise FailedPrecondition(
                f"unexpected commit digest {self._writer.digest_like(like)}, expected {expected}:"
                " failed precondition"
            )
        try:
            return self._store.publish(self._writer, pins, expected)
        except FileNotFoundError:
            raise NotFound(f"reference {self.ref}: not found") from None

    def close(self) -> None:
        """Let the file go."""
        if self._writer is not None:
            self._writer.close()


class Ingests:
    """The uploads of all namespaces."""

    def __init__(self, store: ContentStore, database: Database) -> None:
        self._store = store
        self._database = database
        self._open: dict[tuple[str, str], datetime] = {}

    @contextlib.contextmanager
    def locked(self, ref: str) -> Iterator[None]:
        """Be the only writer of a reference; raises Unavailable if there is one, InvalidArgument without a reference."""
        if not ref:
            raise InvalidArgument("first message must have a reference: invalid argument")
        key = namespaces.current(), ref
        since = self._open.get(key)
        now = datetime.now(UTC)
        if since is not None:
            raise Unavailable(
                f"ref {'/'.join(key)} locked for {(now - since).total_seconds():.3f}s"
                f" (since {since.isoformat()}): unavailable"
            )
        self._open[key] = now
        try:
            yield
        finally:
            del self._open[key]

    async def begin(self, ref: str, total: int, expected: str) -> Upload:
        """Open a locked reference, new or from where it was left; raises AlreadyExists if the blob is here."""
        if expected:
            digests.parse(expected)
        namespace = namespaces.current()

        def insert(connection: sqlite3.Connection) -> _Row | None:
            ensure(connection, namespace)
            shared = ""
            if expected and _knows(connection, namespace, expected):
                # Committed, so that the lease holds it, and an error all the same.
                leases.hold(connection, namespace, "content", expected)
                return None
            if expected and self._store.exists(expected):
                size = os.stat(self._store.path(expected)).st_size
                shared = expected if total in {0, size} else ""
            expires = time.time_ns() + int(_UNLEASED.total_seconds()) * 1_000_000_000
            leased = leases.hold(connection, namespace, "ingests", ref)
            connection.execute(
                "INSERT INTO ingests (namespace, ref, total, expected, started, expires)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " total = max(total, excluded.total), expected = excluded.expected, expires = excluded.expires",
                (namespace, ref, total, shared, time.time_ns(), None if leased else expires),
            )
            row = connection.execute(
                "SELECT id, total, expected, started FROM ingests WHERE namespace = ? AND ref = ?",
                (namespace, ref),
            ).fetchone()
            return _Row(*row)

        row = await self._database.call(insert)
        if row is None:
            raise AlreadyExists(f"content {expected}: already exists")
        upload = Upload(self._store, namespace, ref, row)
        await asyncio.to_thread(upload.open)
        return upload

    async def commit(
        self, upload: Upload, size: int, expected: str, labels: Mapping[str, str]
    ) -> tuple[str, int]:
        """The upload becomes a blob; its digest and size. Raises AlreadyExists, FailedPrecondition, NotFound."""
        validate_labels(labels)
        with self._store.pinned() as pins:
            found = await asyncio.to_thread(upload.publish, pins, size, expected)
            path = self._store.path(found)

            def record(connection: sqlite3.Connection) -> bool:
                connection.execute(
                    "DELETE FROM ingests WHERE namespace = ? AND ref = ?",
                    (upload.namespace, upload.ref),
                )
                leases.release(connection, upload.namespace, "ingests", upload.ref)
                if _knows(connection, upload.namespace, found):
                    leases.hold(connection, upload.namespace, "content", found)
                    return False
                return self._store.insert(connection, upload.namespace, found, path, labels)

            if not await self._database.call(record):
                raise AlreadyExists(f"content {found}: already exists")
        return found, upload.offset

    async def abort(self, ref: str) -> None:
        """Forget an upload; raises NotFound."""

        def delete(connection: sqlite3.Connection, namespace: str) -> int:
            row = connection.execute(
                "SELECT id FROM ingests WHERE namespace = ? AND ref = ?", (namespace, ref)
            ).fetchone()
            if row is None:
                raise NotFound(f"reference {ref}: not found")
            connection.execute("DELETE FROM ingests WHERE id = ?", row)
            leases.release(connection, namespace, "ingests", ref)
            return int(row[0])

        number = await self._database.call(delete, namespaces.current())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._store.ingest, str(number)))

    async def status(self, ref: str) -> Status:
        """Raises NotFound."""
        for found in await self.list(ref):
            return found
        raise NotFound(f"reference {ref}: not found")

    async def list(self, ref: str | None = None) -> list[Status]:
        """The uploads of the current namespace, by reference."""

        def select(connection: sqlite3.Connection, namespace: str) -> list[Status]:
            rows = connection.execute(
                "SELECT id, ref, total, expected, started FROM ingests WHERE namespace = ?1"
                " AND (?2 IS NULL OR ref = ?2) ORDER BY ref",
                (namespace, ref),
            )
            return [self._status(*row) for row in rows]

        return await self._database.call(select, namespaces.current())

    def _status(self, number: int, ref: str, total: int, expected: str, started: int) -> Status:
        offset, updated = total if expected else 0, started
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(os.path.join(self._store.ingest, str(number)))
            offset, updated = found.st_size, found.st_mtime_ns
        return Status(
            ref=ref,
            offset=offset,
            total=total,
            expected=expected,
            started=started,
            updated=updated,
        )


def _knows(connection: sqlite3.Connection, namespace: str, digest: str) -> bool:
    return (
        connection.execute(
            "SELECT 1 FROM blobs WHERE namespace = ? AND digest = ?", (namespace, digest)
        ).fetchone()
        is not None
    )
