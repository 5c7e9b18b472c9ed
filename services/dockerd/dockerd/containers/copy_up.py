"""Fresh volumes take over what the image has at their place."""

from __future__ import annotations

import os
import shutil
from typing import Any

from dockerd.linux.openat import open_in_root
from dockerd.volumes.catalog import Catalog


def copy_up(rootfs: str, points: list[dict[str, Any]], volumes: Catalog) -> None:
    """Fill fresh volumes that are empty with what the image has at their place. They are mounted."""
    for point in points:
        if point["Type"] != "volume":
            continue
        volume = volumes.record(point["Name"])
        if volume is None or not volume.fresh or point.get("Subpath"):
            continue
        if point.get("Copy", True) and not os.listdir(point["Source"]):
            _copy(rootfs, point["Destination"], point["Source"])
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
