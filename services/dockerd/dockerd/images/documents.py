"""Manifests and configs, read from containerd's content and remembered by digest."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from dockerd.containerd_client.client import Containerd
from dockerd.images.platforms import HOST, Platform, is_attestation
from wire.errors import InvalidArgument, NotFound
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.gen.containerd.types import descriptor_pb2
from wire.oci.image import MAX_DOCUMENT, Index, Manifest, load_document
from wire.oci.types import check_config

_REMEMBERED: Final = 1024
_DEEPEST: Final = 8


class Documents:
    """The JSON documents behind images."""

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self._known: dict[str, dict[str, Any]] = {}
        self._checked: set[str] = set()

    async def manifest(
        self, target: descriptor_pb2.Descriptor, platform: Platform = HOST
    ) -> dict[str, Any]:
        """The manifest for a platform behind a descriptor; raises NotFound, InvalidArgument.

        If there is none, or it is not here, the first that is here counts.
        """
        return (await self.described(target, platform))[1]

    async def described(
        self, target: descriptor_pb2.Descriptor, platform: Platform = HOST
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The same manifest behind its own descriptor."""
        entry: dict[str, Any] = {
            "mediaType": target.media_type,
            "digest": target.digest,
            "size": target.size,
        }
        document = await self.read(target.digest)
        for _ in range(_DEEPEST):
            if "manifests" not in document:
                break
            Index.from_json(document)
            entry, document = await self._chosen(document["manifests"], platform)
        if "config" not in document:
            raise InvalidArgument("not an image")
        Manifest.from_json(document)
        return entry, document

    async def config(self, digest: str) -> dict[str, Any]:
        """An image's config, whose fields are what they should be; raises NotFound, InvalidArgument."""
        document = await self.read(digest)
        if digest not in self._checked:
            check_config(document)
            self._checked.add(digest)
        return document

    async def _chosen(
        self, entries: list[dict[str, Any]], platform: Platform
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        wanted = [each for each in entries if platform.fits(each.get("platform") or {})]
        others = [each for each in entries if each not in wanted and not is_attestation(each)]
        for entry in (*wanted, *others):
            with contextlib.suppress(NotFound):
                return entry, await self.read(entry["digest"])
        raise NotFound(f"no manifest for {platform}")

    def forget(self) -> None:
        """Content may be gone."""
        self._known.clear()
        self._checked.clear()

    async def read(self, digest: str) -> dict[str, Any]:
        """A document by digest; raises NotFound, InvalidArgument for one that is too large or no JSON object."""
        known = self._known.get(digest)
        if known is not None:
            return known
        data = bytearray()
        parts = self._containerd.stream(
            "content.v1.Content",
            "Read",
            content_pb2.ReadContentRequest(digest=digest),
            content_pb2.ReadContentResponse,
        )
        # What an image's maker calls a document may be anything: not more of it is read than a document may have.
        async for part in parts:
            data += part.data
            if len(data) > MAX_DOCUMENT:
                raise InvalidArgument(f"content {digest} is larger than {MAX_DOCUMENT} bytes")
        document = load_document(bytes(data), f"content {digest}")
        if len(self._known) > _REMEMBERED:
            self.forget()
        self._known[digest] = document
        return document
