"""`docker image inspect` and `docker history`."""

from __future__ import annotations

from typing import Any

from dockerd.images.store import ImageStore
from dockerd.moments import moment


class Inspector:
    """Shows images."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    async def inspect(self, reference: str) -> dict[str, Any]:
        """GET /images/{name}/json."""
        image = await self._store.find(reference)
        config = image.config
        return {
            "Id": image.image_id,
            "RepoTags": image.tags,
            "RepoDigests": image.repo_digests,
            "Parent": "",
            "Comment": config.get("comment") or _last_comment(config),
            "Created": config.get("created"),
            "DockerVersion": "",
            "Author": config.get("author") or "",
            "Config": config.get("config") or {},
            "Architecture": config.get("architecture"),
            "Os": config.get("os"),
            "Size": image.size,
            "GraphDriver": {"Name": "overlay2", "Data": None},
            "RootFS": {"Type": "layers", "Layers": list(image.chain)},
            "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
            "Descriptor": {
                "mediaType": image.target.media_type,
                "digest": image.target.digest,
                "size": image.target.size,
            },
        }

    async def history(self, reference: str) -> list[dict[str, Any]]:
        """GET /images/{name}/history, newest first."""
        image = await self._store.find(reference)
        sizes = [int(layer["size"]) for layer in image.layers]
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


def _last_comment(config: dict[str, Any]) -> str:
    history = config.get("history") or [{}]
    return history[-1].get("comment") or ""
