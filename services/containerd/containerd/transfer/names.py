"""Under which names the images of an archive are stored."""

from __future__ import annotations

from collections.abc import Iterable

from containerd.transfer.archives import Imported
from wire.gen.containerd.types.transfer import imagestore_pb2


def names(image: Imported, references: Iterable[imagestore_pb2.ImageReference]) -> list[str]:
    """The names that the references of an ``ImageStore`` give an image; none if it is not wanted.

    Only prefixes count, as in containerd 2.1: a full name in the archive is taken if it begins with one, or if that one may
    be overwritten; a tag is put behind it; an image with neither gets its digest, if that is asked for.
    """
    found = []
    for each in references:
        if not each.is_prefix:
            continue
        name = _named(image, each)
        if name:
            found.append(name)
        if each.add_digest and not (name and each.skip_named_digest):
            found.append(f"{each.name}@{image.target.digest}")
    return found


def _named(image: Imported, reference: imagestore_pb2.ImageReference) -> str:
    text = image.name or image.tag
    if not any(letter in text for letter in "/:@"):
        # Of an annotation that should be a full name, a tag alone is none.
        return f"{reference.name}:{text}" if text and not image.name else ""
    return text if reference.allow_overwrite or _begins(text, reference.name) else ""


def _begins(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name[len(prefix) : len(prefix) + 1] in {"", "/", ":", "@"}
