"""`docker images`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from dockerd.filters import Filters
from dockerd.images.layers import chains
from dockerd.images.manifests import Manifests
from dockerd.images.model import Image
from dockerd.images.store import ImageStore
from dockerd.moments import moment
from wire.errors import InvalidArgument

_FILTERS: Final = frozenset(
    {"reference", "dangling", "label", "label!", "before", "since", "until"}
)


class Lister:
    """Lists images, newest first."""

    def __init__(self, store: ImageStore, manifests: Manifests) -> None:
        self._store = store
        self._manifests = manifests

    async def find(
        self,
        wanted: Filters,
        users: Mapping[str, Sequence[str]],
        *,
        everything: bool = False,
        shared: bool = False,
        manifests: bool = False,
    ) -> list[dict[str, Any]]:
        """GET /images/json; ``users`` are the containers of images, by the images' ids.

        Without ``everything`` images that only others are made of are left out.
        With ``shared`` the bytes that an image shares with others are told, with ``manifests`` its manifests.
        """
        wanted.check(_FILTERS)
        before = [created_at(await self._store.find(each)) for each in wanted.get("before")]
        since = [created_at(await self._store.find(each)) for each in wanted.get("since")]
        until = [_moment(each) for each in wanted.get("until")]
        images = await self._store.list()
        parents = await self._store.parents()
        # What has no name, and is known only by what was made of it.
        inner = set() if everything else {parents.get(each.image_id) for each in images}
        sharing = shared_sizes(images) if shared else {}
        found = []
        for image in images:
            if not (
                _shown(image, wanted)
                and (image.named or image.image_id not in inner)
                and all(created_at(image) < each for each in (*before, *until))
                and all(created_at(image) > each for each in since)
            ):
                continue
            entry = summary(
                image,
                containers=len(users.get(image.image_id, ())),
                shared=sharing.get(image.image_id, -1),
                parent=parents.get(image.image_id, ""),
            )
            if manifests:
                entry["Manifests"] = await self._manifests.summaries(image, users)
            found.append(_narrowed(entry, wanted))
        return sorted(found, key=lambda each: int(each["Created"]), reverse=True)


def summary(image: Image, *, containers: int, shared: int, parent: str) -> dict[str, Any]:
    """One entry of the list; ``shared`` is -1 where nobody asked."""
    return {
        "Id": image.image_id,
        "ParentId": parent,
        "RepoTags": image.tags,
        "RepoDigests": image.repo_digests,
        "Created": max(0, int(created_at(image))),
        "Size": image.size,
        "SharedSize": shared,
        "Labels": (image.config.get("config") or {}).get("Labels"),
        "Containers": containers,
        "Descriptor": {
            "mediaType": image.target.media_type,
            "digest": image.target.digest,
            "size": image.target.size,
        },
    }


def layer_sizes(image: Image) -> dict[str, int]:
    """The bytes of an image's layers, by their chain IDs: the same on others share the space."""
    return dict(zip(chains(image.chain), image.sizes or image.stored, strict=False))


def shared_sizes(images: Iterable[Image]) -> dict[str, int]:
    """By image ids, the bytes of the layers that other images have, too."""
    known = {image.image_id: layer_sizes(image) for image in images}
    holders = Counter(chain for each in known.values() for chain in each)
    return {
        image_id: sum(size for chain, size in each.items() if holders[chain] > 1)
        for image_id, each in known.items()
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
