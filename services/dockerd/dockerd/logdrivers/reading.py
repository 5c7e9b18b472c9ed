"""Reading a log: from the start, from the end, and on while it grows or rotates. Entries come in batches."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from dockerd.logdrivers import files
from dockerd.logdrivers.entry import Entry, Format
from dockerd.logdrivers.files import CHUNK, LogFile

# A change tells of itself; this is for what nobody could be told of, such as a container that ended while dockerd was away.
_PATIENCE: Final = 1.0


async def read(path: str, form: Format, tail: int | None) -> AsyncIterator[list[Entry]]:
    """The entries of the log and its rotated files, oldest first; with ``tail`` the last ones only."""
    opened = files.opened(path)
    try:
        for start, each in _wanted(opened, form, tail):
            async for batch, _ in _batches(each, form, start):
                yield batch
    finally:
        _close(opened)


async def follow(
    path: str,
    form: Format,
    tail: int | None,
    ended: Callable[[], bool],
    changed: asyncio.Event,
) -> AsyncIterator[list[Entry]]:
    """The entries so far, then each new one until the container has ended and everything is read.

    ``changed`` is set when there may be more to read, or ``ended`` may say something else.
    """
    while not (opened := files.opened(path)):
        changed.clear()
        if ended():
            return
        await _waited(changed)
    try:
        current = opened[-1]
        at = _end(current, form) if tail == 0 else 0
        for start, each in _wanted(opened, form, tail):
            async for batch, end in _batches(each, form, start):
                yield batch
                if each is current:
                    at = end
        while True:
            changed.clear()
            finished = ended()
            data = _from(current, at)
            end = form.whole(data)
            if end:
                at += end
                yield form.decode(data[:end])
                continue
            following = _following(path, current)
            if following is None:
                if _was_emptied(current, at):
                    at = 0
                elif finished:
                    return
                else:
                    await _waited(changed)
                continue
            # What was written between our last read and the rotation is still to be had.
            data = _from(current, at)
            yield form.decode(data[: form.whole(data)])
            opened.append(following)
            current, at = following, 0
            if following.compressed:
                async for batch, _ in _batches(following, form, 0):
                    yield batch
                at = following.size
    finally:
        _close(opened)


async def _waited(changed: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await changed.wait()


def _end(current: LogFile, form: Format) -> int:
    """Behind the last whole record."""
    start, _ = current.tail(form, 1)
    return start + form.whole(os.pread(current.file.fileno(), CHUNK, start))


def _wanted(opened: list[LogFile], form: Format, tail: int | None) -> Iterator[tuple[int, LogFile]]:
    """Each file that is to be read, and from where."""
    if tail is None:
        yield from ((0, each) for each in opened)
        return
    chosen: list[tuple[int, LogFile]] = []
    for each in reversed(opened):
        if tail <= 0:
            break
        start, found = each.tail(form, tail)
        chosen.append((start, each))
        tail -= found
    yield from reversed(chosen)


async def _batches(
    each: LogFile, form: Format, start: int
) -> AsyncIterator[tuple[list[Entry], int]]:
    """Entries, and where in the file they end."""
    pending, at = b"", start
    for chunk in each.chunks(start):
        data = pending + chunk
        end = form.whole(data)
        at += end
        pending = data[end:]
        if end:
            yield form.decode(data[:end]), at
            # Others shall have their turn, however much there is to read.
            await asyncio.sleep(0)


def _from(current: LogFile, at: int) -> bytes:
    if current.compressed:
        return b""
    current.file.seek(at)
    return current.file.read(CHUNK) or b""


def _was_emptied(current: LogFile, at: int) -> bool:
    """That is how a log of a single file rotates."""
    return not current.compressed and LogFile(current.file, compressed=False).size < at


def _following(path: str, current: LogFile) -> LogFile | None:
    """The file that came after ``current`` by rotation, however often that happened; None for the newest."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_ino == current.inode:
            return None
    opened = files.opened(path)
    changed = LogFile(current.file, compressed=False).changed
    # What was compressed is another file, with the time of the plain one.
    own = [
        at
        for at, each in enumerate(opened)
        if each.inode == current.inode or (each.compressed and each.changed == changed)
    ]
    at = own[-1] + 1 if own else 0
    chosen = opened[at] if at < len(opened) else None
    _close([each for each in opened if each is not chosen])
    return chosen


def _close(opened: list[LogFile]) -> None:
    for each in opened:
        each.file.close()
