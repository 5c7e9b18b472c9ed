"""Computing a layer: what changed from one snapshot to another, as compressed content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Any, Final, Protocol

import zstandard
from isal import isal_zlib

from containerd.archive.write import LayerWriter
from containerd.diff.changes import Redirected, changes
from containerd.diff.stack import Stack, stack_of
from containerd.linux.mounts import open_overlay
from containerd.snapshots.overlay import Mount
from wire.errors import NotImplementedYet
from wire.oci.image import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_ZSTD,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
)

_GZIP: Final = frozenset({OCI_LAYER_GZIP, DOCKER_LAYER_GZIP})
_ZSTD: Final = frozenset({OCI_LAYER_ZSTD, DOCKER_LAYER_ZSTD})
_PLAIN: Final = frozenset({OCI_LAYER, DOCKER_LAYER})
_LEVEL: Final = 2
_GZIP_WINDOW: Final = 31


class Sink(Protocol):
    """Where compressed bytes go."""

    def write(self, data: bytes, /) -> None:
        """Append."""


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Layer:
    """The file that an archive is written to: hashed, compressed, passed on."""

    def __init__(self, sink: Sink, compressor: Any) -> None:
        self._sink = sink
        self._compressor: _Compressor = compressor
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        if packed := self._compressor.compress(data):
            self._sink.write(packed)
        return len(data)

    def finish(self) -> str:
        if packed := self._compressor.flush():
            self._sink.write(packed)
        return f"sha256:{self._hash.hexdigest()}"


def check_media_type(media_type: str) -> str:
    """The media type to use, gzip by default; raises NotImplementedYet for one that we cannot write."""
    found = media_type or OCI_LAYER_GZIP
    if found not in _GZIP | _ZSTD | _PLAIN:
        raise NotImplementedYet(f"unsupported diff media type: {found}: not implemented")
    return found


def compare(
    left: Sequence[Mount],
    right: Sequence[Mount],
    media_type: str,
    sink: Sink,
    place: str,
    latest: int | None = None,
) -> str:
    """Write the layer that makes ``right`` of ``left``; the digest of the uncompressed archive. Blocking.

    ``place`` is a directory for mounts that nobody sees.
    """
    below, above = stack_of(left), stack_of(right)
    with contextlib.ExitStack() as stack:
        lower = None
        if below.layers:
            lower = open_overlay(below.layers, place)
            stack.callback(os.close, lower)
        alone = _reads_alone(below, above)
        upper = open_overlay(above.layers[:1] if alone else above.layers, place)
        stack.callback(os.close, upper)
        if alone and _redirects(lower, upper):
            alone = False
            upper = open_overlay(above.layers, place)
            stack.callback(os.close, upper)
        layer = _Layer(sink, _compressor(media_type))
        _write(layer, lower, upper, latest, overlay=alone)
        return layer.finish()


def _reads_alone(below: Stack, above: Stack) -> bool:
    """Whether the upper directory of ``above`` holds exactly what differs from ``below``."""
    return above.writable and above.overlay and above.layers[1:] == below.layers


def _redirects(lower: int | None, upper: int) -> bool:
    """Renamed directories are rare, and make the upper directory useless without the overlay; looking costs little."""
    try:
        for _ in changes(lower, upper, overlay=True):
            pass
    except Redirected:
        return True
    return False


def _write(
    layer: _Layer, lower: int | None, upper: int, latest: int | None, *, overlay: bool
) -> None:
    writer = LayerWriter(layer, latest)
    written: set[str] = {""}
    for change in changes(lower, upper, overlay=overlay):
        _write_parents(writer, upper, os.path.dirname(change.path), written)
        if change.status is None:
            writer.delete(change.path)
            continue
        if change.path in written:
            continue
        writer.add(change.path, change.parent, change.name, change.status)
        if stat.S_ISDIR(change.status.st_mode):
            written.add(change.path)
    writer.close()


def _write_parents(writer: LayerWriter, root: int, path: str, written: set[str]) -> None:
    """A changed file brings its directories with it, so that the layer can be applied to anything."""
    if path in written:
        return
    above, name = os.path.split(path)
    _write_parents(writer, root, above, written)
    written.add(path)
    directory = os.open(above or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        writer.add(path, directory, name, status)
    finally:
        os.close(directory)


def _compressor(media_type: str) -> Any:
    if media_type in _GZIP:
        return isal_zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW)
    if media_type in _ZSTD:
        return zstandard.ZstdCompressor().compressobj()
    return _Plain()
