"""Users and groups, by the container's own /etc/passwd and /etc/group."""

from __future__ import annotations

import os
from typing import Any, Final

from dockerd.fields import is_number
from dockerd.linux.openat import open_in_root
from wire.errors import InvalidArgument

_LARGEST_PASSWD: Final = 4 << 20


def resolve_user(rootfs: str, user: str, groups: list[str]) -> dict[str, Any]:
    """``name|uid[:group|gid]`` and additional groups as numbers, by the image's own files."""
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return resolve_user_in(root, user, groups)
    finally:
        os.close(root)


def resolve_user_in(root: int, user: str, groups: list[str]) -> dict[str, Any]:
    """The same below the root directory behind a descriptor."""
    passwd = _table(root, "etc/passwd") if user or groups else []
    name, _, group = user.partition(":")
    uid, gid, login = 0, 0, "root"
    if name:
        found = next(
            (row for row in passwd if len(row) >= 4 and (row[0] == name or row[2] == name)), None
        )
        if found is not None:
            uid, gid, login = int(found[2]), int(found[3]) if is_number(found[3]) else 0, found[0]
        elif is_number(name):
            uid, login = int(name), ""
        else:
            raise InvalidArgument(f"unable to find user {name}: no matching entries in passwd file")
    table = _table(root, "etc/group") if login or group or groups else []
    if group:
        gid = _group(table, group)
    # A group that is asked for stands for all that the user is in.
    member = "" if group else login
    extra = [
        int(row[2]) for row in table if len(row) >= 4 and member and member in row[3].split(",")
    ]
    extra += [_group(table, each) for each in groups]
    if uid > (1 << 31) - 1 or gid > (1 << 31) - 1:
        raise InvalidArgument("uids and gids must be in range 0-2147483647")
    return {
        "uid": uid,
        "gid": gid,
        # The primary group, too: a program that sets its group would lose what that group is denied (CVE-2022-36109).
        "additionalGids": sorted({gid, *extra}),
    }


def _group(table: list[list[str]], name: str) -> int:
    for row in table:
        if len(row) >= 3 and row[0] == name:
            return int(row[2])
    if is_number(name):
        return int(name)
    raise InvalidArgument(f"unable to find group {name}: no matching entries in group file")


def _table(root: int, path: str) -> list[list[str]]:
    """A file like /etc/passwd of the container, which may be anything: opened inside its root, read up to a limit."""
    try:
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o170000 != 0o100000:
            return []
        text = file.read(_LARGEST_PASSWD).decode(errors="replace")
    rows = [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]
    return [row for row in rows if len(row) < 3 or is_number(row[2])]
