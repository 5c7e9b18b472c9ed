"""Manifests and configs, read from containerd's content and remembered by digest."""

from __future__ import annotations

import json
from typing import Any, Final

from dockerd.containerd_client.client import Containerd
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

    async def manifest(self, target: descriptor_pb2.Descriptor) -> dict[str, Any]:
        """The manifest for this machine behind a descriptor; raises NotFound, InvalidArgument."""
        document = await self.read(target.digest)
        for _ in range(_DEEPEST):
            if "manifests" not in document:
                break
            for entry in document["manifests"]:
                platform = entry.get("platform") or {}
                if (
                    platform.get("os", "linux") == "linux"
                    and platform.get("architecture", "amd64") == "amd64"
                ):
                    document = await self.read(entry["digest"])
                    break
            else:
                raise NotFound("no manifest for linux/amd64")
        if "config" not in document:
            raise InvalidArgument("not an image")
        return document

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
        document: dict[str, Any] = json.loads(data)
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known[digest] = document
        return document
