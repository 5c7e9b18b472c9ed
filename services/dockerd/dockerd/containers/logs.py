"""`docker logs`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from dockerd.containers import log_config
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.linux.inotify import Directories
from dockerd.logdrivers import reading
from dockerd.logdrivers.entry import Entry, Format, details, nanoseconds, shown
from wire.errors import InvalidArgument, NotImplementedYet

# A whole number, so that the quotient is rounded once, as the client's own is.
_GIGA: Final = 1_000_000_000

Batch = list[tuple[str, bytes]]
"""Records, each its stream and its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """What a client wants; ``streams`` are names, times are seconds since 1970, ``tail`` None means all."""

    streams: frozenset[str]
    tail: int | None = None
    since: float | None = None
    until: float | None = None
    timestamps: bool = False
    details: bool = False
    follow: bool = False


class LogReader:
    """Reads the logs of containers."""

    def __init__(self, store: ContainerStore, directories: Directories) -> None:
        self._store = store
        self._directories = directories

    def open(self, reference: str, request: LogRequest) -> tuple[Container, AsyncIterator[Batch]]:
        """The container, and its records. Raises NotFound, InvalidArgument, NotImplementedYet."""
        if not request.streams:
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        container = self._store.get(reference)
        source = log_config.readable(container)
        if source is None:
            raise NotImplementedYet("configured logging driver does not support reading")
        if request.follow:
            return container, _records(self._follow(container, *source, request.tail), request)
        return container, _records(reading.read(*source, request.tail), request)

    async def _follow(
        self, container: Container, path: str, form: Format, tail: int | None
    ) -> AsyncIterator[list[Entry]]:
        # Where the log is, and the record that says how the container is.
        with self._directories.watched(os.path.dirname(path), container.directory) as changed:
            ended = partial(_ended, container)
            async for batch in reading.follow(path, form, tail, ended, changed):
                yield batch


async def _records(
    batches: AsyncIterator[list[Entry]], request: LogRequest
) -> AsyncIterator[Batch]:
    plain = not (request.timestamps or request.details or request.since or request.until)
    async for batch in batches:
        if plain:
            # There may be millions of them.
            yield [(stream, text) for stream, text, _, _ in batch if stream in request.streams]
            continue
        found = [each for each in batch if each[0] in request.streams and _is_new(each, request)]
        wanted = [each for each in found if not _is_late(each, request)]
        yield [(each[0], _prefix(each, request) + each[1]) for each in wanted]
        if len(wanted) < len(found):
            return


def _is_new(entry: Entry, request: LogRequest) -> bool:
    return request.since is None or nanoseconds(entry[2]) / _GIGA >= request.since


def _is_late(entry: Entry, request: LogRequest) -> bool:
    return request.until is not None and nanoseconds(entry[2]) / _GIGA > request.until


def _prefix(entry: Entry, request: LogRequest) -> bytes:
    moment = f"{shown(entry[2])} " if request.timestamps else ""
    attributes = f"{details(entry[3])} " if request.details else ""
    return (moment + attributes).encode()


def _ended(container: Container) -> bool:
    return not container.running and not container.state.restarting
