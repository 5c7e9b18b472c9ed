"""`docker push`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from dockerd.events.bus import EventBus
from dockerd.images.errors import NotHere, PushDenied, denied
from dockerd.images.model import Image
from dockerd.images.platforms import Platform
from dockerd.images.reference import Reference, parse
from dockerd.images.remote import Auth, Remotes
from dockerd.images.store import ImageStore
from wire.errors import InvalidArgument, PermissionDenied, Unauthenticated
from wire.gen.containerd.types.transfer import progress_pb2
from wire.oci.image import INDEX_TYPES

_WORDS: Final = {
    "waiting": "Preparing",
    "uploading": "Pushing",
    "already exists": "Layer already exists",
    "mounted": "Mounted",
    "complete": "Pushed",
}
_SHORT: Final = slice(7, 19)


class Pusher:
    """Sends images to registries."""

    def __init__(self, store: ImageStore, remotes: Remotes, events: EventBus) -> None:
        self._store = store
        self._remotes = remotes
        self._events = events

    async def push(
        self, name: str, tag: str, auth: Auth, platform: Platform | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Docker's progress objects for one tag, or without one for all of a repository.

        Raises NotHere, PushDenied, OtherPlatform, and InvalidArgument for one platform of an image that is for several.
        """
        wanted = parse(f"{name}:{tag}" if tag else name)
        repository = f"{wanted.host}/{wanted.path}"
        yield {"status": f"The push refers to repository [{repository}]"}
        found = [
            (reference, image)
            for image in await self._store.list()
            for reference in map(parse, image.named)
            if (reference.host, reference.path) == (wanted.host, wanted.path)
            and not reference.digest
            and (not tag or reference.tag == tag)
        ]
        if not found:
            raise NotHere(wanted.familiar_name)
        for reference, image in sorted(found, key=lambda each: each[0].tag):
            if platform is not None:
                await self._store.find(reference.familiar, platform)
                if image.target.media_type in INDEX_TYPES:
                    raise InvalidArgument(
                        f"pushing one platform of several is not supported here: {reference.familiar}"
                    )
            async for entry in self._one(reference, image, auth):
                yield entry

    async def _one(
        self, reference: Reference, image: Image, auth: Auth
    ) -> AsyncIterator[dict[str, Any]]:
        layers = {layer["digest"] for layer in image.layers}
        try:
            async for notice in self._remotes.push(reference, auth):
                for entry in _translated(notice, layers):
                    yield entry
        except (Unauthenticated, PermissionDenied) as error:
            raise denied(error, PushDenied()) from None
        tag, target = reference.tag or "latest", image.target
        yield {"status": f"{tag}: digest: {target.digest} size: {target.size}"}
        yield {
            "progressDetail": {},
            "aux": {"Tag": tag, "Digest": target.digest, "Size": target.size},
        }
        self._events.publish("image", "push", reference.familiar, {"name": reference.familiar_name})


def _translated(notice: progress_pb2.Progress, layers: set[str]) -> Iterator[dict[str, Any]]:
    digest, word = notice.desc.digest, _WORDS.get(notice.event)
    if digest not in layers or word is None:
        # Manifests and configs are not shown.
        return
    detail: dict[str, Any] = {}
    if word == "Pushing":
        detail = {"current": notice.progress, "total": notice.total}
    yield {"status": word, "progressDetail": detail, "id": digest[_SHORT]}
