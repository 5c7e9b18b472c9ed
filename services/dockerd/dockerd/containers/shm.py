"""Shared memory of containers that let others use theirs: a file system beside the record, which others may mount."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final

from dockerd.containers.model import Container
from dockerd.linux import mounts as linux_mounts

_PLACE: Final = "/dev/shm"  # noqa: S108 - inside containers, or the host's own on request
_DEFAULT: Final = 64 << 20
_FLAGS: Final = linux_mounts.MS_NOSUID | linux_mounts.MS_NODEV | linux_mounts.MS_NOEXEC


def path(container: Container) -> str:
    """Where a shareable container's file system is mounted on the host."""
    return f"{container.directory}/mounts/shm"


def prepare(container: Container) -> None:
    """Mount it for a container that others may join; raises OSError."""
    if container.host.get("IpcMode") != "shareable":
        return
    target = path(container)
    os.makedirs(target, mode=0o700, exist_ok=True)
    remove(container)
    size = container.host.get("ShmSize") or _DEFAULT
    linux_mounts.mount("shm", target, "tmpfs", _FLAGS, f"mode=1777,size={size}")


def remove(container: Container) -> None:
    """Harmless if it is not mounted; a container that joined keeps what it has."""
    with contextlib.suppress(OSError):
        linux_mounts.umount(path(container), linux_mounts.MNT_DETACH | linux_mounts.UMOUNT_NOFOLLOW)


def mounts(container: Container, donor: Container | None) -> list[dict[str, Any]]:
    """The mount at /dev/shm, where it is not the container's own; none with ``--ipc none`` and ``private``."""
    if any(point["Destination"] == _PLACE for point in container.mounts):
        return []
    if donor is not None:
        source = _PLACE if donor.host.get("IpcMode") == "host" else path(donor)
    elif container.host.get("IpcMode") == "host":
        source = _PLACE
    elif container.host.get("IpcMode") == "shareable":
        source = path(container)
    else:
        return []
    options = ["rbind", "rprivate", "nosuid", "nodev", "noexec"]
    return [{"destination": _PLACE, "type": "bind", "source": source, "options": options}]
