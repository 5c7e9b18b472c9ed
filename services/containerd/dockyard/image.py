"""The built-in `hello` image: an OCI archive made of one static binary, the same bytes each time."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any, Final

from wire.digest import of as digest_of

NAME: Final = "hello:latest"
# Fixed, so that the image has the same id wherever it is made.
_CREATED: Final = "2025-12-01T00:00:00Z"


def hello_archive(binary: bytes) -> bytes:
    """An OCI image layout, as a tar, whose only file is ``binary`` at ``/hello``."""
    layer = _tar({"hello": binary}, mode=0o755)
    config = _json(
        {
            "architecture": "amd64",
            "config": {"Cmd": ["/hello"], "Env": ["PATH=/"], "WorkingDir": "/"},
            "created": _CREATED,
            "history": [{"created": _CREATED, "created_by": "dockyard", "comment": "built in"}],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["annotations"] = {
        "io.containerd.image.name": f"docker.io/library/{NAME}",
        "org.opencontainers.image.ref.name": NAME.partition(":")[2],
    }
    index = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        }
    )
    blobs = {f"blobs/sha256/{digest_of(blob)[7:]}": blob for blob in (layer, config, manifest)}
    return _tar(
        {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index, **blobs},
        mode=0o644,
    )


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(blob), "size": len(blob)}


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
