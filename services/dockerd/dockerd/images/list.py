"""`docker images`."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any, Final

from dockerd.filters import Filters
from dockerd.images.model import Image
from dockerd.images.store import ImageStore
from dockerd.moments import moment
from wire.errors import InvalidArgument

_FILTERS: Final = frozenset(
    {"reference", "dangling", "label", "label!", "before", "since", "until"}
)


class Lister:
    """Lists images, newest first."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    async def find(self, wanted: Filters, used: Collection[str]) -> list[dict[str, Any]]:
        """GET /images/json; ``used`` are the image ids of all containers, one for each container."""
        wanted.check(_FILTERS)
        before = [created_at(await self._store.find(each)) for each in wanted.get("before")]
        since = [created_at(await self._store.find(each)) for each in wanted.get("since")]
        until = [_moment(each) for each in wanted.get("until")]
        found = [
            _narrowed(summary(image, list(used).count(image.image_id)), wanted)
            for image in await self._store.list()
            if _shown(image, wanted)
            and all(created_at(image) < each for each in (*before, *until))
            and all(created_at(image) > each for each in since)
        ]
        return sorted(found, key=lambda each: int(each["Created"]), reverse=True)


def summary(image: Image, containers: int) -> dict[str, Any]:
    """One entry of the list."""
    return {
        "Id": image.image_id,
        "ParentId": "",
        "RepoTags": image.tags,
        "RepoDigests": image.repo_digests,
        "Created": max(0, int(created_at(image))),
        "Size": image.size,
        "SharedSize": -1,
        "Labels": (image.config.get("config") or {}).get("Labels"),
        "Containers": containers,
    }


def created_at(image: Image) -> float:
    """When it was made, in seconds since 1970."""
    return moment(image.created) or 0.0


def _moment(text: str) -> float:
    found = moment(text)
    if found is None:
        raise InvalidArgument(f'invalid value for time: "{text}"')
    return found


def _shown(image: Image, wanted: Filters) -> bool:
    if "dangling" in wanted and wanted.boolean("dangling") != (not image.tags):
        return False
    if "reference" in wanted and not any(
        _matches(tag, pattern) for tag in image.tags for pattern in wanted.get("reference")
    ):
        return False
    return wanted.labels(image.labels) and wanted.without_labels(image.labels)


def _narrowed(entry: dict[str, Any], wanted: Filters) -> dict[str, Any]:
    """An image is shown by those of its names that were asked for."""
    patterns = wanted.get("reference")
    if patterns:
        entry["RepoTags"] = [
            tag for tag in entry["RepoTags"] if any(_matches(tag, each) for each in patterns)
        ]
        shown = {tag.rpartition(":")[0] for tag in entry["RepoTags"]}
        entry["RepoDigests"] = [
            digest for digest in entry["RepoDigests"] if digest.partition("@")[0] in shown
        ]
    return entry


def _matches(tag: str, pattern: str) -> bool:
    return fnmatchcase(tag, pattern) or fnmatchcase(tag.rpartition(":")[0], pattern)
