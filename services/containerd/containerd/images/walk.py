"""Walking from an image's descriptor to its manifest, config and layers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from wire.errors import InvalidArgument, NotFound
from wire.oci.image import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)

_DEEPEST: Final = 8
_DOCUMENTS: Final = INDEX_TYPES | MANIFEST_TYPES
_OS: Final = "linux"
_ARCHITECTURE: Final = "amd64"

Read = Callable[[str], bytes]


def matches(descriptor: Descriptor) -> bool:
    """Whether a manifest is for this machine; one without a platform may be."""
    platform = descriptor.platform
    return platform is None or (platform.os == _OS and platform.architecture == _ARCHITECTURE)


def fits(platform: Platform, wanted: Platform) -> bool:
    """Whether a platform is one that was asked for; a variant counts only if one was."""
    return (platform.os, platform.architecture) == (wanted.os, wanted.architecture) and (
        not wanted.variant or platform.variant == wanted.variant
    )


def manifests(read: Read, target: Descriptor) -> Iterator[Descriptor]:
    """The manifests of an image, each once, in the order of its indexes; those of an index that is not here are not known.

    Indexes name each other as they like: each is read once. Raises InvalidArgument for what is no image.
    """
    seen: set[str] = set()
    pending = [(target, 0)]
    while pending:
        each, depth = pending.pop()
        if each.digest in seen:
            continue
        seen.add(each.digest)
        if each.media_type in MANIFEST_TYPES:
            yield each
        elif each.media_type in INDEX_TYPES and depth <= _DEEPEST:
            try:
                document = read(each.digest)
            except NotFound:
                continue
            entries = Index.from_bytes(document, each.media_type).manifests
            pending += [(entry, depth + 1) for entry in reversed(entries)]
        elif depth == 0 or depth > _DEEPEST:
            raise InvalidArgument(f"media type {each.media_type!r} is not that of an image")


def manifest_of(read: Read, target: Descriptor) -> tuple[Descriptor, Manifest]:
    """The manifest for this machine; raises NotFound if the image has none, InvalidArgument for what is no image."""
    for each in manifests(read, target):
        if matches(each):
            with contextlib.suppress(NotFound):
                return each, Manifest.from_bytes(read(each.digest), each.media_type)
    raise NotFound(f"no match for platform {_OS}/{_ARCHITECTURE} in manifest: not found")


def manifest_for(
    read: Read, target: Descriptor, wanted: Sequence[Platform]
) -> tuple[Descriptor, Manifest]:
    """The first manifest that is here for one of these platforms; without any, as ``manifest_of``, else for whatever platform.

    Raises NotFound, InvalidArgument for what is no image.
    """
    if not wanted:
        with contextlib.suppress(NotFound):
            return manifest_of(read, target)
    for each in manifests(read, target):
        with contextlib.suppress(NotFound):
            manifest = Manifest.from_bytes(read(each.digest), each.media_type)
            if not wanted:
                return each, manifest
            # A manifest that no index names tells its platform in its config alone.
            platform = (
                each.platform or ImageConfig.from_bytes(read(manifest.config.digest)).platform
            )
            if any(fits(platform, one) for one in wanted):
                return each, manifest
    names = ", ".join(f"{each.os}/{each.architecture}" for each in wanted)
    raise NotFound(f"no match for platform {names or 'any'} in manifest: not found")


def descend(
    read: Read,
    target: Descriptor,
    exists: Callable[[str], bool],
    wanted: Sequence[Platform] = (),
) -> Iterator[Descriptor]:
    """Every descriptor at and below one, each once, as far as the blobs are here; of the entries of indexes only those for
    ``wanted`` platforms, if there are any.
    """
    seen: set[str] = set()
    pending = [(target, 0)]
    while pending:
        each, depth = pending.pop()
        if each.digest in seen:
            continue
        seen.add(each.digest)
        yield each
        # Nothing is asked about layers, which may be large.
        if depth > _DEEPEST or each.media_type not in _DOCUMENTS or not exists(each.digest):
            continue
        below: Sequence[Descriptor] = ()
        if each.media_type in INDEX_TYPES:
            entries = Index.from_bytes(read(each.digest), each.media_type).manifests
            below = [entry for entry in entries if _is_wanted(entry, wanted)]
        elif each.media_type in MANIFEST_TYPES:
            manifest = Manifest.from_bytes(read(each.digest), each.media_type)
            below = (manifest.config, *manifest.layers)
        pending += [(entry, depth + 1) for entry in reversed(below)]


def _is_wanted(entry: Descriptor, wanted: Sequence[Platform]) -> bool:
    platform = entry.platform
    return not wanted or platform is None or any(fits(platform, each) for each in wanted)
