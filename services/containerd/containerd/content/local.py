"""Blobs in files named by their digest: written aside, synced, renamed, and only then recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from containerd.content.writer import Writer
from containerd.metadata import leases
from containerd.metadata.db import Database
from containerd.metadata.namespaces import ensure
from wire import digest as digests
from wire import namespaces
from wire.atomic import ensure_directory, sync_directory
from wire.errors import FailedPrecondition, InvalidArgument, NotFound
from wire.identifiers import validate_labels
from wire.oci.image import MAX_DOCUMENT

_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
_HELD: Final = "content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """A blob as a namespace sees it; times in nanoseconds since 1970."""

    digest: str
    size: int
    created: int
    updated: int
    labels: dict[str, str]


class ContentStore:
    """All blobs; which namespace may see which is in the metadata."""

    def __init__(self, root: str, database: Database) -> None:
        self._blobs = os.path.join(root, "blobs")
        self.ingest = os.path.join(root, "ingest")
        self._trash = os.path.join(root, "trash")
        self._database = database
        self._pins: list[set[str]] = []
        self._lock = threading.Lock()
        # Renamed and not yet known to be so on disk; whoever records one of them before that waits for the disk itself.
        self._unsettled: set[str] = set()
        folders = [os.path.join(self._blobs, algorithm) for algorithm in _ALGORITHMS]
        for directory in (self.ingest, self._trash, *folders):
            ensure_directory(directory)
        for directory in folders:
            # An earlier life may have ended between a rename and this.
            sync_directory(directory)
        for name in os.listdir(self._trash):
            os.unlink(os.path.join(self._trash, name))
        for name in os.listdir(self.ingest):
            if not name.isdigit():
                # Of a transfer in an earlier life; nobody can name it any more.
                os.unlink(os.path.join(self.ingest, name))

    def path(self, digest: str) -> str:
        """The file of a blob, whether it exists or not; raises InvalidArgument for a bad digest."""
        algorithm, encoded = digests.parse(digest)
        return os.path.join(self._blobs, algorithm, encoded)

    def exists(self, digest: str) -> bool:
        """Whether the bytes are here, in any namespace."""
        return os.path.exists(self.path(digest))

    def read(self, digest: str) -> bytes:
        """A manifest, an index or a config; raises NotFound, InvalidArgument for what is too large to be one.

        Strangers say which blob that is: a whole layer must not come into memory.
        """
        with self.open(digest) as file:
            data = file.read(MAX_DOCUMENT + 1)
        if len(data) > MAX_DOCUMENT:
            raise InvalidArgument(f"content {digest} is larger than {MAX_DOCUMENT} bytes")
        return data

    def open(self, digest: str) -> BinaryIO:
        """A blob's file; raises NotFound."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise NotFound(f"content {digest}: not found") from None

    def writer(self) -> Writer:
        """Begin a blob that only this process knows of."""
        return Writer(os.path.join(self.ingest, f"{os.getpid()}-{os.urandom(8).hex()}"))

    @contextlib.contextmanager
    def pinned(self) -> Iterator[set[str]]:
        """Blobs in this set are not swept in the block, recorded or not."""
        pins: set[str] = set()
        with self._lock:
            self._pins.append(pins)
        try:
            yield pins
        finally:
            with self._lock:
                self._pins = [each for each in self._pins if each is not pins]

    def publish(self, writer: Writer, pins: set[str], expected: str = "", size: int = 0) -> str:
        """Sync and rename a finished blob; its digest, which is pinned.

        Raises FailedPrecondition, and forgets the blob, if it is not what was expected.
        """
        try:
            found = writer.digest_like(expected) if expected else writer.digest
            if size and writer.size != size:
                raise FailedPrecondition(
                    f"unexpected commit size {writer.size}, expected {size}: failed precondition"
                )
            if expected and found != expected:
                raise FailedPrecondition(
                    f"unexpected commit digest {found}, expected {expected}: failed precondition"
                )
            writer.sync()
        except BaseException:
            writer.abort()
            raise
        writer.close()
        with self._lock:
            pins.add(found)
            self._unsettled.add(found)
        target = self.path(found)
        try:
            os.rename(writer.path, target)
        except BaseException:
            self._settled(found)
            raise
        sync_directory(os.path.dirname(target))
        self._settled(found)
        return found

    def _settled(self, digest: str) -> None:
        with self._lock:
            self._unsettled.discard(digest)

    async def commit(
        self, writer: Writer, expected: str = "", size: int = 0, labels: Mapping[str, str] = {}
    ) -> str:
        """Publish a finished blob and record it in the current namespace; its digest."""
        with self.pinned() as pins:
            digest = await asyncio.to_thread(self.publish, writer, pins, expected, size)
            await self.record(digest, labels)
        return digest

    async def add(self, data: bytes, expected: str = "", labels: Mapping[str, str] = {}) -> str:
        """A small blob at once; its digest."""

        def write() -> Writer:
            writer = self.writer()
            writer.write(data)
            return writer

        return await self.commit(await asyncio.to_thread(write), expected, len(data), labels)

    async def record(self, digest: str, labels: Mapping[str, str] = {}) -> bool:
        """Let the current namespace see a blob, held by the current lease; False if it did already (labels are merged).

        Raises NotFound if the bytes are not here.
        """
        validate_labels(labels)
        path = self.path(digest)

        def insert(connection: sqlite3.Connection, namespace: str) -> bool:
            return self.insert(connection, namespace, digest, path, labels)

        return await self._database.call(insert, namespaces.current())

    async def known(self, digests: Collection[str], labels: Mapping[str, str] = {}) -> set[str]:
        """``record`` for those of several blobs that are here, at once; which they are."""
        validate_labels(labels)

        def insert(connection: sqlite3.Connection, namespace: str) -> set[str]:
            found = set()
            for digest in digests:
                with contextlib.suppress(NotFound):
                    self.insert(connection, namespace, digest, self.path(digest), labels)
                    found.add(digest)
            return found

        return await self._database.call(insert, namespaces.current())

    async def label(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        """``record`` for several blobs, by digest, at once."""

        def insert(connection: sqlite3.Connection, namespace: str) -> None:
            for digest, given in labels.items():
                self.insert(connection, namespace, digest, self.path(digest), given)

        await self._database.call(insert, namespaces.current())

    def insert(
        self,
        connection: sqlite3.Connection,
        namespace: str,
        digest: str,
        path: str,
        labels: Mapping[str, str],
    ) -> bool:
        """``record`` inside a transaction, which no sweep can disturb."""
        try:
            size = os.stat(path).st_size
        except FileNotFoundError:
            raise NotFound(f"content {digest}: not found") from None
        with self._lock:
            unsettled = digest in self._unsettled
        if unsettled:
            sync_directory(os.path.dirname(path))
        now = time.time_ns()
        ensure(connection, namespace)
        leases.hold(connection, namespace, _HELD, digest)
        row = connection.execute(
            "SELECT labels FROM blobs WHERE namespace = ? AND digest = ?", (namespace, digest)
        ).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO blobs VALUES (?, ?, ?, ?, ?, ?)",
                (namespace, digest, size, now, now, json.dumps(dict(labels))),
            )
            return True
        known = json.loads(row[0])
        merged = {**known, **labels}
        if merged != known:
            connection.execute(
                "UPDATE blobs SET labels = ?, updated = ? WHERE namespace = ? AND digest = ?",
                (json.dumps(merged), now, namespace, digest),
            )
        return False

    async def info(self, digest: str) -> Info:
        """A blob of the current namespace; raises NotFound."""
        for found in await self.list(digest):
            return found
        raise NotFound(f"content digest {digest}: not found")

    async def list(self, digest: str | None = None) -> list[Info]:
        """The blobs of the current namespace."""

        def select(connection: sqlite3.Connection, namespace: str) -> list[Info]:
            rows = connection.execute(
                "SELECT digest, size, created, updated, labels FROM blobs WHERE namespace = ?1"
                " AND (?2 IS NULL OR digest = ?2) ORDER BY digest",
                (namespace, digest),
            )
            return [
                Info(
                    digest=row[0],
                    size=row[1],
                    created=row[2],
                    updated=row[3],
                    labels=json.loads(row[4]),
                )
                for row in rows
            ]

        return await self._database.call(select, namespaces.current())

    async def set_labels(self, digest: str, labels: Mapping[str, str], *, replace: bool) -> None:
        """Set labels, an empty value removing one; ``replace`` removes those that are not given. Raises NotFound."""

        def update(connection: sqlite3.Connection, namespace: str) -> None:
            row = connection.execute(
                "SELECT labels FROM blobs WHERE namespace = ? AND digest = ?", (namespace, digest)
            ).fetchone()
            if row is None:
                raise NotFound(f"content digest {digest}: not found")
            merged = {**({} if replace else json.loads(row[0])), **labels}
            validate_labels(merged)
            kept = {key: value for key, value in merged.items() if value}
            connection.execute(
                "UPDATE blobs SET labels = ?, updated = ? WHERE namespace = ? AND digest = ?",
                (json.dumps(kept), time.time_ns(), namespace, digest),
            )

        await self._database.call(update, namespaces.current())

    async def delete(self, digest: str) -> None:
        """Hide a blob from the current namespace; the bytes go with the next collection. Raises NotFound."""

        def delete(connection: sqlite3.Connection, namespace: str) -> None:
            cursor = connection.execute(
                "DELETE FROM blobs WHERE namespace = ? AND digest = ?", (namespace, digest)
            )
            if not cursor.rowcount:
                raise NotFound(f"content digest {digest}: not found")
            leases.release(connection, namespace, _HELD, digest)

        await self._database.call(delete, namespaces.current())

    async def sweep(self) -> int:
        """Remove the bytes that no namespace knows, and uploads without a record; how many blobs went."""
        removed = await self._database.call(self._put_aside)
        await asyncio.to_thread(self._empty_trash)
        return removed

    def _put_aside(self, connection: sqlite3.Connection) -> int:
        """In a transaction: nobody can record a blob between the look and the move."""
        known = {row[0] for row in connection.execute("SELECT DISTINCT digest FROM blobs")}
        known.update(row[0] for row in connection.execute("SELECT expected FROM ingests"))
        removed = 0
        for algorithm in _ALGORITHMS:
            directory = os.path.join(self._blobs, algorithm)
            if not os.path.isdir(directory):
                continue
            for name in os.listdir(directory):
                if f"{algorithm}:{name}" not in known and self._discard(algorithm, name):
                    removed += 1
        ingests = {str(row[0]) for row in connection.execute("SELECT id FROM ingests")}
        for name in os.listdir(self.ingest):
            if name.isdigit() and name not in ingests:
                os.rename(os.path.join(self.ingest, name), os.path.join(self._trash, name))
        return removed

    def _discard(self, algorithm: str, name: str) -> bool:
        # Blobs are pinned before they are renamed into place: one that is not pinned now, under the lock, is not a new one.
        with self._lock:
            if any(f"{algorithm}:{name}" in pins for pins in self._pins):
                return False
            source = os.path.join(self._blobs, algorithm, name)
            os.rename(source, os.path.join(self._trash, f"{algorithm}-{name}"))
            return True

    def _empty_trash(self) -> None:
        for name in os.listdir(self._trash):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._trash, name))
