"""containerd.services.content.v1.Content: blobs, their labels, and uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from google.protobuf.empty_pb2 import Empty

from containerd.content.ingest import Ingests, Status, Upload
from containerd.content.local import ContentStore, Info
from containerd.events.exchange import Exchange
from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.services.masks import label_changes
from wire import digest as digests
from wire.errors import AlreadyExists, InvalidArgument, NotFound, OutOfRange
from wire.gen.containerd.events import content_pb2 as events
from wire.gen.containerd.services.content.v1 import content_pb2 as pb

_CHUNK: Final = 1 << 20
_BLOCK: Final = 100
_Result = TypeVar("_Result")


class ContentService:
    """Blobs and uploads of the current namespace."""

    def __init__(
        self, store: ContentStore, ingests: Ingests, collector: Collector, exchange: Exchange
    ) -> None:
        self._store = store
        self._ingests = ingests
        self._collector = collector
        self._exchange = exchange

    async def info(self, request: pb.InfoRequest, _context: Any) -> pb.InfoResponse:
        """One blob."""
        _check(request.digest)
        return pb.InfoResponse(info=_info(await self._store.info(request.digest)))

    async def list(
        self, request: pb.ListContentRequest, _context: Any
    ) -> AsyncIterator[pb.ListContentResponse]:
        """Those that match."""
        wanted = Filter(request.filters)
        found = [each for each in await self._store.list() if wanted.matches(partial(_field, each))]
        for at in range(0, len(found), _BLOCK):
            yield pb.ListContentResponse(info=[_info(each) for each in found[at : at + _BLOCK]])

    async def update(self, request: pb.UpdateRequest, _context: Any) -> pb.UpdateResponse:
        """Change labels."""
        digest = request.info.digest
        _check(digest)
        labels, replace = label_changes(
            request.update_mask.paths, request.info.labels, f'content info "{digest}"'
        )
        await self._store.set_labels(digest, labels, replace=replace)
        # A reference may have gone, or a new time of expiry have come.
        self._collector.schedule()
        return pb.UpdateResponse(info=_info(await self._store.info(digest)))

    async def delete(self, request: pb.DeleteContentRequest, _context: Any) -> Empty:
        """Hide a blob."""
        _check(request.digest)
        await self._store.delete(request.digest)
        self._exchange.publish("/content/delete", events.ContentDelete(digest=request.digest))
        self._collector.schedule()
        return Empty()

    async def read(
        self, request: pb.ReadContentRequest, _context: Any
    ) -> AsyncIterator[pb.ReadContentResponse]:
        """The bytes from an offset on; a size beyond the end, or none, means to the end."""
        _check(request.digest)
        info = await self._store.info(request.digest)
        offset = max(0, request.offset)
        if offset > info.size:
            raise OutOfRange(f"read past object length {info.size} bytes: out of range")
        left = info.size - offset
        if request.size > 0:
            left = min(left, request.size)
        with self._store.open(request.digest) as file:
            file.seek(offset)
            while left > 0:
                data = await asyncio.to_thread(file.read, min(_CHUNK, left))
                if not data:
                    break
                yield pb.ReadContentResponse(offset=offset, data=data)
                offset += len(data)
                left -= len(data)

    # -- uploads

    async def status(self, request: pb.StatusRequest, _context: Any) -> pb.StatusResponse:
        """One upload."""
        return pb.StatusResponse(status=_status(await self._ingests.status(request.ref)))

    async def list_statuses(
        self, request: pb.ListStatusesRequest, _context: Any
    ) -> pb.ListStatusesResponse:
        """Those that match."""
        wanted = Filter(request.filters)
        found = await self._ingests.list()
        return pb.ListStatusesResponse(
            statuses=[
                _status(each)
                for each in found
                if wanted.matches(lambda path, ref=each.ref: ref if path[0] == "ref" else None)  # type: ignore[misc]
            ]
        )

    async def abort(self, request: pb.AbortRequest, _context: Any) -> Empty:
        """Forget an upload."""
        await self._ingests.abort(request.ref)
        return Empty()

    async def write(
        self, requests: AsyncIterator[pb.WriteContentRequest], _context: Any
    ) -> AsyncIterator[pb.WriteContentResponse]:
        """An upload: one answer to each request, until the commit. The reference is locked for the call."""
        first = await anext(requests, None)
        if first is None:
            return
        with self._ingests.locked(first.ref):
            upload = await self._ingests.begin(first.ref, first.total, first.expected)
            try:
                request: pb.WriteContentRequest | None = first
                expected = ""
                while request is not None:
                    expected = request.expected or expected or first.expected
                    yield await self._step(upload, request, expected)
                    if request.action == pb.COMMIT:
                        return
                    request = await anext(requests, None)
            finally:
                upload.close()

    async def _step(
        self, upload: Upload, request: pb.WriteContentRequest, expected: str
    ) -> pb.WriteContentResponse:
        if request.expected:
            await self._refuse_known(upload, request.expected)
        upload.total = request.total or upload.total
        response = pb.WriteContentResponse(action=request.action)
        if request.action == pb.STAT:
            status = await self._ingests.status(upload.ref)
            response.started_at.FromNanoseconds(status.started)
            response.updated_at.FromNanoseconds(status.updated)
            response.total = upload.total
        elif request.action in {pb.WRITE, pb.COMMIT}:
            if request.offset > 0 and request.offset != upload.offset:
                raise OutOfRange(
                    f"write @{request.offset} must occur at current offset {upload.offset}: out of range"
                )
            await _undisturbed(asyncio.to_thread(_write, upload, request))
        else:
            raise InvalidArgument(f"unknown write action {request.action}: invalid argument")
        response.offset = upload.offset
        response.digest = upload.digest
        if request.action == pb.COMMIT:
            digest, size = await _undisturbed(
                self._ingests.commit(upload, upload.total, expected, dict(request.labels))
            )
            response.digest = digest
            self._exchange.publish(
                "/content/create", events.ContentCreate(digest=digest, size=size)
            )
        return response

    async def _refuse_known(self, upload: Upload, expected: str) -> None:
        """An upload of what is here already ends at once, and leaves nothing."""
        if not digests.is_valid(expected):
            # Not known in any case; a commit compares it.
            return
        try:
            await self._store.info(expected)
        except NotFound:
            return
        upload.close()
        await self._ingests.abort(upload.ref)
        raise AlreadyExists(f"blob with expected digest {expected} exists: already exists")


async def _undisturbed(work: Coroutine[Any, Any, _Result]) -> _Result:
    """A client that leaves does not tear a step in two: the reference stays locked until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _write(upload: Upload, request: pb.WriteContentRequest) -> None:
    # An offset of 0 begins again, except for a commit without data, which leaves it out.
    if request.offset == 0 and upload.offset > 0 and (request.data or request.action == pb.WRITE):
        upload.truncate()
    if request.data:
        upload.write(request.data)


def _check(digest: str) -> None:
    if not digests.is_valid(digest):
        raise InvalidArgument(f'"{digest}" failed validation: invalid argument')


def _info(info: Info) -> pb.Info:
    found = pb.Info(digest=info.digest, size=info.size, labels=info.labels)
    found.created_at.FromNanoseconds(info.created)
    found.updated_at.FromNanoseconds(info.updated)
    return found


def _status(status: Status) -> pb.Status:
    found = pb.Status(
        ref=status.ref, offset=status.offset, total=status.total, expected=status.expected
    )
    found.started_at.FromNanoseconds(status.started)
    found.updated_at.FromNanoseconds(status.updated)
    return found


def _field(info: Info, path: tuple[str, ...]) -> str | None:
    match path:
        case ("digest", *_):
            return info.digest
        case ("size", *_):
            return str(info.size)
        case ("labels", *rest):
            return info.labels.get(".".join(rest))
        case _:
            return None
