"""Unpacking one layer into a snapshot's directory.

The archive is hostile: every path is resolved by openat2 with the directory as root, nothing is followed at the last name,
and whiteouts become overlayfs's own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from typing import BinaryIO, Final

from containerd.archive.read import (
    CHARACTER,
    DIRECTORY,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    Member,
    TarReader,
)
from containerd.linux.syscalls import open_in_root
from wire.errors import InvalidArgument

_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_METADATA: Final = ".wh..wh."
# What an archive can bring about by its names alone.
_HOSTILE: Final = frozenset(
    {errno.ENOTDIR, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST, errno.EINVAL}
)
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY


def extract(stream: BinaryIO, directory: str, *, overlay: bool) -> Sequence[str]:
    """Unpack an uncompressed tar; raises InvalidArgument for one that is malformed or tries to leave.

    With ``overlay`` whiteouts become overlayfs's own; without, they remove what is there. The result names the directories
    that the archive only implies, parents first, for ``inherit``; the empty name is the root.
    """
    root = os.open(directory, _DIRECTORY | os.O_CLOEXEC)
    try:
        extraction = _Extraction(root, overlay=overlay)
        extraction.run(TarReader(stream))
        return list(extraction.implied)
    except OSError as error:
        if error.errno in _HOSTILE:
            raise InvalidArgument(f"layer cannot be unpacked: {error}") from error
        raise
    finally:
        os.close(root)


def inherit(directory: str, implied: Sequence[str], below: Sequence[str]) -> None:
    """Give directories that a layer's archive only implied the look that they have in the layers below, the topmost first."""
    if not implied or not below:
        return
    with contextlib.ExitStack() as stack:
        roots = []
        for path in (directory, *below):
            roots.append(os.open(path, _DIRECTORY | os.O_CLOEXEC))
            stack.callback(os.close, roots[-1])
        for path in implied:
            try:
                descriptor = open_in_root(roots[0], path, _DIRECTORY)
            except OSError:
                # Replaced by a later entry of the archive.
                continue
            try:
                _copy_look(path, descriptor, roots[1:])
            finally:
                os.close(descriptor)


def _copy_look(path: str, descriptor: int, roots: Sequence[int]) -> None:
    for root in roots:
        try:
            known = open_in_root(root, path, _DIRECTORY)
        except OSError:
            continue
        try:
            status = os.fstat(known)
            os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            for key in os.listxattr(known):
                if not key.startswith("trusted.overlay."):
                    with contextlib.suppress(OSError):
                        os.setxattr(descriptor, key, os.getxattr(known, key))
        finally:
            os.close(known)
        return


class _Extraction:
    def __init__(self, root: int, *, overlay: bool) -> None:
        self._root = root
        self._overlay = overlay
        # A dict for its order.
        self.implied: dict[str, None] = {"": None}
        self._parents: dict[str, int] = {}
        self._directories: list[tuple[str, Member]] = []
        # Where this layer goes onto a copy of those below: what is its own, and the directories in which nothing else is.
        self._merged = not overlay and bool(os.listdir(root))
        self._own: set[str] = set()
        self._opaque: set[str] = set()

    def run(self, archive: TarReader) -> None:
        try:
            for member in archive:
                self._member(archive, member)
            # Last, because making the files changed the times again.
            for path, member in reversed(self._directories):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._times(self._parent(os.path.dirname(path)), os.path.basename(path), member)
        finally:
            for descriptor in self._parents.values():
                os.close(descriptor)

    def _member(self, archive: TarReader, member: Member) -> None:
        path = _clean(member.name)
        parent_path, name = os.path.split(path)
        if not name:
            if member.kind == DIRECTORY:
                self.implied.pop("", None)
                self._finish(self._root, ".", member)
            return
        parent = self._parent(parent_path)
        if name.startswith(_WHITEOUT):
            self._whiteout(parent, parent_path, name)
            return
        if self._merged:
            self._claim(path)
        if member.kind == REGULAR:
            self._file(archive, member, parent, path, name)
            return
        if not (member.kind == DIRECTORY and _is_directory(parent, name)):
            self._remove(parent, path, name)
            self._make(member, parent, name)
        if member.kind == DIRECTORY:
            self.implied.pop(path, None)
            self._directories.append((path, member))
        if member.kind != HARD_LINK:
            self._finish(parent, name, member)

    def _make(self, member: Member, parent: int, name: str) -> None:
        match member.kind:
            case b"5":
                os.mkdir(name, 0o700, dir_fd=parent)
            case b"2":
                os.symlink(member.link, name, dir_fd=parent)
            case b"1":
                target = _clean(member.link)
                source = self._parent(os.path.dirname(target), create=False)
                os.link(
                    os.path.basename(target),
                    name,
                    src_dir_fd=source,
                    dst_dir_fd=parent,
                    follow_symlinks=False,
                )
            case b"6":
                os.mkfifo(name, 0o600, dir_fd=parent)
            case b"3" | b"4":
                kind = stat.S_IFCHR if member.kind == CHARACTER else stat.S_IFBLK
                os.mknod(name, kind | 0o600, os.makedev(*member.device), dir_fd=parent)
            case _:
                raise InvalidArgument(
                    f"layer entry {member.name!r} has the unknown type {member.kind!r}"
                )

    def _file(self, archive: TarReader, member: Member, parent: int, path: str, name: str) -> None:
        try:
            descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        except FileExistsError:
            self._remove(parent, path, name)
            descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            archive.copy(member, descriptor)
            os.fchown(descriptor, member.uid, member.gid)
            # After the owner, whose change takes special bits away; and before the times, which writing changes.
            os.fchmod(descriptor, member.mode & 0o7777)
            for key, value in member.xattrs.items():
                self._set_xattr(parent, name, key, value)
            os.utime(descriptor, ns=(member.mtime, member.mtime))
        finally:
            os.close(descriptor)

    def _finish(self, parent: int, name: str, member: Member) -> None:
        os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        if member.kind != SYMBOLIC_LINK:
            # Made by us a moment ago, or checked to be a directory: not a link.
            os.chmod(name, member.mode & 0o7777, dir_fd=parent)
            for key, value in member.xattrs.items():
                self._set_xattr(parent, name, key, value)
        if member.kind != DIRECTORY:
            self._times(parent, name, member)

    @staticmethod
    def _set_xattr(parent: int, name: str, key: str, value: bytes) -> None:
        if key.startswith("trusted.overlay."):
            # An image must not steer the overlay itself.
            return
        with contextlib.suppress(OSError):
            os.setxattr(
                f"/proc/self/fd/{parent}/{name}",
                key,
                value,
                follow_symlinks=False,
            )

    @staticmethod
    def _times(parent: int, name: str, member: Member) -> None:
        os.utime(name, ns=(member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)

    def _whiteout(self, parent: int, parent_path: str, name: str) -> None:
        if name == _OPAQUE:
            if self._overlay:
                with contextlib.suppress(OSError):
                    os.setxattr(f"/proc/self/fd/{parent}", "trusted.overlay.opaque", b"y")
            elif self._merged:
                self._clear(parent_path)
            return
        if name.startswith(_METADATA):
            # AUFS's own, which old layers may hold.
            return
        hidden = name.removeprefix(_WHITEOUT)
        if not hidden or hidden in {".", ".."}:
            raise InvalidArgument(f"layer entry {name!r} hides nothing")
        self._remove(parent, os.path.join(parent_path, hidden), hidden)
        if not self._overlay:
            return
        os.mknod(hidden, stat.S_IFCHR | 0o600, os.makedev(0, 0), dir_fd=parent)

    def _claim(self, path: str) -> None:
        """Know a path, and those above it, for this layer's own."""
        while path and path not in self._own:
            self._own.add(path)
            path = os.path.dirname(path)

    def _clear(self, top: str) -> None:
        """Remove from a directory, and from those in it, what is of the layers below.

        Each directory is gone through once in a layer, however often and at how many depths it is called opaque.
        """
        pending = [top]
        while pending:
            path = pending.pop()
            if path in self._opaque:
                continue
            self._opaque.add(path)
            directory = self._parent(path)
            for name in os.listdir(directory):
                below = f"{path}/{name}" if path else name
                if below not in self._own:
                    self._remove(directory, below, name)
                elif _is_directory(directory, name):
                    pending.append(below)

    def _remove(self, parent: int, path: str, name: str) -> None:
        """Make room: a later entry of the same name replaces an earlier one."""
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            self._forget_below(path)
            _remove_tree(parent, name)

    def _forget_below(self, path: str) -> None:
        for known in [
            each for each in self._parents if each == path or each.startswith(f"{path}/")
        ]:
            os.close(self._parents.pop(known))

    def _parent(self, path: str, *, create: bool = True) -> int:
        if not path:
            return self._root
        found = self._parents.get(path)
        if found is not None:
            return found
        missing: list[str] = []
        above = path
        while (descriptor := self._open(above, create=create)) is None:
            missing.append(above)
            above = os.path.dirname(above)
        for each in reversed(missing):
            name = os.path.basename(each)
            try:
                os.mkdir(name, 0o755, dir_fd=descriptor)
                # Made by us a moment ago: not a link.
                made = os.open(name, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = made
            self.implied[each] = None
        if len(self._parents) >= 256:
            _, oldest = self._parents.popitem()
            os.close(oldest)
        self._parents[path] = descriptor
        return descriptor

    def _open(self, path: str, *, create: bool) -> int | None:
        """A directory of the layer; None for one that is to be made."""
        try:
            return open_in_root(self._root, path, _DIRECTORY)
        except FileNotFoundError:
            # The root itself is there.
            if not create:
                raise
            return None


def _clean(name: str) -> str:
    """A member's path without the leading slash; ``..`` never leads above the root."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _is_directory(parent: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _remove_tree(parent: int, name: str) -> None:
    """Remove a directory, however deep: what is in it and not empty is moved beside it and follows."""
    pending = [name]
    mark = f".wh.{os.urandom(8).hex()}-"
    moved = 0
    while pending:
        top = pending.pop()
        descriptor = os.open(top, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            for entry in os.listdir(descriptor):
                try:
                    os.unlink(entry, dir_fd=descriptor)
                except IsADirectoryError:
                    aside = f"{mark}{moved}"
                    moved += 1
                    os.rename(entry, aside, src_dir_fd=descriptor, dst_dir_fd=parent)
                    pending.append(aside)
        finally:
            os.close(descriptor)
        os.rmdir(top, dir_fd=parent)
