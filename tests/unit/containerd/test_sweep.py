"""Blobs that come into being while garbage is swept away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from containerd.content import local
from containerd.content.local import ContentStore
from containerd.metadata.db import Database
from wire import namespaces

_DATA = b"a layer"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(str(tmp_path / "metadata.db"))
    yield found
    found.close()


@pytest.fixture
def store(tmp_path: Path, database: Database) -> ContentStore:
    return ContentStore(str(tmp_path), database)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("old", [False, True], ids=["new", "dead"])
def test_a_blob_that_comes_while_the_folder_is_read_stays(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch, moment: str, *, old: bool
) -> None:
    """It is published at the worst moment, beside the transaction that sweeps; ``old``: over one that nothing refers to."""
    listed = os.listdir

    def publish(pins: set[str]) -> str:
        writer = store.writer()
        writer.write(_DATA)
        return store.publish(writer, pins)

    async def body() -> None:
        with namespaces.bind("tests"), store.pinned() as pins:
            if old:
                with store.pinned() as others:
                    publish(others)

            def interrupted(path: Any) -> list[str]:
                blobs = str(path).endswith("blobs/sha256")
                if blobs and moment == "before":
                    publish(pins)
                found = listed(path)
                if blobs and moment == "after":
                    publish(pins)
                return found

            monkeypatch.setattr(local.os, "listdir", interrupted)
            await store.sweep()
            (digest,) = pins
            await store.record(digest)
            assert store.read(digest) == _DATA

    asyncio.run(body())


def test_a_blob_that_is_held_by_nothing_goes(store: ContentStore) -> None:
    async def body() -> None:
        with store.pinned() as pins:
            writer = store.writer()
            writer.write(_DATA)
            digest = store.publish(writer, pins)
            assert await store.sweep() == 0
        assert await store.sweep() == 1
        assert not store.exists(digest)

    asyncio.run(body())
