"""Blobs in files named by their digest: written aside, synced, renamed, and only then recorded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from containerd.metadata.db import Database
from wire import digest as digests
from wire import namespaces
from wire.atomic import sync_directory
from wire.errors import FailedPrecondition, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """A blob as a namespace sees it; times in nanoseconds since 1970."""

    digest: str
    size: int
    created: int
    updated: int
    labels: dict[str, str]


class Writer:
    """One blob on its way in. Not shared between threads."""

    def __init__(self, directory: str, name: str) -> None:
        self.path = os.path.join(directory, name)
        self._file = open(self.path, "w+b")  # noqa: SIM115 - lives as long as the writer
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def sync(self) -> None:
        """Make the bytes durable."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abort(self) -> None:
        """Forget it."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


class ContentStore:
    """All blobs; which namespace may see which is in the metadata."""

    def __init__(self, root: str, database: Database) -> None:
        self._blobs = os.path.join(root, "blobs", "sha256")
        self._ingest = os.path.join(root, "ingest")
        self._database = database
        os.makedirs(self._blobs, mode=0o700, exist_ok=True)
        os.makedirs(self._ingest, mode=0o700, exist_ok=True)
        for name in os.listdir(self._ingest):
            # Of an earlier life; nobody can name it any more.
            os.unlink(os.path.join(self._ingest, name))

    def path(self, digest: str) -> str:
        """The file of a blob, whether it exists or not; raises InvalidArgument for a bad digest."""
        _, encoded = digests.parse(digest)
        return os.path.join(self._blobs, encoded)

    def exists(self, digest: str) -> bool:
        """Whether the bytes are here, in any namespace."""
        return os.path.exists(self.path(digest))

    def read(self, digest: str) -> bytes:
        """A small blob; raises NotFound."""
        try:
            with open(self.path(digest), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise NotFound(f"content {digest}: not found") from None

    def open(self, digest: str) -> BinaryIO:
        """A blob's file; raises NotFound."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise NotFound(f"content {digest}: not found") from None

    def writer(self) -> Writer:
        """Begin a blob."""
        return Writer(self._ingest, f"{os.getpid()}-{os.urandom(8).hex()}")

    def publish(self, writer: Writer, expected: str = "", size: int = 0) -> str:
        """Sync and rename a finished blob; its digest. Raises FailedPrecondition if it is not what was expected."""
        found = writer.digest
        if size and writer.size != size:
            writer.abort()
            raise FailedPrecondition(
                f"unexpected commit size {writer.size}, expected {size}: failed precondition"
            )
        if expected and found != expected:
            writer.abort()
            raise FailedPrecondition(
                f"unexpected commit digest {found}, expected {expected}: failed precondition"
            )
        writer.sync()
        os.rename(writer.path, self.path(found))
        sync_directory(self._blobs)
        return found

    async def record(self, digest: str, labels: dict[str, str] | None = None) -> bool:
        """Let the current namespace see a blob; False if it did already (labels are merged)."""
        size = os.stat(self.path(digest)).st_size
        now = time.time_ns()

        def insert(connection: sqlite3.Connection, namespace: str) -> bool:
            row = connection.execute(
                "SELECT labels FROM blobs WHERE namespace = ? AND digest = ?", (namespace, digest)
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO blobs VALUES (?, ?, ?, ?, ?, ?)",
                    (namespace, digest, size, now, now, json.dumps(labels or {})),
                )
                return True
            if labels:
                merged = {**json.loads(row[0]), **labels}
                connection.execute(
                    "UPDATE blobs SET labels = ?, updated = ? WHERE namespace = ? AND digest = ?",
                    (json.dumps(merged), now, namespace, digest),
                )
            return False

        return await self._database.call(insert, namespaces.current())

    async def info(self, digest: str) -> Info:
        """A blob of the current namespace; raises NotFound."""
        for found in await self.list(digest):
            return found
        raise NotFound(f"content {digest}: not found")

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

    async def set_labels(self, digest: str, labels: dict[str, str]) -> None:
        """Replace a blob's labels; raises NotFound."""

        def update(connection: sqlite3.Connection, namespace: str) -> None:
            cursor = connection.execute(
                "UPDATE blobs SET labels = ?, updated = ? WHERE namespace = ? AND digest = ?",
                (json.dumps(labels), time.time_ns(), namespace, digest),
            )
            if not cursor.rowcount:
                raise NotFound(f"content {digest}: not found")

        await self._database.call(update, namespaces.current())

    async def delete(self, digest: str) -> None:
        """Hide a blob from the current namespace; the bytes go with the next collection. Raises NotFound."""

        def delete(connection: sqlite3.Connection, namespace: str) -> None:
            cursor = connection.execute(
                "DELETE FROM blobs WHERE namespace = ? AND digest = ?", (namespace, digest)
            )
            if not cursor.rowcount:
                raise NotFound(f"content {digest}: not found")

        await self._database.call(delete, namespaces.current())

    def sweep(self, kept: set[str]) -> Iterator[str]:
        """Remove the files of blobs that no namespace knows; their digests."""
        for name in os.listdir(self._blobs):
            digest = f"sha256:{name}"
            if digest not in kept:
                os.unlink(os.path.join(self._blobs, name))
                yield digest
