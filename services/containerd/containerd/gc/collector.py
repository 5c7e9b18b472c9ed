"""Removing what nothing refers to: mark in the metadata, forget it there, then remove the bytes and directories."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from containerd.content.local import ContentStore
from containerd.events.exchange import Exchange
from containerd.gc.graph import Node, Reader, build
from containerd.gc.scheduler import Rules, Scheduler
from containerd.metadata.db import Database
from containerd.mounts.manager import MountManager
from containerd.snapshots.overlay import OverlaySnapshotter
from wire import namespaces
from wire.gen.containerd.events import image_pb2, snapshot_pb2

logger = logging.getLogger(__name__)

_QUERIES: Final = {
    "content": ("DELETE FROM blobs WHERE namespace = ? AND digest = ?",),
    "mount": ("DELETE FROM records WHERE kind = 'mount' AND namespace = ? AND name = ?",),
    "image": ("DELETE FROM records WHERE kind = 'image' AND namespace = ? AND name = ?",),
    "ingest": ("DELETE FROM ingests WHERE namespace = ? AND ref = ?",),
    "lease": (
        "DELETE FROM leases WHERE namespace = ? AND id = ?",
        "DELETE FROM lease_resources WHERE namespace = ? AND lease = ?",
    ),
}


@dataclass(slots=True)
class _Forgotten:
    nodes: list[Node] = field(default_factory=list)
    snapshots: list[tuple[str, int]] = field(default_factory=list)
    """Their snapshotters and numbers."""
    expiry: float | None = None


class Collector:
    """Collects after deletions, and when something expires."""

    def __init__(
        self,
        database: Database,
        content: ContentStore,
        snapshotters: Mapping[str, OverlaySnapshotter],
        mounts: MountManager,
        exchange: Exchange,
        readers: Mapping[str, Reader],
        rules: Rules,
    ) -> None:
        self._database = database
        self._content = content
        self._snapshotters = snapshotters
        self._mounts = mounts
        self._exchange = exchange
        self._readers = readers
        self._lock = asyncio.Lock()
        self._scheduler = Scheduler(rules, self._begin)
        database.on_change(self._scheduler.mutated)
        self._alarm: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """The daemon serves."""
        self._scheduler.start()

    def schedule(self) -> None:
        """Something was deleted: collect soon; several deletions share one collection."""
        self._scheduler.deleted()

    def _begin(self) -> None:
        task = asyncio.get_running_loop().create_task(self.collect())
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("collection failed", exc_info=task.exception())

    async def close(self) -> None:
        """Drop a scheduled collection, finish a running one; the next start collects."""
        self._scheduler.close()
        if self._alarm is not None:
            self._alarm.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def collect_for_caller(self) -> None:
        """Collect because a client waits for it."""
        if self._scheduler.delay > 0:
            await asyncio.sleep(self._scheduler.delay)
        await self.collect()

    async def collect(self) -> None:
        """Collect now; what was scheduled is done then, too."""
        async with self._lock:
            self._scheduler.collecting()
            begun = time.monotonic()
            try:
                found = await self._database.call(self._forget)
                for snapshotter, number in found.snapshots:
                    await self._snapshotters[snapshotter].discard(number)
                if any(node.kind == "mount" for node in found.nodes):
                    await self._mounts.sweep()
                blobs = await self._content.sweep()
            finally:
                self._scheduler.collected(time.monotonic() - begun)
        for node in found.nodes:
            self._announce(node)
        if blobs or found.nodes:
            logger.info("collected", extra={"blobs": blobs, "snapshots": len(found.snapshots)})
        self._set_alarm(found.expiry)

    def _set_alarm(self, expiry: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if expiry is not None:
            delay = max(0.0, expiry - time.time())
            self._alarm = asyncio.get_running_loop().call_later(delay, self._begin)

    def _forget(self, connection: sqlite3.Connection) -> _Forgotten:
        """Take the records of the dead out, in one transaction."""
        graph = build(connection, self._readers)
        found = _Forgotten(expiry=graph.expiry)
        snapshots = []
        for node in graph.dead():
            if node.kind == "snapshot":
                snapshots.append(node)
            elif node.kind in _QUERIES:
                for query in _QUERIES[node.kind]:
                    connection.execute(query, (node.namespace, node.name))
                found.nodes.append(node)
        numbers = {}
        for node in snapshots:
            snapshotter, _, key = node.name.partition("/")
            (number,) = connection.execute(
                "SELECT id FROM snapshots WHERE snapshotter = ? AND namespace = ? AND name = ?",
                (snapshotter, node.namespace, key),
            ).fetchone()
            numbers[number] = node
        # A child is younger than its parent, so this order keeps the references valid.
        for number in sorted(numbers, reverse=True):
            connection.execute("DELETE FROM snapshots WHERE id = ?", (number,))
            found.snapshots.append((numbers[number].name.partition("/")[0], number))
            found.nodes.append(numbers[number])
        return found

    def _announce(self, node: Node) -> None:
        with namespaces.bind(node.namespace):
            if node.kind == "image":
                self._exchange.publish("/images/delete", image_pb2.ImageDelete(name=node.name))
            elif node.kind == "snapshot":
                snapshotter, _, key = node.name.partition("/")
                self._exchange.publish(
                    "/snapshot/remove",
                    snapshot_pb2.SnapshotRemove(key=key, snapshotter=snapshotter),
                )
