"""The local driver: a directory of ours, or a file system that its options name, mounted while somebody uses it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import re
import shutil
import socket
from typing import Final
from urllib.parse import urlsplit

from dockerd.linux import mounts as linux_mounts
from dockerd.volumes.model import LOCAL, Found, Volume
from dockerd.volumes.store import NAME, VolumeStore
from wire.errors import Conflict, Internal, InvalidArgument

_VALID: Final = frozenset({"type", "o", "device", "size"})
_NEEDED: Final = (("device", ("type",)), ("type", ("device",)), ("o", ("device", "type")))
_SIZE: Final = re.compile(r"(\d+)(\.\d+)?\s*(([kmgtp])(i?b)?|b)?", re.IGNORECASE)
_NETWORKED: Final = frozenset({"nfs", "cifs"})

_CLEAR: Final = {
    "defaults": 0,
    "rw": linux_mounts.MS_RDONLY,
    "suid": linux_mounts.MS_NOSUID,
    "dev": linux_mounts.MS_NODEV,
    "exec": linux_mounts.MS_NOEXEC,
    "atime": linux_mounts.MS_NOATIME,
    "norelatime": linux_mounts.MS_RELATIME,
}
_SET: Final = {
    "ro": linux_mounts.MS_RDONLY,
    "nosuid": linux_mounts.MS_NOSUID,
    "nodev": linux_mounts.MS_NODEV,
    "noexec": linux_mounts.MS_NOEXEC,
    "sync": 0x10,
    "dirsync": 0x80,
    "noatime": linux_mounts.MS_NOATIME,
    "nodiratime": 0x800,
    "bind": linux_mounts.MS_BIND,
    "rbind": linux_mounts.MS_BIND | linux_mounts.MS_REC,
    "relatime": linux_mounts.MS_RELATIME,
    "strictatime": linux_mounts.MS_STRICTATIME,
}
_PROPAGATION: Final = {
    f"{prefix}{word}": flag | recursive
    for word, flag in (
        ("private", linux_mounts.MS_PRIVATE),
        ("shared", linux_mounts.MS_SHARED),
        ("slave", linux_mounts.MS_SLAVE),
        ("unbindable", linux_mounts.MS_UNBINDABLE),
    )
    for prefix, recursive in (("", 0), ("r", linux_mounts.MS_REC))
}


class LocalDriver:
    """Volumes on this host; the options are ``type``, ``device`` and ``o`` of mount(8)."""

    name: Final = LOCAL
    scope: Final = LOCAL

    def __init__(self, store: VolumeStore) -> None:
        self._store = store

    @staticmethod
    def check(name: str, options: dict[str, str]) -> None:
        """Raises InvalidArgument in Docker's words."""
        if len(name) == 1:
            raise InvalidArgument(
                "volume name is too short, names should be at least two alphanumeric characters"
            )
        if NAME.fullmatch(name) is None:
            raise InvalidArgument(
                f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed.'
                " If you intended to pass a host directory, use absolute path"
            )
        for option in options:
            if option not in _VALID:
                raise InvalidArgument(f'invalid option: "{option}"')
        if options.get("type") == "cifs" and _has_port(options.get("device") or ""):
            raise InvalidArgument("port not allowed in CIFS device URL, include 'port' in 'o='")
        if "size" in options:
            match = _SIZE.fullmatch(options["size"].strip())
            if match is None:
                raise InvalidArgument(f"invalid size: '{options['size']}'")
            if float(match[1] + (match[2] or "")) > 0:
                raise InvalidArgument("quota size requested but no quota support")
        for option, needed in _NEEDED:
            for other in needed:
                if option in options and other not in options:
                    raise InvalidArgument(f'missing required option: "{other}"')

    async def create(self, volume: Volume) -> None:
        """Make the directory."""
        os.mkdir(self._store.path(volume.name), 0o755)

    async def remove(self, volume: Volume) -> None:
        """Remove the data; raises Conflict for one that is still mounted, whose files are not ours to remove."""
        path = self._store.path(volume.name)
        if not volume.plain:
            _unmount(path)
        # At once: without _data it counts as removed, and the next start removes the rest.
        aside = f"{path}-removed"
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, aside)
        await asyncio.to_thread(shutil.rmtree, aside, True)

    async def mount(self, volume: Volume, _holder: str) -> str:
        """Mount what the options name, unless it is mounted; the path. Raises Internal."""
        path = self._store.path(volume.name)
        if not volume.plain and not linux_mounts.is_mounted(path):
            await asyncio.to_thread(_mount, volume.options, path)
        return path

    async def unmount(self, volume: Volume, _holder: str, *, last: bool) -> None:
        """Unmount it if nobody else uses it."""
        if last and not volume.plain:
            _unmount(self._store.path(volume.name))

    async def find(self, name: str, *, quick: bool = False) -> Found | None:
        """As the driver knows it."""
        del quick
        volume = self._store.find(name)
        if volume is None or volume.driver != LOCAL:
            return None
        return Found(name=name, mountpoint=self._store.path(name), created=volume.created)

    async def list(self) -> list[Found]:
        """Nothing that the records do not have."""
        return []


def _has_port(device: str) -> bool:
    try:
        return urlsplit(device).port is not None
    except ValueError as error:
        raise InvalidArgument(f"error parsing mount device url: {error}") from None


def _mount(options: dict[str, str], path: str) -> None:
    device, kind, words = options["device"], options["type"], options.get("o") or ""
    if not device:
        raise Internal("failed to mount local volume: missing device in volume options")
    if kind in _NETWORKED:
        words = _resolved(words)
    flags, propagation, data = _parsed(words)
    try:
        linux_mounts.mount(device, path, kind or None, flags, ",".join(data) or None)
    except OSError as error:
        shown = f"failed to mount local volume: mount {device}:{path}"
        if flags:
            shown += f", flags: {flags:#x}"
        if data:
            shown += f", data: {','.join(_hidden(word) for word in data)}"
        raise Internal(f"{shown}: {_words(error)}") from None
    with contextlib.ExitStack() as undo:
        undo.callback(_unmount, path)
        if flags & linux_mounts.MS_BIND and flags & linux_mounts.MS_RDONLY:
            # The kernel ignores MS_RDONLY on the first call of a bind mount.
            linux_mounts.mount(device, path, None, flags | linux_mounts.MS_REMOUNT)
        for flag in propagation:
            linux_mounts.mount("", path, None, flag)
        undo.pop_all()


def _parsed(words: str) -> tuple[int, list[int], list[str]]:
    """Flags, changes of propagation, and what the file system itself gets."""
    flags, propagation, data = 0, [], []
    for word in words.split(","):
        if word in _CLEAR:
            flags &= ~_CLEAR[word]
        elif word in _SET:
            flags |= _SET[word]
        elif word in _PROPAGATION:
            propagation.append(_PROPAGATION[word])
        elif word:
            data.append(word)
    return flags, propagation, data


def _resolved(words: str) -> str:
    """The kernel wants an address where users write a host's name."""
    found = []
    for word in words.split(","):
        key, _, value = word.partition("=")
        if key == "addr" and value and not _is_address(value):
            try:
                value = str(socket.getaddrinfo(value, None)[0][4][0])
            except OSError as error:
                raise Internal(
                    f"error resolving passed in network volume address: lookup {value}: {error.strerror}"
                ) from None
            word = f"addr={value}"  # noqa: PLW2901
        found.append(word)
    return ",".join(found)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _hidden(word: str) -> str:
    return "password=********" if word.startswith("password=") else word


def _words(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _unmount(path: str) -> None:
    try:
        linux_mounts.umount(path, linux_mounts.UMOUNT_NOFOLLOW)
    except OSError as error:
        # EINVAL: nothing is mounted there.
        if error.errno not in {errno.EINVAL, errno.ENOENT} and linux_mounts.is_mounted(path):
            raise Conflict(f"unmount {path}: {_words(error)}") from None
