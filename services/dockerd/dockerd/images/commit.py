"""`docker commit`, the image's side: a layer of what a container has changed, and the documents that name it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from dockerd.containerd_client.client import Containerd
from dockerd.containerd_client.layers import Layers
from dockerd.images.model import UNNAMED, Image
from dockerd.images.reference import Reference
from dockerd.images.store import PARENT, ImageStore
from wire.gen.containerd.types import descriptor_pb2
from wire.oci.image import chain_id

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_REFERS: Final = "containerd.io/gc.ref."
_KEPT: Final = ("architecture", "os", "variant", "os.version")


class Committer:
    """Makes images of snapshots."""

    def __init__(self, containerd: Containerd, store: ImageStore) -> None:
        self._containerd = containerd
        self._store = store

    async def commit(
        self,
        key: str,
        parent: Image,
        config: dict[str, Any],
        *,
        name: Reference | None,
        author: str,
        comment: str,
        command: str,
        source: Mapping[str, Any],
    ) -> str:
        """An image of ``parent`` and what snapshot ``key`` has beyond it; its id. ``command`` is shown in its history,
        ``source`` are further fields of its config: what it tells of the container.
        """
        async with Layers.leased(self._containerd) as layers:
            layer = await layers.compare(key, parent.top)
            diff_id = await layers.unpack(layer, list(parent.chain))
            document = {**_config(parent, config, diff_id, author, comment, command), **source}
            config_data = json.dumps(document).encode()
            config_digest = _digest(config_data)
            chain = chain_id([*parent.chain, diff_id])
            kept = {f"{_REFERS}snapshot.overlayfs": chain, PARENT: parent.image_id}
            await layers.write(config_digest, config_data, kept)
            parts = [*parent.layers, _descriptor(layer.media_type, layer.digest, layer.size)]
            manifest = {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, config_digest, len(config_data)),
                "layers": parts,
            }
            data = json.dumps(manifest).encode()
            labels = {f"{_REFERS}content.config": config_digest}
            labels |= {
                f"{_REFERS}content.l.{index}": each["digest"] for index, each in enumerate(parts)
            }
            await layers.write(_digest(data), data, labels)
            target = descriptor_pb2.Descriptor(
                media_type=_MANIFEST, digest=_digest(data), size=len(data)
            )
            full = name.full if name is not None else f"{UNNAMED}{config_digest}"
            await self._store.name(full, target)
        return config_digest


def _config(
    parent: Image, config: dict[str, Any], diff_id: str, author: str, comment: str, command: str
) -> dict[str, Any]:
    created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    entry = {"created": created, "created_by": command, "comment": comment, "author": author}
    return {
        **{key: parent.config[key] for key in _KEPT if parent.config.get(key)},
        "created": created,
        "author": author,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [*parent.chain, diff_id]},
        "history": [
            *(parent.config.get("history") or []),
            {key: value for key, value in entry.items() if value},
        ],
    }


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
