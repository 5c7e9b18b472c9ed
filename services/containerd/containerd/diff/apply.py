"""Applying a layer to a snapshot that is being filled."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from typing import Any, Final, cast

from containerd.archive.compression import decompressed
from containerd.archive.extract import extract, inherit
from containerd.content.local import ContentStore
from containerd.diff.stack import stack_of
from containerd.linux.syscalls import sync_filesystem
from containerd.snapshots.overlay import Mount
from wire.errors import InvalidArgument, NotImplementedYet
from wire.oci.image import LAYER_TYPES, OCI_LAYER, Descriptor

_NOT_DISTRIBUTED: Final = frozenset(
    {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
)
_CHUNK: Final = 1 << 20


class Hashing(io.RawIOBase):
    """Passes reads through, hashes and counts them."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the source."""
        data: bytes = self._source.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    def drain(self) -> str:
        """Read to the end, because the padding behind an archive's end mark belongs to the digest; the digest."""
        while self.read(_CHUNK):
            pass
        return f"sha256:{self._hash.hexdigest()}"


def apply(
    content: ContentStore, diff: Descriptor, mounts: Sequence[Mount], *, sync: bool = False
) -> Descriptor:
    """Unpack a layer into what the mounts write to; the descriptor of the uncompressed layer.

    Blocking. Raises NotImplementedYet for a media type that is no layer of ours, InvalidArgument for a bad archive.
    """
    if diff.media_type not in LAYER_TYPES | _NOT_DISTRIBUTED:
        raise NotImplementedYet(f"unsupported diff media type: {diff.media_type}: not implemented")
    stack = stack_of(mounts)
    if not stack.writable:
        raise InvalidArgument("the mounts to apply a layer to are not writable: invalid argument")
    with content.open(diff.digest) as file:
        stream = Hashing(decompressed(cast("io.BufferedReader", file)))
        implied = extract(cast("Any", stream), stack.layers[0], overlay=stack.overlay)
        digest = stream.drain()
    inherit(stack.layers[0], implied, stack.below)
    if sync:
        descriptor = os.open(stack.layers[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_filesystem(descriptor)
        finally:
            os.close(descriptor)
    return Descriptor(media_type=OCI_LAYER, digest=digest, size=stream.size)
