"""Manifests and configs, read from containerd's content and remembered by digest."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from dockerd.containerd_client.client import Containerd
from dockerd.images.platforms import HOST, Platform, is_attestation
from wire import jsontext
from wire.errors import InvalidArgument, NotFound
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.gen.containerd.types import descriptor_pb2

_REMEMBERED: Final = 1024
_DEEPEST: Final = 8


class Documents:
    """The JSON documents behind images."""

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self._known: dict[str, dict[str, Any]] = {}

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
            entry, document = await self._chosen(document["manifests"], platform)
        if "config" not in document:
            raise InvalidArgument("not an image")
        return entry, document

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

    async def read(self, digest: str) -> dict[str, Any]:
        """A document by digest; raises NotFound."""
        known = self._known.get(digest)
        if known is not None:
            return known
        data = bytearray()
        async for part in self._containerd.stream(
            "content.v1.Content",
            "Read",
            content_pb2.ReadContentRequest(digest=digest),
            content_pb2.ReadContentResponse,
        ):
            data += part.data
        document: dict[str, Any] = jsontext.loads(data)
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known[digest] = document
        return document
