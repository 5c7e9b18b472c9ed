"""Walking from an image's descriptor to its manifest, config and layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from wire.errors import InvalidArgument, NotFound
from wire.oci.image import Descriptor, Index, Manifest

INDEX_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_DEEPEST: Final = 8
_OS: Final = "linux"
_ARCHITECTURE: Final = "amd64"

Read = Callable[[str], bytes]


def matches(descriptor: Descriptor) -> bool:
    """Whether a manifest is for this machine; one without a platform may be."""
    platform = descriptor.platform
    return platform is None or (platform.os == _OS and platform.architecture == _ARCHITECTURE)


def manifest_of(read: Read, target: Descriptor, depth: int = 0) -> tuple[Descriptor, Manifest]:
    """The manifest for this machine; raises NotFound if the image has none, InvalidArgument for what is no image."""
    if target.media_type in MANIFEST_TYPES:
        return target, Manifest.from_bytes(read(target.digest), target.media_type)
    if target.media_type not in INDEX_TYPES or depth > _DEEPEST:
        raise InvalidArgument(f"media type {target.media_type!r} is not that of an image")
    index = Index.from_bytes(read(target.digest), target.media_type)
    for entry in index.manifests:
        if matches(entry):
            try:
                return manifest_of(read, entry, depth + 1)
            except NotFound:
                continue
    raise NotFound(f"no match for platform {_OS}/{_ARCHITECTURE} in manifest: not found")


def descend(
    read: Read, target: Descriptor, exists: Callable[[str], bool], depth: int = 0
) -> Iterator[Descriptor]:
    """Every descriptor below one, itself included, as far as the blobs are here."""
    yield target
    if depth > _DEEPEST or not exists(target.digest):
        return
    if target.media_type in INDEX_TYPES:
        for entry in Index.from_bytes(read(target.digest), target.media_type).manifests:
            yield from descend(read, entry, exists, depth + 1)
    elif target.media_type in MANIFEST_TYPES:
        manifest = Manifest.from_bytes(read(target.digest), target.media_type)
        yield manifest.config
        yield from manifest.layers
