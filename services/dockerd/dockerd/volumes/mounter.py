"""Mounting volumes for who needs them, and counting who does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from dockerd.volumes.drivers import Drivers
from dockerd.volumes.errors import framed
from dockerd.volumes.ledger import Ledger
from dockerd.volumes.locks import NameLocks
from dockerd.volumes.model import LOCAL, Volume
from dockerd.volumes.store import VolumeStore
from wire.errors import EngineError, NotFound, Unavailable

logger = logging.getLogger(__name__)


class Mounter:
    """Volumes in use. A holder is a container's id, or ``cp-…`` for a copy out of one that does not run."""

    def __init__(self, store: VolumeStore, drivers: Drivers, ledger: Ledger) -> None:
        self._store = store
        self._drivers = drivers
        self._ledger = ledger
        self._volumes = NameLocks()
        self._holders = NameLocks()
        # Of a daemon that died: it may have mounted for them, or not yet.
        self._unsure = set(ledger.holders())

    async def mount(self, holder: str, names: Iterable[str]) -> dict[str, str]:
        """Mount for a holder who has nothing yet: where each volume is. All or nothing.

        Raises Internal, NotFound, and what calls of plugins raise.
        """
        found: dict[str, str] = {}
        wanted = [self._volume(name) for name in dict.fromkeys(names)]
        found |= {each.name: self._store.path(each.name) for each in wanted if each.plain}
        if len(found) == len(wanted):
            return found
        async with self._holders.held(holder):
            await self._release(holder)
            try:
                for volume in wanted:
                    if not volume.plain:
                        found[volume.name] = await self._mount(volume, holder)
            except BaseException:
                await self._release(holder)
                raise
        return found

    def _volume(self, name: str) -> Volume:
        # A record that was lost is that of a plugin's volume, or of one that somebody removed by hand.
        return self._store.find(name) or Volume(name=name, created="")

    async def _mount(self, volume: Volume, holder: str) -> str:
        async with self._volumes.held(volume.name):
            try:
                driver = await self._drivers.get(volume.driver)
                self._ledger.add(holder, volume.name)
                return await driver.mount(volume, holder)
            except EngineError as error:
                if not isinstance(error, Unavailable):
                    # It said no. One that did not answer may have mounted all the same.
                    self._ledger.discard(holder, volume.name)
                source = self._store.path(volume.name) if volume.driver == LOCAL else volume.name
                raise framed(error, f"error while mounting volume '{source}'") from None

    async def release(self, holder: str) -> None:
        """Unmount what it holds; harmless when repeated.

        What fails is logged, and if the plugin was away tried again at the holder's next start, or the daemon's.
        """
        async with self._holders.held(holder):
            await self._release(holder)

    async def _release(self, holder: str) -> None:
        self._unsure.discard(holder)
        for name in self._ledger.volumes(holder):
            async with self._volumes.held(name):
                await self._unmount(name, holder)

    async def _unmount(self, name: str, holder: str) -> None:
        volume = self._store.find(name)
        if volume is not None:
            last = not self._ledger.others(name, holder)
            try:
                driver = await self._drivers.get(volume.driver)
                await driver.unmount(volume, holder, last=last)
            except EngineError as error:
                logger.warning(
                    "volume not unmounted",
                    extra={"volume": name, "holder": holder, "error": error.message},
                )
                if isinstance(error, Unavailable | NotFound):
                    return
        self._ledger.discard(holder, name)

    async def reconcile(self, runs: Callable[[str], bool]) -> None:
        """Release what a daemon that died has left mounted for holders that do not run any more."""
        for holder in sorted(self._unsure):
            async with self._holders.held(holder):
                # Meanwhile it may have been started again.
                if holder in self._unsure and not runs(holder):
                    await self._release(holder)
