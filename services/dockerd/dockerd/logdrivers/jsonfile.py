"""Reading the json-file log: from the start, from the end, and on while it grows or rotates."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final

_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """One record."""

    stream: str
    text: bytes
    time: str

    @property
    def seconds(self) -> float:
        """Its time, in seconds since 1970."""
        whole, _, fraction = self.time.rstrip("Z").partition(".")
        moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _entry(line: bytes) -> Entry | None:
    try:
        record = json.loads(line)
        return Entry(record["stream"], record["log"].encode(), record["time"])
    except (ValueError, KeyError):
        return None


def read(path: str, tail: int | None, current: bytes | None = None) -> list[Entry]:
    """The entries of the log and its rotated files, oldest first; with ``tail`` the last ones only.

    ``current`` is the content of the newest file where the caller has read it already.
    """
    older: list[str] = []
    while os.path.exists(f"{path}.{len(older) + 1}"):
        older.append(f"{path}.{len(older) + 1}")
    contents = []
    for name in (*reversed(older), *([] if current is not None else [path])):
        with contextlib.suppress(FileNotFoundError), open(name, "rb") as file:
            contents.append(file.read())
    if current is not None:
        contents.append(current)
    found = []
    for content in contents:
        lines = content.split(b"\n")[:-1]
        found += [entry for line in lines if (entry := _entry(line)) is not None]
    if tail is not None:
        return found[-tail:] if tail else []
    return found


async def follow(path: str, tail: int | None, ended: Callable[[], bool]) -> AsyncIterator[Entry]:
    """The entries so far, then each new one until the container has ended and everything is read."""
    # Opened before reading, so that nothing falls between the two.
    while not os.path.exists(path):
        if ended():
            return
        await asyncio.sleep(_PAUSE)
    file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed and reopened at rotation
    try:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        pending = content[whole:]
        for entry in read(path, tail, content[:whole]):
            yield entry
        while True:
            finished = ended()
            data = file.read(1 << 16)
            if data:
                lines = (pending + data).split(b"\n")
                pending = lines.pop()
                for line in lines:
                    found = _entry(line)
                    if found is not None:
                        yield found
                continue
            if os.fstat(file.fileno()).st_size < file.tell():
                # Emptied: that is how a log of a single file rotates.
                file.seek(0)
                pending = b""
                continue
            following = _following(path, file)
            if following is not None:
                # What was written between our last read and the rotation is still to be had.
                lines = (pending + file.read()).split(b"\n")[:-1]
                pending = b""
                file.close()
                file = following
                for line in lines:
                    found = _entry(line)
                    if found is not None:
                        yield found
                continue
            if finished:
                return
            await asyncio.sleep(_PAUSE)
    finally:
        file.close()


def _following(path: str, current: BinaryIO) -> BinaryIO | None:
    """The file that came after ``current`` by rotation, however often that happened; None for the newest."""
    own = os.fstat(current.fileno()).st_ino
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_ino == own:
            return None
    opened: list[BinaryIO] = []
    with contextlib.suppress(FileNotFoundError):
        while True:
            name = f"{path}.{len(opened)}" if opened else path
            opened.append(open(name, "rb"))  # noqa: SIM115 - closed below, or by the caller
    # A rotation meanwhile makes one file come twice, and none be missing.
    inodes = [os.fstat(each.fileno()).st_ino for each in opened]
    newer = [at for at, inode in enumerate(inodes) if inode != own]
    if own in inodes:
        newer = [at for at in newer if at < inodes.index(own)]
    chosen = max(newer, default=None)
    for at, each in enumerate(opened):
        if at != chosen:
            each.close()
    return opened[chosen] if chosen is not None else None
