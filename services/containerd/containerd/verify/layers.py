"""Every snapshot: that its directory is there, and for those of images that their files are those of their layers."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from containerd.archive.compression import decompressed
from containerd.archive.extract import extract, inherit
from containerd.diff.apply import Hashing
from containerd.gc.graph import SNAPSHOTTER
from containerd.linux.syscalls import sync_filesystem
from containerd.verify import trees
from containerd.verify.findings import Finding
from containerd.verify.store import Snapshot, Store
from wire.atomic import sync_directory
from wire.errors import DataLoss, EngineError
from wire.oci.image import ImageConfig, chain_id

_MOST_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class _Layer:
    digest: str
    diff_id: str
    users: Sequence[str]
    lowest: bool


def verify(store: Store, *, repair: bool) -> Iterator[Finding]:
    """Look at all snapshots; with ``repair`` files that differ are taken from the layer, which is unpacked anyway."""
    layers = _layers(store)
    compared = unknown = copies = 0
    for snapshot in sorted(store.snapshots.values(), key=lambda each: each.number):
        layer = layers.get(snapshot.name)
        missing = _missing(store, snapshot)
        # A copy of all that is below: what came from which layer cannot be told.
        copy = snapshot.snapshotter != SNAPSHOTTER
        if layer is None or copy:
            copies += copy
            unknown += not copy
            if missing:
                yield _finding(snapshot, None, missing, store.folder(snapshot.number))
            continue
        compared += 1
        try:
            yield from _compared(store, snapshot, layer, missing, repair=repair)
        except (EngineError, OSError) as error:
            text = f"cannot be compared with its layer: {error}"
            yield _finding(snapshot, layer, text, store.folder(snapshot.number))
    text = (
        f"{compared} compared with their layers, {unknown} that no image has looked for,"
        f" {copies} whole copies looked for"
    )
    yield Finding(level="ok", subject="snapshot", text=text)


def _layers(store: Store) -> dict[str, _Layer]:
    """The layers of the snapshots of images, by the names of these: chain IDs, the same in all namespaces."""
    names = store.names()
    found: dict[str, _Layer] = {}
    for config_digest, layers, _ in store.unpacked():
        # A config that is damaged was told of as a blob.
        with contextlib.suppress(OSError, EngineError):
            with open(store.path(config_digest), "rb") as file:
                diff_ids = ImageConfig.from_bytes(file.read()).diff_ids
            if len(diff_ids) != len(layers):
                continue
            for number, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True)):
                users = sorted(names.get(config_digest, ()))
                name = chain_id(diff_ids[: number + 1])
                known = found.get(name)
                users = sorted({*users, *(known.users if known else ())})
                found[name] = _Layer(layer, diff_id, users, number == 0)
    return found


def _missing(store: Store, snapshot: Snapshot) -> str:
    for path in ("", "fs"):
        if not os.path.isdir(os.path.join(store.folder(snapshot.number), path)):
            return f"the directory {path or snapshot.number} is missing"
    return ""


def _compared(
    store: Store, snapshot: Snapshot, layer: _Layer, missing: str, *, repair: bool
) -> Iterator[Finding]:
    folder = store.folder(snapshot.number)
    if not os.path.exists(store.path(layer.digest)):
        if missing:
            yield _finding(snapshot, layer, f"{missing}; its layer is not here either", folder)
        return
    # As the daemon's own: the next start removes what a death leaves.
    draft = os.path.join(store.overlay, "drafts", f"verify-{os.urandom(8).hex()}")
    for path in (draft, f"{draft}/work", f"{draft}/fs"):
        os.mkdir(path, 0o755 if path.endswith("/fs") else 0o711)
    try:
        implied = _unpack(store, layer, f"{draft}/fs")
        inherit(f"{draft}/fs", implied, list(_below(store, snapshot)))
        if missing:
            if repair:
                shutil.rmtree(folder, ignore_errors=True)
                _sync(store)
                os.rename(draft, folder)
                sync_directory(os.path.dirname(folder))
                missing += "; unpacked again"
            yield _finding(snapshot, layer, missing, folder, repaired=repair)
            return
        yield from _differences(snapshot, layer, draft, folder, implied, repair=repair)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    if repair:
        _sync(store)


def _differences(
    snapshot: Snapshot,
    layer: _Layer,
    draft: str,
    folder: str,
    implied: Sequence[str],
    *,
    repair: bool,
) -> Iterator[Finding]:
    differences = list(trees.compare(f"{draft}/fs", f"{folder}/fs", implied))
    for number, difference in enumerate(differences):
        text = difference.fault
        if repair:
            trees.mend(f"{draft}/fs", f"{folder}/fs", difference)
            text += "; taken from the layer again"
        if number < _MOST_TOLD:
            path = f"{folder}/fs/{difference.path}"
            yield _finding(snapshot, layer, text, path, repaired=repair)
    if len(differences) > _MOST_TOLD:
        text = f"and {len(differences) - _MOST_TOLD} more files"
        yield _finding(snapshot, layer, text, f"{folder}/fs", repaired=repair)


def _unpack(store: Store, layer: _Layer, target: str) -> Sequence[str]:
    with open(store.path(layer.digest), "rb") as file:
        stream = Hashing(decompressed(file))
        implied = extract(cast("Any", stream), target, overlay=not layer.lowest)
        found = stream.drain()
    if found != layer.diff_id:
        raise DataLoss(f"layer {layer.digest} unpacks to {found}, not {layer.diff_id}")
    return implied


def _below(store: Store, snapshot: Snapshot) -> Iterator[str]:
    above = snapshot
    while above.parent is not None and above.parent in store.snapshots:
        above = store.snapshots[above.parent]
        yield os.path.join(store.folder(above.number), "fs")


def _sync(store: Store) -> None:
    descriptor = os.open(store.overlay, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_filesystem(descriptor)
    finally:
        os.close(descriptor)


def _finding(
    snapshot: Snapshot, layer: _Layer | None, text: str, path: str, *, repaired: bool = False
) -> Finding:
    return Finding(
        level="warning" if repaired else "problem",
        subject="snapshot",
        text=f"{snapshot.namespace}/{snapshot.name}: {text}",
        images=layer.users if layer else (),
        digest=layer.digest if layer else "",
        path=path,
        repaired=repaired,
    )
