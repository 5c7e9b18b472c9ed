"""Devices of the host inside a container."""

from __future__ import annotations

import os
from typing import Any

from wire.errors import InvalidArgument


def requested(host: dict[str, Any]) -> list[dict[str, Any]]:
    """The devices that a container asks for; raises InvalidArgument for one that does not exist."""
    found = []
    for each in host.get("Devices") or []:
        path = each["PathOnHost"]
        try:
            status = os.stat(path)
        except OSError:
            raise InvalidArgument(
                f'error gathering device information while adding custom device "{path}": no such file or directory'
            ) from None
        kind = "b" if status.st_mode & 0o170000 == 0o060000 else "c"
        found.append(
            {
                "path": each.get("PathInContainer") or path,
                "type": kind,
                "major": os.major(status.st_rdev),
                "minor": os.minor(status.st_rdev),
                "fileMode": status.st_mode & 0o777,
                "uid": status.st_uid,
                "gid": status.st_gid,
            }
        )
    return found


def of_host() -> list[dict[str, Any]]:
    """Every device of the host's /dev, for a privileged container; terminals and shared memory have their own mounts."""
    found = []
    pending = ["/dev"]
    skipped = {
        "/dev/pts",
        "/dev/shm",  # noqa: S108
        "/dev/mqueue",
        "/dev/console",
        "/dev/ptmx",
        "/dev/fd",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
    }
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.path in skipped or entry.is_symlink():
                    continue
                if entry.is_dir():
                    pending.append(entry.path)
                    continue
                status = entry.stat()
                kind = status.st_mode & 0o170000
                if kind in {0o060000, 0o020000}:
                    found.append(
                        {
                            "path": entry.path,
                            "type": "b" if kind == 0o060000 else "c",
                            "major": os.major(status.st_rdev),
                            "minor": os.minor(status.st_rdev),
                            "fileMode": status.st_mode & 0o777,
                            "uid": status.st_uid,
                            "gid": status.st_gid,
                        }
                    )
    return found
