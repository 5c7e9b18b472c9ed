"""The manifests of an image, as `docker image ls --tree` shows them: for which platforms it is, and what of it is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dockerd.containerd_client.client import Containerd
from dockerd.images.documents import Documents
from dockerd.images.layers import LayerStore, chains
from dockerd.images.model import Image
from dockerd.images.platforms import is_attestation
from wire.errors import InvalidArgument, NotFound
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.oci.image import Index, Manifest

_SUBJECT: Final = "vnd.docker.reference.digest"
_PLATFORM: Final = ("architecture", "os", "os.version", "os.features", "variant")
_DEEPEST: Final = 4


class Manifests:
    """Summaries of manifests."""

    def __init__(self, containerd: Containerd, documents: Documents, layers: LayerStore) -> None:
        self._containerd = containerd
        self._documents = documents
        self._layers = layers

    async def summaries(
        self, image: Image, users: Mapping[str, Sequence[str]]
    ) -> list[dict[str, Any]]:
        """One entry for each manifest; ``users`` are the containers of images, by the images' ids."""
        target = {
            "mediaType": image.target.media_type,
            "digest": image.target.digest,
            "size": image.target.size,
        }
        return [await self._summary(entry, users) for entry in await self._entries(target, 0)]

    async def _entries(self, descriptor: dict[str, Any], depth: int) -> list[dict[str, Any]]:
        try:
            document = await self._documents.read(descriptor["digest"])
        except NotFound:
            return [descriptor]
        if "manifests" not in document or depth > _DEEPEST:
            return [descriptor]
        Index.from_json(document)
        return [
            each
            for entry in document["manifests"]
            for each in await self._entries(entry, depth + 1)
        ]

    async def _summary(
        self, entry: dict[str, Any], users: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        try:
            document = await self._documents.read(entry["digest"])
            Manifest.from_json(document)
        except (NotFound, InvalidArgument):
            document = {}
        blobs = [each for each in (document.get("config"), *(document.get("layers") or [])) if each]
        here = [each for each in blobs if await self._here(each["digest"])]
        content = sum(int(each.get("size") or 0) for each in here)
        content += int(entry.get("size") or 0) if document else 0
        found: dict[str, Any] = {
            "ID": entry["digest"],
            "Descriptor": {key: value for key, value in entry.items() if key != "data"},
            "Available": bool(document) and len(here) == len(blobs),
            "Size": {"Content": content, "Total": content},
            "Kind": "unknown",
        }
        if is_attestation(entry):
            subject = (entry.get("annotations") or {}).get(_SUBJECT) or ""
            return {**found, "Kind": "attestation", "AttestationData": {"For": subject}}
        platform = entry.get("platform") or {}
        unpacked, config, image_id = 0, {}, (document.get("config") or {}).get("digest") or ""
        if image_id and document["config"] in here:
            config = await self._documents.config(image_id)
            platform = platform or config
            known = chains((config.get("rootfs") or {}).get("diff_ids") or ())
            await self._layers.measure(known)
            unpacked = sum(self._layers.size(each) or 0 for each in known)
        if not platform and not config:
            return found
        found["Size"]["Total"] += unpacked
        return {
            **found,
            "Kind": "image",
            "ImageData": {
                "Platform": {key: platform[key] for key in _PLATFORM if platform.get(key)},
                "Containers": list(users.get(image_id, ())),
                "Size": {"Unpacked": unpacked},
            },
        }

    async def _here(self, digest: str) -> bool:
        try:
            await self._containerd.call(
                "content.v1.Content",
                "Info",
                content_pb2.InfoRequest(digest=digest),
                content_pb2.InfoResponse,
            )
        except NotFound:
            return False
        return True
