"""A snapshot's mounts, read as the directories behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from containerd.snapshots.overlay import Mount
from wire.errors import InvalidArgument, NotImplementedYet


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers, the topmost first. ``writable``: changes go into the first one. ``overlay``: it holds overlayfs's whiteouts."""

    layers: tuple[str, ...]
    writable: bool
    overlay: bool

    @property
    def below(self) -> tuple[str, ...]:
        """The layers under the writable one."""
        return self.layers[1:] if self.writable and self.overlay else ()


def stack_of(mounts: Sequence[Mount]) -> Stack:
    """Raises InvalidArgument for mounts that make no tree, NotImplementedYet for those that other snapshotters give."""
    if not mounts:
        return Stack((), writable=False, overlay=False)
    if len(mounts) > 1:
        raise NotImplementedYet("a stack of several mounts is not supported: not implemented")
    mount = mounts[0]
    if mount.type == "bind" or (not mount.type and "bind" in mount.options):
        return Stack((mount.source,), writable="ro" not in mount.options, overlay=False)
    if mount.type != "overlay":
        raise NotImplementedYet(f"mounts of type {mount.type!r} are not supported: not implemented")
    values = dict(option.partition("=")[::2] for option in mount.options)
    lower = tuple(filter(None, values.get("lowerdir", "").split(":")))
    if not lower:
        raise InvalidArgument("overlay mount without lowerdir: invalid argument")
    upper = values.get("upperdir", "")
    if upper:
        return Stack((upper, *lower), writable=True, overlay=True)
    return Stack(lower, writable=False, overlay=True)
