"""Putting the shim itself into a cgroup, as runc's option `shim_cgroup` asks for."""

from __future__ import annotations

import os

from wire.errors import FailedPrecondition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOUNTS = "/sys/fs/cgroup"


def join(path: str, pids: Iterable[int], mounts: str = _MOUNTS) -> None:
    """Move processes into the cgroup in each hierarchy that has it; raises FailedPrecondition if none has.

    ``path`` is absolute below the hierarchies' roots.
    """
    found = [
        directory
        for root in _roots(mounts)
        if os.path.exists(f"{(directory := os.path.normpath(f'{root}/{path}'))}/cgroup.procs")
        and directory.startswith(f"{root}/")
    ]
    if not found:
        raise FailedPrecondition(f"failed to load cgroup {path}: cgroup deleted")
    for directory in found:
        for pid in pids:
            try:
                with open(f"{directory}/cgroup.procs", "wb", buffering=0) as file:
                    file.write(b"%d" % pid)
            except OSError as error:
                raise FailedPrecondition(
                    f"failed to join cgroup with pid {pid}: {error.strerror}: {directory}"
                ) from error


def _roots(mounts: str) -> list[str]:
    """The one of cgroup v2, or those of cgroup v1 (controllers that are one under two names once)."""
    if os.path.exists(f"{mounts}/cgroup.procs"):
        return [mounts]
    names = sorted(os.listdir(mounts))
    return [f"{mounts}/{name}" for name in names if not os.path.islink(f"{mounts}/{name}")]
