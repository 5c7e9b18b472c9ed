"""containerd.services.content.v1.Content: the reading half, and labels. Writing goes through Transfer for now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from containerd.content.local import ContentStore, Info
from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from wire.errors import InvalidArgument, OutOfRange
from wire.gen.containerd.services.content.v1 import content_pb2 as pb

_CHUNK: Final = 1 << 20


class ContentService:
    """Blobs of the current namespace."""

    def __init__(self, store: ContentStore, collector: Collector) -> None:
        self._store = store
        self._collector = collector

    async def info(self, request: pb.InfoRequest, _context: Any) -> pb.InfoResponse:
        """One blob."""
        return pb.InfoResponse(info=_info(await self._store.info(request.digest)))

    async def list(
        self, request: pb.ListContentRequest, _context: Any
    ) -> AsyncIterator[pb.ListContentResponse]:
        """Those that match."""
        wanted = Filter(request.filters)
        found = [each for each in await self._store.list() if wanted.matches(partial(_field, each))]
        for at in range(0, len(found), 100):
            yield pb.ListContentResponse(info=[_info(each) for each in found[at : at + 100]])

    async def update(self, request: pb.UpdateRequest, _context: Any) -> pb.UpdateResponse:
        """Change labels."""
        found = await self._store.info(request.info.digest)
        labels = dict(found.labels)
        for path in list(request.update_mask.paths) or ["labels"]:
            if path == "labels":
                labels = dict(request.info.labels)
            elif path.startswith("labels."):
                key = path.removeprefix("labels.")
                labels[key] = request.info.labels.get(key, "")
            else:
                raise InvalidArgument(
                    f"cannot update {path!r} field on content info: invalid argument"
                )
        await self._store.set_labels(
            found.digest, {key: value for key, value in labels.items() if value}
        )
        return pb.UpdateResponse(info=_info(await self._store.info(found.digest)))

    async def delete(self, request: pb.DeleteContentRequest, _context: Any) -> Empty:
        """Hide a blob."""
        await self._store.delete(request.digest)
        self._collector.schedule()
        return Empty()

    async def read(
        self, request: pb.ReadContentRequest, _context: Any
    ) -> AsyncIterator[pb.ReadContentResponse]:
        """The bytes from an offset on."""
        info = await self._store.info(request.digest)
        if request.offset < 0 or request.offset > info.size:
            raise OutOfRange(
                f"read offset {request.offset} is outside of {info.size} bytes: out of range"
            )
        left = request.size or info.size - request.offset
        offset = request.offset
        with self._store.open(request.digest) as file:
            file.seek(offset)
            while left > 0:
                data = await asyncio.to_thread(file.read, min(_CHUNK, left))
                if not data:
                    break
                yield pb.ReadContentResponse(offset=offset, data=data)
                offset += len(data)
                left -= len(data)


def _info(info: Info) -> pb.Info:
    found = pb.Info(digest=info.digest, size=info.size, labels=info.labels)
    found.created_at.FromNanoseconds(info.created)
    found.updated_at.FromNanoseconds(info.updated)
    return found


def _field(info: Info, path: tuple[str, ...]) -> str | None:
    match path:
        case ("digest",):
            return info.digest
        case ("size",):
            return str(info.size)
        case ("labels", *rest):
            return info.labels.get(".".join(rest))
        case _:
            return None
