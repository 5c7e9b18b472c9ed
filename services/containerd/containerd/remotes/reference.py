"""Image references as containerd stores them: host, path, tag or digest."""

from __future__ import annotations

from dataclasses import dataclass

from wire.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Reference:
    """``docker.io/library/busybox:latest`` in parts."""

    host: str
    path: str
    object: str


def parse(text: str) -> Reference:
    """Raises InvalidArgument for a reference without host or path."""
    host, separator, rest = text.partition("/")
    if not separator or not rest:
        raise InvalidArgument(f"invalid reference {text!r}: a host and a path are needed")
    if "@" in rest:
        path, _, target = rest.partition("@")
        path = path.rsplit(":", 1)[0] if ":" in path.rsplit("/", 1)[-1] else path
    elif ":" in rest.rsplit("/", 1)[-1]:
        path, _, target = rest.rpartition(":")
    else:
        path, target = rest, "latest"
    return Reference(host, path, target)
