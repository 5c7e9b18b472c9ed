"""The mount points of a container: what its request names, and the volumes that are made for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from dockerd.containers.mount_spec import MountSpec, parse_bind, parse_mount, parse_volumes_from
from dockerd.containers.store import ContainerStore
from dockerd.volumes.store import ANONYMOUS_LABEL, VolumeStore
from wire.errors import EngineError, InvalidArgument, NotFound

Point = dict[str, Any]


def resolve(
    container_id: str,
    config: dict[str, Any],
    host: dict[str, Any],
    volumes: VolumeStore,
    containers: ContainerStore,
) -> list[Point]:
    """The MountPoints of a new container; makes the volumes that it names. Raises InvalidArgument, NotFound.

    Volumes that were made are removed again after a failure.
    """
    specs = list(_specs(host))
    found = {point["Destination"]: point for point in _inherited(host, containers)}
    with contextlib.ExitStack() as undo:
        own: set[str] = set()
        for spec in specs:
            if spec.destination in own:
                raise InvalidArgument(f"Duplicate mount point: {spec.destination}")
            own.add(spec.destination)
            found[spec.destination] = _point(spec, volumes, container_id, undo)
        tmpfs = {os.path.normpath(path) for path in host.get("Tmpfs") or {}}
        for destination in config.get("Volumes") or {}:
            target = os.path.normpath(destination)
            if target not in found and target not in tmpfs:
                spec = MountSpec(kind="volume", source="", destination=target)
                found[target] = _point(spec, volumes, container_id, undo)
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


def _point(
    spec: MountSpec, volumes: VolumeStore, container_id: str, undo: contextlib.ExitStack
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
        case _:
            point |= _volume(spec, volumes, container_id, undo)
    return point


def _volume(
    spec: MountSpec, volumes: VolumeStore, container_id: str, undo: contextlib.ExitStack
) -> Point:
    if spec.driver != "local":
        raise InvalidArgument(
            f'error looking up volume plugin {spec.driver}: plugin "{spec.driver}" not found'
        )
    known = bool(spec.source) and volumes.exists(spec.source)
    volume = volumes.create(spec.source, spec.labels, spec.driver_options, made_for=container_id)
    if not known:
        undo.callback(_forget, volumes, volume.name)
    return {
        "Name": volume.name,
        "Driver": "local",
        "Source": volumes.path(volume.name),
        "Mode": spec.mode or "z",
        "Copy": spec.copy,
        "Subpath": spec.subpath,
    }


def forget_anonymous(container_id: str, volumes: VolumeStore) -> None:
    """The container was never made: nobody else would remove the volumes that were made with it."""
    for volume in volumes.list():
        if volume.made_for == container_id and ANONYMOUS_LABEL in volume.labels:
            _forget(volumes, volume.name)


def _forget(volumes: VolumeStore, name: str) -> None:
    with contextlib.suppress(EngineError):
        volumes.remove(name, set())
