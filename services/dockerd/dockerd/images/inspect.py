"""`docker image inspect` and `docker history`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dockerd.images.layers import LayerStore
from dockerd.images.manifests import Manifests
from dockerd.images.model import Image
from dockerd.images.platforms import Platform
from dockerd.images.store import ImageStore
from dockerd.moments import moment

_NEVER: Final = "0001-01-01T00:00:00Z"
_OF_CONTAINERS: Final = frozenset(
    {"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image",
     "NetworkDisabled", "MacAddress", "StopTimeout"}
)  # fmt: skip


class Inspector:
    """Shows images."""

    def __init__(self, store: ImageStore, layers: LayerStore, manifests: Manifests) -> None:
        self._store = store
        self._layers = layers
        self._manifests = manifests

    async def inspect(
        self,
        reference: str,
        *,
        platform: Platform | None = None,
        users: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        """GET /images/{name}/json, of one platform if that is given.

        With ``users``, the containers of images by the images' ids, the manifests are told, too.
        """
        image = await self._store.find(reference, platform)
        config = image.config
        parents = await self._store.parents()
        answer = {
            "Id": image.image_id,
            "RepoTags": image.tags,
            "RepoDigests": image.repo_digests,
            "Parent": parents.get(image.image_id, ""),
            "Comment": _comment(config),
            "Created": config.get("created"),
            "DockerVersion": config.get("docker_version") or "",
            "Author": config.get("author") or "",
            "Config": _config(config.get("config") or {}),
            "Architecture": config.get("architecture") or "",
            "Os": config.get("os") or "",
            "Size": image.size,
            "GraphDriver": {"Name": "overlay2", "Data": await self._directories(image)},
            "RootFS": {"Type": "layers", "Layers": list(image.chain)},
            "Metadata": {"LastTagTime": image.tagged_at or _NEVER},
            "Descriptor": {
                "mediaType": image.target.media_type,
                "digest": image.target.digest,
                "size": image.target.size,
            },
        }
        for key, name in (("Variant", "variant"), ("OsVersion", "os.version")):
            if config.get(name):
                answer[key] = config[name]
        if users is not None:
            answer["Manifests"] = await self._manifests.summaries(image, users)
        return answer

    async def source(self, reference: str) -> dict[str, Any]:
        """What an image tells of the container that it was made of, which older API versions show."""
        config = (await self._store.find(reference)).config
        return {
            "Container": config.get("container") or "",
            "ContainerConfig": config.get("container_config") or {},
        }

    async def _directories(self, image: Image) -> dict[str, str] | None:
        found = await self._layers.directories(image.top) if image.top else ()
        if not found:
            return None
        top, *below = found
        return {"UpperDir": top, **({"LowerDir": ":".join(below)} if below else {})}

    async def history(
        self, reference: str, platform: Platform | None = None
    ) -> list[dict[str, Any]]:
        """GET /images/{name}/history, newest first."""
        image = await self._store.find(reference, platform)
        sizes = list(image.sizes or image.stored)
        answer = []
        for entry in image.config.get("history") or []:
            size = 0 if entry.get("empty_layer") or not sizes else sizes.pop(0)
            answer.append(
                {
                    "Id": "<missing>",
                    "Created": int(moment(entry.get("created")) or 0),
                    "CreatedBy": entry.get("created_by") or "",
                    "Tags": None,
                    "Size": size,
                    "Comment": entry.get("comment") or "",
                }
            )
        answer.reverse()
        if answer:
            answer[0] |= {"Id": image.image_id, "Tags": image.tags or None}
        return answer


def _comment(config: dict[str, Any]) -> str:
    """Its own, or that of its last step, where newer builders write it."""
    history = config.get("history") or [{}]
    return str(config.get("comment") or history[-1].get("comment") or "")


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of an image, without what only containers have."""
    return {key: value for key, value in config.items() if key not in _OF_CONTAINERS}
