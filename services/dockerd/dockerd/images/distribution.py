"""`docker manifest inspect`'s question to the daemon: what a name stands for at its registry, and for which platforms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from dockerd.images.reference import parse
from dockerd.images.repositories import Auth, Repositories
from wire.errors import InvalidArgument
from wire.oci.image import INDEX_TYPES, MAX_DOCUMENT, Index, Manifest, load_document
from wire.registry.registry import Registry

_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")


class DistributionInspector:
    """Asks registries; nothing is pulled."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    async def inspect(self, name: str, auth: Auth | None) -> dict[str, Any]:
        """GET /distribution/{name}/json; raises NotFound, Unauthenticated, PermissionDenied, RegistryFailed, InvalidArgument."""
        registry = await self._repositories.open(parse(name), auth)
        return await asyncio.to_thread(_inspect, registry)


def _inspect(registry: Registry) -> dict[str, Any]:
    descriptor, body = registry.resolve()
    return {
        "Descriptor": {
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
        },
        "Platforms": list(_platforms(registry, descriptor.media_type, body)),
    }


def _platforms(registry: Registry, media_type: str, body: bytes) -> Iterator[dict[str, Any]]:
    if media_type in INDEX_TYPES:
        document = load_document(body, "index")
        Index.from_json(document, media_type)
        for entry in document["manifests"]:
            if entry.get("platform"):
                yield _platform(entry["platform"])
        return
    config = Manifest.from_bytes(body, media_type).config
    data = bytearray()
    for part in registry.blob(config.digest):
        data += part
        if len(data) > MAX_DOCUMENT:
            raise InvalidArgument(f"config {config.digest} is larger than {MAX_DOCUMENT} bytes")
    document = load_document(bytes(data), f"config {config.digest}")
    if document.get("os") or document.get("architecture"):
        yield _platform(document)


def _platform(document: dict[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in _PLATFORM if document.get(key)}
