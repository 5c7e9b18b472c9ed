"""`docker logs`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.logdrivers import jsonfile
from wire.errors import InvalidArgument, NotImplementedYet


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

    def __init__(self, store: ContainerStore) -> None:
        self._store = store

    def open(
        self, reference: str, request: LogRequest
    ) -> tuple[Container, AsyncIterator[tuple[str, bytes]]]:
        """The container, and its records as stream and text. Raises NotFound, InvalidArgument, NotImplementedYet."""
        if not request.streams:
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        container = self._store.get(reference)
        if not container.log_path:
            raise NotImplementedYet("configured logging driver does not support reading")
        return container, _records(container, request)


async def _records(container: Container, request: LogRequest) -> AsyncIterator[tuple[str, bytes]]:
    entries = (
        jsonfile.follow(container.log_path, request.tail, lambda: _ended(container))
        if request.follow
        else _listed(container.log_path, request.tail)
    )
    async for entry in entries:
        if entry.stream not in request.streams:
            continue
        if request.since is not None and entry.seconds < request.since:
            continue
        if request.until is not None and entry.seconds > request.until:
            return
        prefix = f"{_fixed(entry.time)} ".encode() if request.timestamps else b""
        if request.details:
            # The attributes that a log option asks for would stand before it; no such option is served.
            prefix += b" "
        yield entry.stream, prefix + entry.text


def _ended(container: Container) -> bool:
    return not container.running and not container.state.restarting


async def _listed(path: str, tail: int | None) -> AsyncIterator[jsonfile.Entry]:
    for entry in jsonfile.read(path, tail):
        yield entry


def _fixed(moment: str) -> str:
    """As Docker prints log times: nine digits of a second, so that columns line up."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:<09}Z"
