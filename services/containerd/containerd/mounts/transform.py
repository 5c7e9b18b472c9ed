"""What a mount's type asks for before it is made: ``format/`` fills in other mounts, ``mkdir/`` makes directories."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from containerd.linux.syscalls import open_in_root
from wire.errors import FailedPrecondition, InvalidArgument, NotImplementedYet
from wire.gen.containerd.types.mount_pb2 import ActiveMount, Mount

_EXPRESSION: Final = re.compile(r"{{\s*(\w+)((?:\s+-?\d+)*)\s*}}")
_MKDIR: Final = "X-containerd.mkdir."
_PERMISSIONS: Final = 0o777
# Without and with a mode, and with an owner as well.
_PARTS: Final = (1, 2, 4)


def prefixes(kind: str) -> tuple[Sequence[str], str]:
    """The transformations that a type begins with, and the type behind them."""
    found: list[str] = []
    while True:
        word, slash, rest = kind.partition("/")
        if not slash or word not in _TRANSFORMS:
            return found, kind
        found.append(word)
        kind = rest


def transform(mount: Mount, active: Sequence[ActiveMount], roots: Sequence[str]) -> Mount:
    """The mount as it is made. ``active`` are those before it, ``roots`` the only places where directories are made.

    Raises InvalidArgument for what cannot be read, NotImplementedYet for a place or a transformation that is not ours.
    """
    words, kind = prefixes(mount.type)
    made = Mount(type=kind, source=mount.source, target=mount.target, options=mount.options)
    for word in words:
        _TRANSFORMS[word](made, active, roots)
    return made


def _format(mount: Mount, active: Sequence[ActiveMount], _roots: Sequence[str]) -> None:
    mount.source = _filled(mount.source, active)
    mount.target = _filled(mount.target, active)
    mount.options[:] = [_filled(each, active) for each in mount.options]


def _filled(text: str, active: Sequence[ActiveMount]) -> str:
    def value(match: re.Match[str]) -> str:
        numbers = [int(word) for word in match[2].split()]
        match (match[1], numbers):
            case ("source", [number]):
                return str(_at(active, number).mount.source)
            case ("target", [number]):
                return str(_at(active, number).mount.target)
            case ("mount", [number]):
                return str(_at(active, number).mount_point)
            case ("overlay", [first, last]):
                step = 1 if first <= last else -1
                chain = range(first, last + step, step)
                return ":".join(_at(active, number).mount_point for number in chain)
            case _:
                raise InvalidArgument(f"mount format {match[0]!r}: invalid argument")

    filled = _EXPRESSION.sub(value, text)
    if "{{" in _EXPRESSION.sub("", text):
        raise InvalidArgument(f"mount format {text!r}: invalid argument")
    return filled


def _at(active: Sequence[ActiveMount], number: int) -> ActiveMount:
    if not 0 <= number < len(active):
        raise InvalidArgument(
            f"index out of bounds: {number}, has {len(active)} active mounts: invalid argument"
        )
    return active[number]


def _mkdir(mount: Mount, _active: Sequence[ActiveMount], roots: Sequence[str]) -> None:
    for option in mount.options:
        if option.startswith(_MKDIR):
            _make(option, roots)
    mount.options[:] = [each for each in mount.options if not each.startswith(_MKDIR)]


def _make(option: str, roots: Sequence[str]) -> None:
    """``X-containerd.mkdir.path=PATH[:MODE[:UID:GID]]``."""
    name, _, value = option.removeprefix(_MKDIR).partition("=")
    parts = value.split(":")
    mode, owner = 0, (0, 0)
    try:
        mode = int(parts[1], 8) if len(parts) > 1 else 0o700
        owner = (int(parts[2]), int(parts[3])) if len(parts) > 2 else (os.getuid(), os.getgid())
    except (ValueError, IndexError):
        parts = []
    if name != "path" or len(parts) not in _PARTS or mode & ~_PERMISSIONS:
        raise InvalidArgument(f"invalid mkdir option {option!r}: invalid argument")
    path = os.path.normpath(parts[0])
    root = next((each for each in roots if path.startswith(f"{each}/")), None)
    if root is None:
        raise NotImplementedYet(f"no root {path!r} configured for mkdir: not implemented")
    try:
        _make_below(root, path.removeprefix(f"{root}/"), mode, owner)
    except OSError as error:
        raise FailedPrecondition(
            f"failed to create directory {path!r}: {error.strerror}"
        ) from error


def _make_below(root: str, path: str, mode: int, owner: tuple[int, int]) -> None:
    parent, name = os.path.split(path)
    directory = os.O_RDONLY | os.O_DIRECTORY
    top = os.open(root, directory | os.O_CLOEXEC)
    try:
        below = open_in_root(top, parent, directory)
    finally:
        os.close(top)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=below)
        made = os.open(name, directory | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=below)
    finally:
        os.close(below)
    try:
        os.fchown(made, *owner)
        os.fchmod(made, mode)
    finally:
        os.close(made)


def _mkfs(mount: Mount, _active: Sequence[ActiveMount], _roots: Sequence[str]) -> None:
    # Not "not implemented": a client takes that for "make the mount yourself".
    raise InvalidArgument(f"mkfs/{mount.type}: making file systems is not supported")


_TRANSFORMS: Final[Mapping[str, Callable[[Mount, Sequence[ActiveMount], Sequence[str]], None]]] = {
    "format": _format,
    "mkdir": _mkdir,
    "mkfs": _mkfs,
}
