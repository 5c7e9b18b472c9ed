"""Devices of the host inside a container."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Any, Final

from wire.errors import InvalidArgument

_RULE: Final = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_ALL: Final = "rwm"
# Terminals and shared memory have their own mounts.
_SKIPPED: Final = frozenset(
    {
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
)


def validate(host: dict[str, Any]) -> None:
    """Raises InvalidArgument in Docker's words."""
    for each in host.get("Devices") or []:
        access = each.get("CgroupPermissions") or _ALL
        if not access or not set(access) <= set(_ALL):
            raise InvalidArgument(f"invalid device mode: {access}")
        if not each.get("PathOnHost"):
            raise InvalidArgument("bad format for path: a device needs a PathOnHost")
    for text in host.get("DeviceCgroupRules") or []:
        rule(text)
    requests = host.get("DeviceRequests") or []
    if requests:
        wanted = requests[0].get("Capabilities") or []
        shown = " ".join(f"[{' '.join(each)}]" for each in wanted)
        raise InvalidArgument(
            f'could not select device driver "{requests[0].get("Driver") or ""}" with capabilities: [{shown}]'
        )


def rule(text: str) -> dict[str, Any]:
    """``c 1:3 rwm`` as the runtime has it; raises InvalidArgument."""
    found = _RULE.fullmatch(text)
    if not found:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    entry: dict[str, Any] = {"allow": True, "type": found[1], "access": found[4]}
    for key, number in (("major", found[2]), ("minor", found[3])):
        if number != "*":
            entry[key] = int(number)
    return entry


def requested(host: dict[str, Any]) -> list[dict[str, Any]]:
    """The devices that a container asks for; raises InvalidArgument for one that does not exist."""
    return [device for device, _ in _requested(host)]


def access(host: dict[str, Any]) -> list[dict[str, Any]]:
    """The cgroup's rules for them."""
    return [
        {
            "allow": True,
            "type": device["type"],
            "major": device["major"],
            "minor": device["minor"],
            "access": permissions,
        }
        for device, permissions in _requested(host)
    ]


def _requested(host: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for each in host.get("Devices") or []:
        outside = each["PathOnHost"]
        inside = each.get("PathInContainer") or outside
        permissions = each.get("CgroupPermissions") or _ALL
        try:
            status = os.stat(outside)
        except OSError:
            raise InvalidArgument(
                f'error gathering device information while adding custom device "{outside}": no such file or directory'
            ) from None
        if stat.S_ISDIR(status.st_mode):
            for device in _below(os.path.realpath(outside)):
                relative = os.path.relpath(device["path"], os.path.realpath(outside))
                yield {**device, "path": os.path.join(inside, relative)}, permissions
        elif _kind(status):
            yield _device(inside, status), permissions
        else:
            raise InvalidArgument(
                f'error gathering device information while adding custom device "{outside}": not a device node'
            )


def of_host() -> list[dict[str, Any]]:
    """Every device of the host's /dev, for a privileged container."""
    return list(_below("/dev"))


def _below(directory: str) -> Iterator[dict[str, Any]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.path in _SKIPPED or entry.is_symlink():
                continue
            if entry.is_dir():
                yield from _below(entry.path)
                continue
            status = entry.stat()
            if _kind(status):
                yield _device(entry.path, status)


def _kind(status: os.stat_result) -> str:
    return "b" if stat.S_ISBLK(status.st_mode) else "c" if stat.S_ISCHR(status.st_mode) else ""


def _device(path: str, status: os.stat_result) -> dict[str, Any]:
    return {
        "path": path,
        "type": _kind(status),
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": status.st_mode & 0o777,
        "uid": status.st_uid,
        "gid": status.st_gid,
    }
