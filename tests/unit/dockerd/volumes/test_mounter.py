"""Who has what mounted, over deaths of the daemon, with a driver that is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dockerd.volumes.catalog import Catalog
from dockerd.volumes.ledger import Ledger
from dockerd.volumes.model import Found, Volume
from dockerd.volumes.mounter import Mounter
from dockerd.volumes.store import VolumeStore
from wire.errors import Conflict, Internal, NotFound, Unavailable


class Counted:
    """A driver, and the only one besides the local one."""

    name = "counted"
    scope = "local"

    def __init__(self) -> None:
        self.has: set[str] = set()
        self.mounts: list[tuple[str, str]] = []
        self.last: list[str] = []
        self.fails: dict[str, Exception] = {}

    def check(self, _name: str, _options: dict[str, str]) -> None:
        pass

    async def create(self, volume: Volume) -> None:
        self._fail("create")
        self.has.add(volume.name)

    async def remove(self, volume: Volume) -> None:
        self._fail("remove")
        self.has.discard(volume.name)

    async def mount(self, volume: Volume, holder: str) -> str:
        self._fail(f"mount {volume.name}")
        self.mounts.append((volume.name, holder))
        return f"/there/{volume.name}"

    async def unmount(self, volume: Volume, holder: str, *, last: bool) -> None:
        self._fail("unmount")
        self.mounts.remove((volume.name, holder))
        if last:
            self.last.append(volume.name)

    async def find(self, name: str, *, quick: bool = False) -> Found | None:
        del quick
        self._fail("find")
        return Found(name=name) if name in self.has else None

    async def list(self) -> list[Found]:
        return [Found(name=name) for name in self.has]

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]

    # It stands for the table of drivers, too.

    async def get(self, name: str) -> Any:
        if name not in {"counted", "local"}:
            raise NotFound(f'plugin "{name}" not found')
        return self

    async def remote(self) -> list[Any]:
        return [self]


class Events:
    def publish(self, *_: object) -> None:
        pass


@pytest.fixture
def driver() -> Counted:
    return Counted()


def parts(tmp_path: Path, driver: Counted, users: dict[str, set[str]]) -> tuple[Catalog, Mounter]:
    """What a daemon has that starts now."""
    store = VolumeStore(str(tmp_path / "data"))
    catalog = Catalog(store, driver, lambda name: users.get(name, set()), Events())  # type: ignore[arg-type]
    ledger = Ledger(str(tmp_path / "ledger"))
    return catalog, Mounter(store, driver, ledger)  # type: ignore[arg-type]


def test_last_of_two_holders(tmp_path: Path, driver: Counted) -> None:
    async def scenario() -> None:
        catalog, mounter = parts(tmp_path, driver, {})
        await catalog.create("v", "counted")
        assert await mounter.mount("a", ["v", "v"]) == {"v": "/there/v"}
        await mounter.mount("b", ["v"])
        assert driver.mounts == [("v", "a"), ("v", "b")]
        # The daemon dies; the next one knows both.
        _, mounter = parts(tmp_path, driver, {})
        await mounter.reconcile(lambda holder: holder == "b")
        assert (driver.mounts, driver.last) == ([("v", "b")], [])
        await mounter.release("b")
        await mounter.release("b")
        assert (driver.mounts, driver.last) == ([], ["v"])
        assert list((tmp_path / "ledger").iterdir()) == []

    asyncio.run(scenario())


def test_a_mount_that_fails_undoes_the_others(tmp_path: Path, driver: Counted) -> None:
    async def scenario() -> None:
        catalog, mounter = parts(tmp_path, driver, {})
        for name in ("v1", "v2"):
            await catalog.create(name, "counted")
        driver.fails["mount v2"] = Internal("no")
        with pytest.raises(Internal, match="error while mounting volume 'v2': no"):
            await mounter.mount("a", ["v1", "v2"])
        assert driver.mounts == []
        assert list((tmp_path / "ledger").iterdir()) == []

    asyncio.run(scenario())


def test_a_plugin_that_is_away_is_told_later(tmp_path: Path, driver: Counted) -> None:
    async def scenario() -> None:
        catalog, mounter = parts(tmp_path, driver, {})
        await catalog.create("v", "counted")
        await mounter.mount("a", ["v"])
        driver.fails["unmount"] = Unavailable("away")
        await mounter.release("a")
        assert driver.mounts == [("v", "a")]
        del driver.fails["unmount"]
        _, mounter = parts(tmp_path, driver, {})
        await mounter.reconcile(lambda _: False)
        assert driver.mounts == []
        # One that refuses is not asked for ever.
        await mounter.mount("a", ["v"])
        driver.fails["unmount"] = Internal("no")
        await mounter.release("a")
        assert list((tmp_path / "ledger").iterdir()) == []

    asyncio.run(scenario())


def test_volumes_of_a_container_in_the_making_are_in_use(tmp_path: Path, driver: Counted) -> None:
    async def scenario() -> None:
        catalog, _ = parts(tmp_path, driver, {})
        with catalog.holding("c"):
            await catalog.create("v", "counted", container_id="c")
            with pytest.raises(Conflict, match=r"remove v: volume is in use - \[c\]"):
                await catalog.remove("v")
        await catalog.remove("v")
        assert driver.has == set()

    asyncio.run(scenario())


def test_a_creation_that_was_cut_short(tmp_path: Path, driver: Counted) -> None:
    """The record is written, the daemon dies, the plugin has never heard of it."""

    async def scenario() -> None:
        store = VolumeStore(str(tmp_path / "data"))
        store.begin(Volume(name="v", created="", driver="counted", options={"a": "b"}))
        catalog, _ = parts(tmp_path, driver, {})
        entries, _ = await catalog.list()
        assert entries == []
        with pytest.raises(NotFound, match="get v: no such volume"):
            await catalog.get("v")
        _, fresh = await catalog.create("v", "counted")
        assert fresh

    asyncio.run(scenario())


def test_references_to_what_the_driver_lost(tmp_path: Path, driver: Counted) -> None:
    async def scenario() -> None:
        users: dict[str, set[str]] = {}
        catalog, _ = parts(tmp_path, driver, users)
        await catalog.create("v", "counted")
        driver.has.clear()
        users["v"] = {"c"}
        with pytest.raises(Conflict, match="found references to volume 'v' in driver 'counted'"):
            await catalog.create("v", "counted")
        driver.fails["find"] = Unavailable("away")
        with pytest.raises(Conflict, match=r"got an error while checking the driver: .*away"):
            await catalog.create("v", "counted")
        del driver.fails["find"]
        users.clear()
        assert (await catalog.create("v", "counted"))[1]

    asyncio.run(scenario())


def test_half_removed_and_lost_records(tmp_path: Path) -> None:
    root = tmp_path / "data/volumes"
    store = VolumeStore(str(tmp_path / "data"))
    for name in ("whole", "removed", "unrecorded"):
        store.begin(Volume(name=name, created="2026-01-01T00:00:00Z"))
        (root / name / "_data").mkdir()
    (root / "removed/_data").rename(root / "removed/_data-removed")
    (root / "unrecorded/volume.json").unlink()
    store = VolumeStore(str(tmp_path / "data"))
    assert [each.name for each in store.list()] == ["unrecorded", "whole"]
    assert not (root / "removed").exists()
