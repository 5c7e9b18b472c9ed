"""The mount points of a container: what its request names, and the volumes that are made for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from dockerd.containers.mount_spec import MountSpec, parse_bind, parse_mount, parse_volumes_from
from dockerd.containers.store import ContainerStore
from dockerd.volumes.catalog import Catalog
from dockerd.volumes.model import LOCAL
from wire.errors import EngineError, InvalidArgument, NotFound

Point = dict[str, Any]


async def resolve(
    container_id: str,
    config: dict[str, Any],
    host: dict[str, Any],
    volumes: Catalog,
    containers: ContainerStore,
) -> list[Point]:
    """The MountPoints of a new container; makes the volumes that it names, and holds them for it.

    Volumes that were made are removed again after a failure. Raises InvalidArgument, NotFound, and what ``Catalog.create`` does.
    """
    specs = list(_specs(host))
    found = {point["Destination"]: point for point in _inherited(host, containers)}
    for point in found.values():
        volumes.hold(point.get("Name", ""), container_id)
    async with contextlib.AsyncExitStack() as undo:
        own: set[str] = set()
        for spec in specs:
            if spec.destination in own:
                raise InvalidArgument(f"Duplicate mount point: {spec.destination}")
            own.add(spec.destination)
            found[spec.destination] = await _point(spec, volumes, container_id, undo)
        tmpfs = {os.path.normpath(path) for path in host.get("Tmpfs") or {}}
        for destination in config.get("Volumes") or {}:
            target = os.path.normpath(destination)
            if target not in found and target not in tmpfs:
                driver = host.get("VolumeDriver") or ""
                spec = MountSpec(kind="volume", source="", destination=target, driver=driver)
                found[target] = await _point(spec, volumes, container_id, undo)
        undo.pop_all()
    return list(found.values())


def _specs(host: dict[str, Any]) -> Iterator[MountSpec]:
    for text in host.get("Binds") or []:
        yield parse_bind(text, host.get("VolumeDriver") or "")
    for each in host.get("Mounts") or []:
        yield parse_mount(each)


def _inherited(host: dict[str, Any], containers: ContainerStore) -> Iterator[Point]:
    """``--volumes-from``: the mounts of other containers."""
    for text in host.get("VolumesFrom") or []:
        name, writable = parse_volumes_from(text)
        try:
            donor = containers.get(name)
        except NotFound as error:
            # The CLI would take it for a missing image.
            raise InvalidArgument(error.message) from None
        for point in donor.mounts:
            yield {**point, "RW": point["RW"] and writable, "Copy": False}


async def _point(
    spec: MountSpec, volumes: Catalog, container_id: str, undo: contextlib.AsyncExitStack
) -> Point:
    point: Point = {
        "Type": spec.kind,
        "Source": spec.source,
        "Destination": spec.destination,
        "Mode": spec.mode,
        "RW": spec.writable,
        "Propagation": spec.propagation,
    }
    match spec.kind:
        case "bind":
            point["Create"], point["Recursive"] = spec.create_source, spec.recursive
            point["ReadOnly"] = spec.read_only
        case "tmpfs":
            point["Options"] = list(spec.tmpfs_options)
        case "image":
            point["Name"], point["Subpath"] = spec.source, spec.subpath
        case _:
            point |= await _volume(spec, volumes, container_id, undo)
    return point


async def _volume(
    spec: MountSpec, volumes: Catalog, container_id: str, undo: contextlib.AsyncExitStack
) -> Point:
    try:
        entry, fresh = await volumes.create(
            spec.source, spec.driver, spec.driver_options, spec.labels, container_id
        )
    except NotFound as error:
        # A plugin, but the CLI would take it for a missing image.
        raise InvalidArgument(error.message) from None
    name, driver = entry.volume.name, entry.volume.driver
    if fresh:
        undo.push_async_callback(_forget, volumes, name, container_id)
    return {
        "Name": name,
        "Driver": driver,
        "Source": entry.found.mountpoint,
        "Mode": spec.mode or ("z" if driver == LOCAL else ""),
        "Copy": spec.copy,
        "Subpath": spec.subpath,
    }


async def _forget(volumes: Catalog, name: str, container_id: str) -> None:
    with contextlib.suppress(EngineError):
        await volumes.remove(name, but=container_id)
