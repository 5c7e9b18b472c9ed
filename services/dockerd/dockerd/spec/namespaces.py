"""The namespaces of a container."""

from __future__ import annotations

from typing import Final

_ALWAYS: Final = ("pid", "ipc", "uts")


def chosen(netns: str | None, joined: dict[str, str], *, own_cgroup: bool) -> list[dict[str, str]]:
    """New ones, or those at a path; ``joined`` maps pid, ipc and uts to a path, empty for the host's own."""
    found: list[dict[str, str]] = [{"type": "mount"}]
    if netns is not None:
        found.append({"type": "network", "path": netns})
    for kind in _ALWAYS:
        path = joined.get(kind)
        if path is None:
            found.append({"type": kind})
        elif path:
            found.append({"type": kind, "path": path})
    if own_cgroup:
        found.append({"type": "cgroup"})
    return found
