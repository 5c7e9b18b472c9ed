"""The labels by which content keeps what it refers to: garbage collection follows these, it parses no document."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from containerd.images.walk import descend
from wire.errors import EngineError, NotFound
from wire.oci.image import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    chain_id,
)

CONTENT: str = "containerd.io/gc.ref.content"
SNAPSHOT: str = "containerd.io/gc.ref.snapshot"
UNCOMPRESSED: str = "containerd.io/uncompressed"


def children(document: bytes, media_type: str) -> Mapping[str, str]:
    """The labels of a manifest or an index, in the form that containerd's clients give them; none for other content."""
    if media_type in INDEX_TYPES:
        entries = Index.from_bytes(document, media_type).manifests
        return {f"{CONTENT}.m.{number}": entry.digest for number, entry in enumerate(entries)}
    if media_type in MANIFEST_TYPES:
        manifest = Manifest.from_bytes(document, media_type)
        layers = {
            f"{CONTENT}.l.{number}": layer.digest for number, layer in enumerate(manifest.layers)
        }
        return {f"{CONTENT}.config": manifest.config.digest, **layers}
    return {}


def tree(read: Callable[[str], bytes], target: Descriptor) -> Mapping[str, Mapping[str, str]]:
    """The labels of everything at and below a descriptor, by digest, as far as the content is here."""
    found: dict[str, Mapping[str, str]] = {}

    def here(digest: str) -> bool:
        try:
            read(digest)
        except NotFound:
            return False
        return True

    for each in descend(read, target, here):
        if each.media_type in INDEX_TYPES | MANIFEST_TYPES:
            with contextlib.suppress(EngineError):
                found[each.digest] = children(read(each.digest), each.media_type)
    return found


def kept(
    read: Callable[[str], bytes], target: Descriptor, snapshotter: str
) -> Mapping[str, Mapping[str, str]]:
    """As ``tree``, with the labels by which the configs keep their snapshots."""
    found = dict(tree(read, target))
    for labels in list(found.values()):
        config = labels.get(f"{CONTENT}.config")
        if config is None:
            continue
        with contextlib.suppress(EngineError):
            chain = chain_id(ImageConfig.from_bytes(read(config)).diff_ids)
            if chain:
                found[config] = {f"{SNAPSHOT}.{snapshotter}": chain}
    return found
