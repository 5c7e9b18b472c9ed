"""A container's mount points as OCI mounts, and what must be there before they can be made."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Any, Final

from dockerd.containers import image_mounts
from dockerd.containers.model import Container
from dockerd.linux import mounts as linux_mounts
from dockerd.linux.openat import open_in_root
from wire.errors import InvalidArgument

_GUARDED: Final = ("nosuid", "nodev", "noexec")
_OPPOSITES: Final = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}


def prepare(container: Container) -> None:
    """Make missing sources of `-v`, and stand in for subpaths of volumes; raises InvalidArgument."""
    for point in container.mounts:
        if point["Type"] == "bind" and not os.path.exists(point["Source"]):
            if not point.get("Create"):
                raise InvalidArgument(
                    f'invalid mount config for type "bind": bind source path does not exist: {point["Source"]}'
                )
            os.makedirs(point["Source"], mode=0o755, exist_ok=True)
    image_mounts.mount(container)
    for index, point in _with_subpath(container):
        _mount_subpath(point, _stand_in(container, index))


def remove(container: Container) -> None:
    """Undo ``prepare``; harmless when repeated. A running container keeps what it has."""
    for index, _ in _with_subpath(container):
        with contextlib.suppress(OSError):
            linux_mounts.umount(
                _stand_in(container, index),
                linux_mounts.MNT_DETACH | linux_mounts.UMOUNT_NOFOLLOW,
            )
    image_mounts.unmount(container)


def _with_subpath(container: Container) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((i, point) for i, point in enumerate(container.mounts) if point.get("Subpath"))


def _stand_in(container: Container, index: int) -> str:
    return f"{container.directory}/mounts/subpath-{index}"


def _mount_subpath(point: dict[str, Any], target: str) -> None:
    root = os.open(point["Source"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = open_in_root(root, point["Subpath"], os.O_PATH)
    except OSError as error:
        missing = error.errno == errno.ENOENT
        raise InvalidArgument(
            f"cannot access path {point['Source']}/{point['Subpath']}: "
            + ("no such file or directory" if missing else os.strerror(error.errno or 0).lower())
        ) from None
    finally:
        os.close(root)
    try:
        source = f"/proc/self/fd/{found}"
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        else:
            with open(target, "ab"):
                pass
        linux_mounts.bind(source, target, recursive=True)
    finally:
        os.close(found)


def oci_mounts(container: Container) -> list[dict[str, Any]]:
    """OCI mounts, parents before children."""
    found = []
    for index, point in enumerate(container.mounts):
        destination = point["Destination"]
        if point["Type"] == "tmpfs":
            access = "rw" if point["RW"] else "ro"
            found.append(_tmpfs(destination, [*point.get("Options", []), access]))
            continue
        source = _stand_in(container, index) if point.get("Subpath") else point["Source"]
        found.append(
            {
                "destination": destination,
                "type": "bind",
                "source": source,
                "options": _bind_options(point),
            }
        )
    for destination, text in (container.host.get("Tmpfs") or {}).items():
        words = [word for word in text.split(",") if word]
        found.append(_tmpfs(os.path.normpath(destination), words))
    return sorted(found, key=lambda each: str(each["destination"]).count("/"))


def _bind_options(point: dict[str, Any]) -> list[str]:
    bind = "rbind" if point.get("Recursive", True) else "bind"
    propagation = point["Propagation"] or "rprivate"
    if point["RW"]:
        # No "rw", which would lift what the source itself is restricted to.
        return [bind, propagation]
    # Since Docker 25 what is mounted below is read-only, too.
    below = point["Type"] == "bind" and point.get("Recursive", True)
    access = "rro" if below and point.get("ReadOnly") != "non-recursive" else "ro"
    return [bind, access, propagation]


def _tmpfs(destination: str, words: list[str]) -> dict[str, Any]:
    guarded = [word for word in _GUARDED if not any(_OPPOSITES.get(each) == word for each in words)]
    return {
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": [*guarded, *words],
    }
