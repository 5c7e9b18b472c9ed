"""Binds, volumes and tmpfs of a container: from the request's notations to OCI mounts."""

from __future__ import annotations

import os
import shutil
from typing import Any, Final

from dockerd.linux.openat import open_in_root
from dockerd.volumes.store import VolumeStore
from wire.errors import InvalidArgument

_MODES: Final = frozenset(
    {
        "",
        "ro",
        "rw",
        "z",
        "Z",
        "nocopy",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
    }
)
_PROPAGATION: Final = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})


def resolve(
    config: dict[str, Any], host: dict[str, Any], volumes: VolumeStore
) -> list[dict[str, Any]]:
    """The MountPoints of a new container; makes the volumes that it names. Raises InvalidArgument."""
    found: dict[str, dict[str, Any]] = {}
    for text in host.get("Binds") or []:
        point = _bind(text, volumes)
        if point["Destination"] in found:
            raise InvalidArgument(f"Duplicate mount point: {point['Destination']}")
        found[point["Destination"]] = point
    for each in host.get("Mounts") or []:
        point = _mount(each, volumes)
        if point["Destination"] in found:
            raise InvalidArgument(f"Duplicate mount point: {point['Destination']}")
        found[point["Destination"]] = point
    for destination in config.get("Volumes") or {}:
        target = os.path.normpath(destination)
        if target not in found and target not in (host.get("Tmpfs") or {}):
            found[target] = _volume(volumes.create().name, target, writable=True, volumes=volumes)
    return list(found.values())


def _bind(text: str, volumes: VolumeStore) -> dict[str, Any]:
    parts = text.split(":")
    if len(parts) not in {2, 3} or not parts[0] or not parts[1]:
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    source, destination = parts[0], _destination(parts[1], text)
    modes = parts[2].split(",") if len(parts) == 3 else []
    for mode in modes:
        if mode not in _MODES:
            raise InvalidArgument(f"invalid mode: {mode}")
    writable = "ro" not in modes
    propagation = next((mode for mode in modes if mode in _PROPAGATION), "")
    if not source.startswith("/"):
        if "/" in source:
            raise InvalidArgument(
                f"invalid volume specification: '{text}': {source} includes invalid characters for a local volume name"
            )
        return _volume(
            volumes.create(source).name,
            destination,
            writable=writable,
            volumes=volumes,
            mode=",".join(modes),
            copy="nocopy" not in modes,
        )
    # Docker makes the directory of a -v; a --mount must find it.
    if not os.path.exists(source):
        os.makedirs(source, mode=0o755, exist_ok=True)
    return _point(
        "bind",
        source,
        destination,
        writable=writable,
        mode=",".join(modes),
        propagation=propagation,
    )


def _mount(each: dict[str, Any], volumes: VolumeStore) -> dict[str, Any]:
    kind = each.get("Type") or "volume"
    destination = _destination(each.get("Target") or "", f"mount {kind}")
    writable = not each.get("ReadOnly")
    for key in ("ClusterOptions", "ImageOptions"):
        if each.get(key):
            raise InvalidArgument(
                f'invalid mount config for type "{kind}": {key} is not supported yet'
            )
    if kind == "bind":
        source = each.get("Source") or ""
        options = each.get("BindOptions") or {}
        for key in ("NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"):
            if options.get(key):
                raise InvalidArgument(
                    f'invalid mount config for type "bind": {key} is not supported yet'
                )
        if not os.path.exists(source):
            if not options.get("CreateMountpoint"):
                raise InvalidArgument(
                    f'invalid mount config for type "bind": bind source path does not exist: {source}'
                )
            os.makedirs(source, mode=0o755, exist_ok=True)
        return _point(
            "bind",
            source,
            destination,
            writable=writable,
            propagation=options.get("Propagation") or "",
        )
    if kind == "volume":
        options = each.get("VolumeOptions") or {}
        if options.get("Subpath") or (options.get("DriverConfig") or {}).get("Name") not in {
            None,
            "",
            "local",
        }:
            raise InvalidArgument(
                'invalid mount config for type "volume": option is not supported yet'
            )
        volume = volumes.create(
            each.get("Source") or "",
            options.get("Labels"),
            (options.get("DriverConfig") or {}).get("Options"),
        )
        return _volume(
            volume.name,
            destination,
            writable=writable,
            volumes=volumes,
            copy=not options.get("NoCopy"),
        )
    if kind == "tmpfs":
        options = each.get("TmpfsOptions") or {}
        data = []
        if options.get("SizeBytes"):
            data.append(f"size={options['SizeBytes']}")
        if options.get("Mode"):
            data.append(f"mode={options['Mode']:o}")
        return {**_point("tmpfs", "", destination, writable=writable), "Options": data}
    raise InvalidArgument(
        f'invalid mount config for type "{kind}": mount type is not supported yet'
    )


def _destination(path: str, text: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgument(
            f"invalid volume specification: '{text}': invalid mount config for type \"bind\": "
            f"invalid mount path: '{path}' mount path must be absolute"
        )
    clean = os.path.normpath(path)
    if clean in {"/", "//"}:
        raise InvalidArgument(
            f"invalid volume specification: '{text}': invalid mount config for type \"bind\": "
            "invalid specification: destination can't be '/'"
        )
    return clean


def _point(
    kind: str,
    source: str,
    destination: str,
    *,
    writable: bool,
    mode: str = "",
    propagation: str = "",
) -> dict[str, Any]:
    point = {
        "Type": kind,
        "Source": source,
        "Destination": destination,
        "Mode": mode,
        "RW": writable,
        "Propagation": propagation,
    }
    if kind == "bind" and not propagation:
        point["Propagation"] = "rprivate"
    return point


def _volume(
    name: str,
    destination: str,
    *,
    writable: bool,
    volumes: VolumeStore,
    mode: str = "",
    copy: bool = True,
) -> dict[str, Any]:
    point = _point("volume", volumes.path(name), destination, writable=writable, mode=mode or "z")
    return {**point, "Name": name, "Driver": "local", "Copy": copy}


def oci_mounts(points: list[dict[str, Any]], tmpfs: dict[str, str]) -> list[dict[str, Any]]:
    """OCI mounts, parents before children."""
    found = []
    for point in points:
        if point["Type"] == "tmpfs":
            options = [
                "nosuid",
                "nodev",
                "noexec",
                *point.get("Options", []),
                "rw" if point["RW"] else "ro",
            ]
            found.append(
                {
                    "destination": point["Destination"],
                    "type": "tmpfs",
                    "source": "tmpfs",
                    "options": options,
                }
            )
            continue
        options = ["rbind", "rw" if point["RW"] else "ro", point["Propagation"] or "rprivate"]
        found.append(
            {
                "destination": point["Destination"],
                "type": "bind",
                "source": point["Source"],
                "options": options,
            }
        )
    for destination, text in tmpfs.items():
        options = ["noexec", "nosuid", "nodev", *(word for word in text.split(",") if word)]
        found.append(
            {
                "destination": os.path.normpath(destination),
                "type": "tmpfs",
                "source": "tmpfs",
                "options": options,
            }
        )
    return sorted(
        found, key=lambda each: each["destination"].count("/") if each["destination"] != "/" else 0
    )


def copy_up(rootfs: str, points: list[dict[str, Any]], volumes: VolumeStore) -> None:
    """Fill fresh volumes with what the image has at their place."""
    for point in points:
        if point["Type"] != "volume":
            continue
        volume = volumes.get(point["Name"])
        if not volume.fresh:
            continue
        if point.get("Copy", True):
            _copy(rootfs, point["Destination"], volumes.path(volume.name))
        volume.fresh = False
        volumes.save(volume)


def _copy(rootfs: str, inside: str, target: str) -> None:
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = open_in_root(root, inside.lstrip("/"), os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    finally:
        os.close(root)
    try:
        # The container does not run yet, so nothing changes below the descriptor.
        shutil.copytree(
            f"/proc/self/fd/{source}",
            target,
            symlinks=True,
            dirs_exist_ok=True,
            copy_function=_copy_file,
        )
        for directory, _, _ in os.walk(f"/proc/self/fd/{source}/."):
            relative = os.path.relpath(directory, f"/proc/self/fd/{source}")
            status = os.stat(directory)
            os.chown(os.path.join(target, relative), status.st_uid, status.st_gid)
            os.chmod(os.path.join(target, relative), status.st_mode & 0o7777)
    finally:
        os.close(source)


def _copy_file(source: str, target: str) -> str:
    shutil.copy2(source, target, follow_symlinks=False)
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    return target
