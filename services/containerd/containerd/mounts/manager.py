"""The manager of mounts: makes those that a client, or a container's mount namespace, cannot make by itself.

An activation's mounts stand below a directory of its own in the state folder, which lives as long as they can: until the
machine goes down. Its record comes after them and goes before them, so whatever has no record is taken away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from containerd.linux.mounts import mount as make_mount
from containerd.linux.syscalls import MNT_DETACH, UMOUNT_NOFOLLOW, unmount
from containerd.metadata.db import Database
from containerd.metadata.records import RecordStore
from containerd.mounts.transform import prefixes, transform
from wire import namespaces
from wire.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
)
from wire.gen.containerd.types.mount_pb2 import ActivationInfo, ActiveMount, Mount
from wire.identifiers import validate_labels

KIND: Final = "mount"
# As many as the original can number.
_MOST: Final = 255


class MountManager:
    """Activations of all namespaces. Those without a lease or a ``gc.bref`` label go with the next collection."""

    def __init__(self, directory: str, database: Database, roots: Sequence[str]) -> None:
        """``roots`` are where directories may be made on demand, beside ``directory`` itself."""
        self._directory = directory
        self._roots = [directory, *roots]
        self._database = database
        self._records = RecordStore(database, KIND)
        self._active: set[tuple[str, str]] = set()
        # Names with an activation under way, and the directories of such.
        self._names: set[tuple[str, str]] = set()
        self._under_way: set[str] = set()
        os.makedirs(directory, mode=0o700, exist_ok=True)

    async def activate(
        self, name: str, mounts: Sequence[Mount], labels: Mapping[str, str], *, temporary: bool
    ) -> ActivationInfo:
        """Make the mounts that must be made here; what is left is the caller's. With ``temporary`` all are made.

        The current lease holds the activation. Raises AlreadyExists, InvalidArgument, FailedPrecondition for a mount
        that the kernel refuses, and NotImplementedYet if no mount asks for anything: the caller mounts them as usual.
        """
        if not name:
            raise InvalidArgument("mount name must not be empty: invalid argument")
        if len(mounts) > _MOST:
            raise InvalidArgument(f"too many mounts ({len(mounts)}): maximum {_MOST}")
        validate_labels(labels)
        own = _made_here(mounts, temporary=temporary)
        if own is None:
            raise NotImplementedYet("no mount is handled here: not implemented")
        key = (namespaces.current(), name)
        if key in self._names:
            raise AlreadyExists(f'mount "{name}": already exists')
        self._names.add(key)
        directory = os.path.join(self._directory, os.urandom(8).hex())
        self._under_way.add(directory)
        try:
            with contextlib.suppress(NotFound):
                await self._records.get(name)
                raise AlreadyExists(f'mount "{name}": already exists')
            info = await asyncio.to_thread(self._make, directory, mounts, own, temporary=temporary)
            info.name = name
            info.labels.update(labels)
            await self._record(name, info, directory)
            self._active.add(key)
        finally:
            self._names.discard(key)
            self._under_way.discard(directory)
        return info

    async def _record(self, name: str, info: ActivationInfo, directory: str) -> None:
        try:
            await self._records.create(name, info.SerializeToString(), hold=True)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(_take_away, directory))
            raise

    def _make(
        self, directory: str, mounts: Sequence[Mount], own: int, *, temporary: bool
    ) -> ActivationInfo:
        """Mount the first ``own`` ones. Blocking; leaves nothing after a failure."""
        info = ActivationInfo()
        with ExitStack() as undo:
            os.mkdir(directory, 0o700)
            undo.callback(_take_away, directory)
            for number, each in enumerate(mounts[:own]):
                made = transform(each, info.active, self._roots)
                if made.target:
                    raise InvalidArgument(
                        f"mount target {made.target!r}: a mount that is made here has none"
                    )
                # Numbers of one length: the order of their names is that of the mounts.
                point = f"{directory}/{number:03}"
                os.mkdir(point, 0o700)
                try:
                    make_mount(made.source, point, made.type, made.options)
                except OSError as error:
                    raise FailedPrecondition(
                        f"mount failed {made.type} {made.source}: {error.strerror}"
                    ) from error
                active = info.active.add(mount=made, mount_point=point)
                active.mounted_at.GetCurrentTime()
            info.system.extend(self._left(mounts[own:], info.active))
            if temporary and info.active:
                point = info.active[-1].mount_point
                info.system.append(Mount(type="bind", source=point, options=["rbind"]))
            undo.pop_all()
        if not info.active:
            os.rmdir(directory)
        return info

    def _left(self, mounts: Sequence[Mount], active: Sequence[ActiveMount]) -> Sequence[Mount]:
        if not mounts:
            return []
        return [transform(mounts[0], active, self._roots), *mounts[1:]]

    async def deactivate(self, name: str) -> None:
        """Take the mounts of an activation away; what is in use is detached. Raises NotFound."""
        info = await self.info(name)
        try:
            await self._records.delete(name)
        except NotFound:
            raise _unknown(name) from None
        self._active.discard((namespaces.current(), name))
        for directory in _directories([info]):
            await asyncio.to_thread(_take_away, directory)

    def active(self, name: str) -> bool:
        """Whether there is an activation of this name in the current namespace."""
        return (namespaces.current(), name) in self._active

    async def info(self, name: str) -> ActivationInfo:
        """One activation; raises NotFound."""
        try:
            return ActivationInfo.FromString(await self._records.get(name))
        except NotFound:
            raise _unknown(name) from None

    async def set_labels(
        self, name: str, labels: Mapping[str, str], *, replace: bool
    ) -> ActivationInfo:
        """Set labels, an empty value removing one; ``replace`` removes those that are not given. Raises NotFound."""

        def change(data: bytes) -> bytes:
            info = ActivationInfo.FromString(data)
            merged = {**({} if replace else info.labels), **labels}
            validate_labels(merged)
            info.labels.clear()
            info.labels.update({key: value for key, value in merged.items() if value})
            return info.SerializeToString()

        try:
            return ActivationInfo.FromString(await self._records.modify(name, change))
        except NotFound:
            raise _unknown(name) from None

    async def list(self) -> Sequence[ActivationInfo]:
        """The activations of the current namespace."""
        return [ActivationInfo.FromString(data) for data in await self._records.list()]

    async def restore(self) -> None:
        """After a start: forget activations that the machine has lost, and take away what has no record."""

        def forget(connection: sqlite3.Connection) -> None:
            present = _mount_points()
            for namespace, name, data in _select(connection):
                info = ActivationInfo.FromString(data)
                if not {each.mount_point for each in info.active} <= present:
                    connection.execute(
                        "DELETE FROM records WHERE kind = ? AND namespace = ? AND name = ?",
                        (KIND, namespace, name),
                    )

        await self._database.call(forget)
        rows = await self._database.call(_select)
        self._active = {(namespace, name) for namespace, name, _ in rows}
        await self.sweep()

    async def sweep(self) -> None:
        """Take away the mounts that no record knows."""
        # In this order: an activation that ends meanwhile has its record before it is no longer under way.
        found = {os.path.join(self._directory, name) for name in os.listdir(self._directory)}
        found -= self._under_way
        active = set(self._active)
        rows = await self._database.call(_select)
        self._active -= active.difference((namespace, name) for namespace, name, _ in rows)
        kept = _directories(ActivationInfo.FromString(data) for _, _, data in rows)
        for directory in found.difference(kept):
            await asyncio.to_thread(_take_away, directory)


def _made_here(mounts: Sequence[Mount], *, temporary: bool) -> int | None:
    """How many mounts are made here; None if none of all asks for it.

    Those before one with a transformation may be what it refers to. It is itself made by the caller, from what it is turned into.
    """
    if temporary:
        return len(mounts)
    asking = [number for number, each in enumerate(mounts) if prefixes(each.type)[0]]
    return max(asking, default=None)


def _select(connection: sqlite3.Connection) -> Sequence[tuple[str, str, bytes]]:
    query = "SELECT namespace, name, data FROM records WHERE kind = ?"
    return connection.execute(query, (KIND,)).fetchall()


def _directories(infos: Iterable[ActivationInfo]) -> Sequence[str]:
    return [os.path.dirname(info.active[0].mount_point) for info in infos if info.active]


def _unknown(name: str) -> NotFound:
    return NotFound(f'mount "{name}" not found')


def _mount_points() -> set[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return {line.split()[4] for line in file}


def _take_away(directory: str) -> None:
    """Detach the mounts below a directory, the latest first, and remove it. Blocking."""
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(directory), reverse=True):
            point = f"{directory}/{name}"
            # EINVAL: nothing is mounted there.
            with contextlib.suppress(OSError):
                while True:
                    unmount(point, MNT_DETACH | UMOUNT_NOFOLLOW)
            # Never its content: if that is still somebody's, it stays.
            with contextlib.suppress(OSError):
                os.rmdir(point)
        with contextlib.suppress(OSError):
            os.rmdir(directory)
