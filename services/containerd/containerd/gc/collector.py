"""Removing what nothing refers to: mark from images, containers, leases and roots, then sweep blobs and snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from containerd.content.local import ContentStore
from containerd.images.walk import MANIFEST_TYPES, descend
from containerd.metadata.db import Database
from containerd.snapshots.overlay import OverlaySnapshotter
from wire.errors import EngineError
from wire.oci.image import Descriptor, ImageConfig, chain_id

logger = logging.getLogger(__name__)

_ROOT_LABEL: Final = "containerd.io/gc.root"
_DELAY: Final = 0.5

# The targets of all images, and the snapshot keys of all containers, by namespace.
Roots = Callable[[sqlite3.Connection], tuple[list[tuple[str, Descriptor]], set[tuple[str, str]]]]


class Collector:
    """Collects after deletions, never while a transfer holds it back."""

    def __init__(
        self,
        database: Database,
        content: ContentStore,
        snapshotter: OverlaySnapshotter,
        roots: Roots,
    ) -> None:
        self._database = database
        self._content = content
        self._snapshotter = snapshotter
        self._roots = roots
        self._holders = 0
        self._free = asyncio.Condition()
        self._scheduled: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def held_back(self) -> AsyncIterator[None]:
        """Nothing is collected in the block: what it brings in has no owner yet."""
        async with self._free:
            self._holders += 1
        try:
            yield
        finally:
            async with self._free:
                self._holders -= 1
                self._free.notify_all()

    def schedule(self) -> None:
        """Collect soon; several deletions share one collection."""
        if self._scheduled is None or self._scheduled.done():
            self._scheduled = asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(_DELAY)
        await self.collect()

    async def close(self) -> None:
        """Drop a scheduled collection; the next start collects."""
        if self._scheduled is not None:
            self._scheduled.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._scheduled

    async def collect(self) -> None:
        """Collect now, as soon as no transfer is under way."""
        async with self._free:
            await self._free.wait_for(lambda: self._holders == 0)
            numbers = await self._database.call(self._mark_and_forget)
            for number in numbers:
                await self._snapshotter.discard(number)
            known = await self._database.call(
                lambda connection: {
                    str(row[0]) for row in connection.execute("SELECT DISTINCT digest FROM blobs")
                }
            )
            removed = await asyncio.to_thread(lambda: list(self._content.sweep(known)))
            if removed or numbers:
                logger.info("collected", extra={"blobs": len(removed), "snapshots": len(numbers)})

    def _mark_and_forget(self, connection: sqlite3.Connection) -> list[int]:
        """Forget unreachable blobs and snapshots in one transaction; the numbers of the snapshots."""
        images, snapshots = self._roots(connection)
        blobs: set[tuple[str, str]] = set()
        for namespace, target in images:
            with contextlib.suppress(EngineError):
                for each in descend(self._content.read, target, self._content.exists):
                    blobs.add((namespace, each.digest))
                    if each.media_type in MANIFEST_TYPES:
                        snapshots.update((namespace, name) for name in self._chain(each))
        for namespace, kind, name in connection.execute(
            "SELECT namespace, type, id FROM lease_resources"
        ):
            if kind == "content":
                blobs.add((namespace, name))
            elif kind.startswith("snapshots/"):
                snapshots.add((namespace, name))
        for namespace, digest, labels in connection.execute(
            "SELECT namespace, digest, labels FROM blobs"
        ):
            if _ROOT_LABEL in json.loads(labels):
                blobs.add((namespace, digest))
        self._forget_blobs(connection, blobs)
        return self._forget_snapshots(connection, snapshots)

    def _chain(self, manifest: Descriptor) -> list[str]:
        document = json.loads(self._content.read(manifest.digest))
        config_digest = document["config"]["digest"]
        if not self._content.exists(config_digest):
            return []
        try:
            diff_ids = ImageConfig.from_bytes(self._content.read(config_digest)).diff_ids
        except EngineError:
            return []
        return [chain_id(diff_ids[: count + 1]) for count in range(len(diff_ids))]

    @staticmethod
    def _forget_blobs(connection: sqlite3.Connection, kept: set[tuple[str, str]]) -> None:
        rows = connection.execute("SELECT namespace, digest FROM blobs").fetchall()
        connection.executemany(
            "DELETE FROM blobs WHERE namespace = ? AND digest = ?",
            [row for row in rows if tuple(row) not in kept],
        )

    @staticmethod
    def _forget_snapshots(connection: sqlite3.Connection, kept: set[tuple[str, str]]) -> list[int]:
        rows = connection.execute(
            "SELECT id, namespace, name, parent, labels FROM snapshots ORDER BY id DESC"
        ).fetchall()
        parents = {row[0]: row[3] for row in rows}
        alive: set[int] = set()
        for number, namespace, name, _, labels in rows:
            if (namespace, name) in kept or _ROOT_LABEL in json.loads(labels):
                at: int | None = number
                while at is not None and at not in alive:
                    alive.add(at)
                    at = parents[at]
        # Children have higher numbers than their parents, so this order keeps the references valid.
        dead = [row[0] for row in rows if row[0] not in alive]
        for number in dead:
            connection.execute("DELETE FROM snapshots WHERE id = ?", (number,))
        return dead
