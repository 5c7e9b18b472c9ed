"""A removal whose client goes away in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

from containerd.events.exchange import Exchange
from containerd.metadata.db import Database
from containerd.snapshots.overlay import OverlaySnapshotter
from wire import namespaces


def test_a_client_that_leaves_leaves_no_directory(tmp_path: Path) -> None:
    """It leaves while the record's deletion waits for its turn; the deletion holds, and so must the rest."""

    async def run() -> None:
        database = Database(str(tmp_path / "metadata.db"))
        store = OverlaySnapshotter(str(tmp_path / "overlayfs"), database, Exchange())
        snapshots = tmp_path / "overlayfs/snapshots"
        with namespaces.bind("n"):
            await store.prepare("work", "", {})
            assert len(list(snapshots.iterdir())) == 1
            turn = threading.Event()
            holding = asyncio.ensure_future(database.call(lambda _: turn.wait(20)))
            removal = asyncio.ensure_future(store.remove("work"))
            await asyncio.sleep(0)
            removal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await removal
            turn.set()
            assert await holding
            async with asyncio.timeout(20):
                while list(snapshots.iterdir()):
                    await asyncio.sleep(0.01)
        await asyncio.to_thread(database.close)

    asyncio.run(run())
