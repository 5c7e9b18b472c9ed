"""Which volumes there are, over all drivers; who uses them; making and removing them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dockerd.events.bus import EventBus
from dockerd.volumes.drivers import Driver, Drivers
from dockerd.volumes.errors import NameConflict, VolumeInUse, VolumeNotFound, framed
from dockerd.volumes.locks import NameLocks
from dockerd.volumes.model import ANONYMOUS_LABEL, LOCAL, Found, Volume, now
from dockerd.volumes.store import VolumeStore
from wire.errors import EngineError, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A volume as we know it, and as its driver does."""

    volume: Volume
    found: Found
    scope: str


class Catalog:
    """All volumes. One verb at a time works on a volume; slow plugins hold up nobody else's."""

    def __init__(
        self,
        store: VolumeStore,
        drivers: Drivers,
        users_of: Callable[[str], set[str]],
        events: EventBus,
    ) -> None:
        """``users_of`` gives the ids of the containers that refer to a volume."""
        self._store = store
        self._drivers = drivers
        self._users_of = users_of
        self._events = events
        self._locks = NameLocks()
        self._held: dict[str, set[str]] = {}

    # -- users

    def users(self, name: str) -> set[str]:
        """The ids of the containers that refer to it, or are being made with it."""
        making = {holder for holder, names in self._held.items() if name in names}
        return self._users_of(name) | making

    @contextlib.contextmanager
    def holding(self, container_id: str) -> Iterator[None]:
        """Volumes that are made for a container inside stay its own until its record says so."""
        self._held[container_id] = set()
        try:
            yield
        finally:
            del self._held[container_id]

    def hold(self, name: str, container_id: str) -> None:
        """A container that is being made will refer to it."""
        if container_id in self._held:
            self._held[container_id].add(name)

    # -- looking

    def record(self, name: str) -> Volume | None:
        """What we have written down of it."""
        return self._store.find(name)

    def records(self) -> list[Volume]:
        """All that we have written down."""
        return self._store.list()

    def save(self, volume: Volume) -> None:
        """Keep a changed record."""
        self._store.save(volume)

    async def get(self, name: str) -> Entry:
        """Ask its driver, or every driver for one that nobody made through us.

        Raises VolumeNotFound, and what calls of plugins raise.
        """
        async with self._locks.held(name):
            return await self._get(name)

    async def _get(self, name: str) -> Entry:
        volume = self._store.find(name)
        if volume is None:
            return await self._probe(name)
        try:
            driver = await self._drivers.get(volume.driver)
            found = await driver.find(name)
        except EngineError as error:
            checking = f'error while checking if volume "{name}" exists in driver "{volume.driver}"'
            raise framed(error, f"get {name}: {checking}") from None
        if found is None:
            # Somebody removed it behind our back.
            self._store.erase(name)
            raise VolumeNotFound(name)
        return Entry(volume=volume, found=found, scope=driver.scope)

    async def _probe(self, name: str) -> Entry:
        for driver in await self._drivers.remote():
            with contextlib.suppress(EngineError):
                found = await driver.find(name, quick=True)
                if found is not None:
                    volume = _foreign(found, driver)
                    self._store.begin(volume)
                    self._store.add(volume)
                    return Entry(volume=volume, found=found, scope=driver.scope)
        raise VolumeNotFound(name)

    async def list(self) -> tuple[list[Entry], list[str]]:
        """All, by name; and warnings about drivers that do not answer, whose volumes are those that we have recorded."""
        entries = {each.name: self._recorded(each) for each in self._store.list()}
        drivers = await self._drivers.remote()
        answers = await asyncio.gather(*(each.list() for each in drivers), return_exceptions=True)
        warnings, answered = [], {LOCAL}
        for driver, answer in zip(drivers, answers, strict=True):
            if isinstance(answer, EngineError):
                warnings.append(f"list {driver.name}: {answer.message}")
                continue
            if isinstance(answer, BaseException):
                raise answer
            answered.add(driver.name)
            names = {each.name for each in answer}
            for name, entry in tuple(entries.items()):
                if entry.volume.driver == driver.name and name not in names:
                    del entries[name]
            for found in answer:
                known = self._store.find(found.name)
                if known is None or known.driver == driver.name:
                    volume = known or _foreign(found, driver)
                    entries[found.name] = Entry(volume=volume, found=found, scope=driver.scope)
        missing = {each.volume.driver for each in entries.values()} - answered
        missing -= {each.name for each in drivers}
        warnings += [f'list {name}: plugin "{name}" not found' for name in sorted(missing)]
        return [entries[name] for name in sorted(entries)], warnings

    def _recorded(self, volume: Volume) -> Entry:
        path = self._store.path(volume.name) if volume.driver == LOCAL else ""
        return Entry(volume=volume, found=Found(name=volume.name, mountpoint=path), scope=LOCAL)

    # -- changing

    async def create(
        self,
        name: str = "",
        driver: str = "",
        options: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        container_id: str = "",
    ) -> tuple[Entry, bool]:
        """A new volume, or the existing one of that name; and whether it is new.

        ``container_id`` is the container in whose creation it is made: from now on a user of it. Raises InvalidArgument,
        NotFound, NameConflict in Docker's words, and what calls of plugins raise.
        """
        if not name:
            name, driver = secrets.token_hex(32), driver or LOCAL
            labels = {**(labels or {}), ANONYMOUS_LABEL: ""}
        async with self._locks.held(name):
            found = await self._existing(name, driver)
            entry = found or await self._make(
                name, driver or LOCAL, options or {}, labels or {}, container_id
            )
            self.hold(name, container_id)
        if found is None:
            self._say("create", entry.volume)
        return entry, found is None

    async def _existing(self, name: str, driver: str) -> Entry | None:
        volume = self._store.find(name)
        if volume is None:
            if driver:
                return None
            # Docker takes a volume that a plugin has, too.
            with contextlib.suppress(NotFound):
                return await self._probe(name)
            return None
        try:
            entry = await self._get(name)
        except NotFound as error:
            if self._store.find(name) is not None:
                raise _unsure(volume, error) from None
            if self.users(name):
                self._store.begin(volume)
                self._store.add(volume)
                raise NameConflict(
                    name,
                    f"found references to volume '{name}' in driver '{volume.driver}' but the volume was not found in the driver"
                    " -- you may need to remove containers referencing this volume or force remove the volume to re-create it",
                ) from None
            return None
        except EngineError as error:
            raise _unsure(volume, error) from None
        if driver and driver != volume.driver:
            await self._drivers.get(driver)
            raise NameConflict(name, f"driver '{volume.driver}' already has volume '{name}'")
        return entry

    async def _make(
        self,
        name: str,
        wanted: str,
        options: dict[str, str],
        labels: dict[str, str],
        container_id: str,
    ) -> Entry:
        volume = Volume(
            name=name,
            created=now(),
            driver=wanted,
            labels=labels,
            options=options,
            made_for=container_id,
        )
        try:
            driver = await self._drivers.get(wanted)
            driver.check(name, options)
            found = None if wanted == LOCAL else await driver.find(name)
            self._store.begin(volume)
            try:
                if found is None:
                    await driver.create(volume)
            except BaseException:
                self._store.erase(name)
                raise
        except EngineError as error:
            raise framed(error, f"create {name}") from None
        self._store.add(volume)
        if found is None:
            return dataclasses.replace(self._recorded(volume), scope=driver.scope)
        return Entry(volume=volume, found=found, scope=driver.scope)

    async def remove(self, name: str, *, force: bool = False, but: str = "") -> None:
        """Remove an unused volume; ``but`` is a container that does not count as a user, since it is going.

        With ``force`` the record of one goes, too, that its driver does not have, or whose driver is gone. Raises VolumeNotFound,
        VolumeInUse, and what calls of plugins raise.
        """
        async with self._locks.held(name):
            volume = self._store.find(name)
            users = self.users(name) - {but}
            if volume is not None and users:
                raise VolumeInUse(name, users)
            try:
                entry = await self._get(name)
            except NotFound:
                # No such volume, or no such plugin any more.
                if not force:
                    raise
                self._store.erase(name)
                return
            try:
                await (await self._drivers.get(entry.volume.driver)).remove(entry.volume)
            except EngineError as error:
                raise framed(error, f"remove {name}") from None
            self._store.erase(name)
        self._say("destroy", entry.volume)

    async def forget_made_for(self, container_id: str) -> None:
        """The container was never made: nobody else would remove the anonymous volumes that were made with it."""
        for volume in self._store.list():
            if volume.made_for == container_id and volume.anonymous:
                with contextlib.suppress(EngineError):
                    await self.remove(volume.name, but=container_id)

    def _say(self, action: str, volume: Volume) -> None:
        self._events.publish("volume", action, volume.name, {"driver": volume.driver})


def _foreign(found: Found, driver: Driver) -> Volume:
    """One that was not made through us."""
    return Volume(name=found.name, created=found.created, driver=driver.name)


def _unsure(volume: Volume, error: EngineError) -> NameConflict:
    return NameConflict(
        volume.name,
        f"found reference to volume '{volume.name}' in driver '{volume.driver}', but got an error while checking the driver:"
        f" {error.message.removeprefix(f'get {volume.name}: ')}",
    )
