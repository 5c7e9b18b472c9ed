"""What a power failure could take: at every commit of metadata, the files that it is about are on disk under their names.

The model is that of the system calls: a name is on disk once its directory was synced (or the whole file system), a
file's bytes once the file was. What the code under test does is recorded, not guessed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from containerd.content import local
from containerd.content.ingest import Ingests
from containerd.content.local import ContentStore
from containerd.events.exchange import Exchange
from containerd.linux import syscalls
from containerd.metadata.db import Database
from containerd.snapshots import overlay
from containerd.snapshots.overlay import OverlaySnapshotter
from wire import atomic, namespaces


class Disk:
    """Which names and bytes a power failure would take, and what was committed in spite of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kept: Path) -> None:
        self._kept = tuple(str(path) for path in kept)
        self._names: set[str] = set()
        self._bytes: set[str] = set()
        self.lost: list[set[str]] = []
        self.commits = 0
        rename, mkdir, fsync = os.rename, os.mkdir, os.fsync
        pwrite, fdatasync = os.pwrite, os.fdatasync
        sync_filesystem, connect = syscalls.sync_filesystem, sqlite3.connect

        def renamed(source: Any, target: Any, **options: Any) -> None:
            rename(source, target, **options)
            old, new = os.fspath(source), os.fspath(target)
            if stat.S_ISREG(os.stat(new).st_mode) and old in self._bytes:
                self._bytes.add(new)
            self._bytes.discard(old)
            self._names.add(new)

        def made(path: Any, *mode: Any, **options: Any) -> None:
            mkdir(path, *mode, **options)
            self._names.add(os.fspath(path))

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                self._names = {each for each in self._names if os.path.dirname(each) != path}
            else:
                self._bytes.discard(path)

        def wrote(descriptor: int, data: Any, offset: int) -> int:
            self._bytes.add(os.readlink(f"/proc/self/fd/{descriptor}"))
            return pwrite(descriptor, data, offset)

        def data_synced(descriptor: int) -> None:
            fdatasync(descriptor)
            self._bytes.discard(os.readlink(f"/proc/self/fd/{descriptor}"))

        def all_synced(descriptor: int) -> None:
            sync_filesystem(descriptor)
            self._names.clear()
            self._bytes.clear()

        def connected(*given: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*given, **options)
            connection.set_trace_callback(self._statement)
            return connection

        monkeypatch.setattr(os, "rename", renamed)
        monkeypatch.setattr(os, "mkdir", made)
        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "pwrite", wrote)
        monkeypatch.setattr(os, "fdatasync", data_synced)
        monkeypatch.setattr(overlay, "sync_filesystem", all_synced)
        monkeypatch.setattr(sqlite3, "connect", connected)

    def wrote(self, path: str) -> None:
        """Somebody wrote into a file."""
        self._bytes.add(path)

    def _statement(self, statement: str) -> None:
        if statement == "COMMIT":
            self.commits += 1
            lost = {each for each in self._names | self._bytes if each.startswith(self._kept)}
            if lost:
                self.lost.append(lost)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(
        monkeypatch,
        tmp_path / "content" / "blobs",
        tmp_path / "overlayfs" / "snapshots",
        tmp_path / "metadata.journal",
    )


@pytest.fixture
def database(disk: Disk, tmp_path: Path) -> Iterator[Database]:
    found = Database(str(tmp_path / "metadata.db"))
    yield found
    found.close()


def _writing(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    original = local.Writer.write

    def write(self: local.Writer, data: bytes) -> None:
        original(self, data)
        disk.wrote(self.path)

    monkeypatch.setattr(local.Writer, "write", write)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_blobs(
    disk: Disk,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    algorithm: str,
) -> None:
    _writing(disk, monkeypatch)
    digest = f"{algorithm}:{hashlib.new(algorithm, b'bytes').hexdigest()}"

    async def run() -> None:
        store = ContentStore(str(tmp_path / "content"), database)
        with namespaces.bind("n"):
            await store.add(b"bytes", digest)
            upload = await Ingests(store, database).begin("ref", 0, "")
            upload.write(b"more")
            await Ingests(store, database).commit(upload, 0, "", {})
            upload.close()

    asyncio.run(run())
    assert disk.commits >= 3
    assert disk.lost == []


def test_a_blob_that_another_is_still_renaming(
    disk: Disk, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds the file before its name is on disk does not record it before that either."""
    digest = f"sha256:{hashlib.sha256(b'bytes').hexdigest()}"

    async def run() -> None:
        store = ContentStore(str(tmp_path / "content"), database)
        loop = asyncio.get_running_loop()

        def sync(path: str) -> None:
            # Not on disk yet: in this moment somebody else records it.
            with monkeypatch.context() as own:
                own.setattr(local, "sync_directory", atomic.sync_directory)

                async def other() -> set[str]:
                    with namespaces.bind("other"):
                        return await store.known((digest,))

                assert asyncio.run_coroutine_threadsafe(other(), loop).result(10) == {digest}
            atomic.sync_directory(path)

        monkeypatch.setattr(local, "sync_directory", sync)
        with namespaces.bind("n"):
            await store.add(b"bytes", digest)

    asyncio.run(run())
    assert disk.lost == []


def test_the_journal(disk: Disk, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction is on disk before the database has it; the model notices if it is not."""

    def work(connection: sqlite3.Connection, name: str) -> None:
        connection.execute("INSERT INTO namespaces (name) VALUES (?)", (name,))

    asyncio.run(database.call(work, "one"))
    assert (disk.commits > 0, disk.lost) == (True, [])
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    asyncio.run(database.call(work, "two"))
    assert len(disk.lost) == 1


def test_snapshots(disk: Disk, database: Database, tmp_path: Path) -> None:
    async def run() -> None:
        store = OverlaySnapshotter(str(tmp_path / "overlayfs"), database, Exchange())
        with namespaces.bind("n"):
            drafts = [(name, store.draft()) for name in ("one", "two")]
            await store.adopt(drafts, "")
            await store.prepare("work", "two", {})
            await store.commit("three", "work", {})
            await store.prepare("seen", "three", {}, view=True)

    asyncio.run(run())
    assert disk.commits >= 4
    assert disk.lost == []
