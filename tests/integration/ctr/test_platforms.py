"""Images for several platforms."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import grpc
import pytest
from tests.integration.ctr.test_mirrors import HERE, UNPACKS
from tests.support.containerd import OURS, Containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry

from wire import typeurl
from wire.gen.containerd.services.transfer.v1 import transfer_pb2, transfer_pb2_grpc
from wire.gen.containerd.types import platform_pb2
from wire.gen.containerd.types.transfer import imagestore_pb2, registry_pb2


@pytest.fixture
def index(registry: Registry, tmp_path: Path) -> str:
    """An image for amd64 and arm64, put together in the registry."""
    layout = tmp_path / "layout"
    entries = []
    for architecture in ("amd64", "arm64"):
        layers = [busybox_layer(), layer({"which": architecture.encode()})]
        # The name of the config is its digest before this change; nobody looks at it.
        archive = docker_archive("x:1", layers).replace(
            b'"architecture": "amd64"', f'"architecture": "{architecture}"'.encode()
        )
        name = registry.push(archive, f"multi:{architecture}", "--format", "oci")
        raw = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"],
            capture_output=True,
            check=True,
        ).stdout
        entries.append(
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}",
                "size": len(raw),
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    }
    layout.write_text(json.dumps(document))
    subprocess.run(
        [
            *("curl", "-sSf", "-X", "PUT", "-H"),
            "Content-Type: application/vnd.oci.image.index.v1+json",
            *("--data-binary", f"@{layout}"),
            f"http://{registry.address}/v2/multi/manifests/all",
        ],
        check=True,
    )
    return f"{registry.address}/multi:all"


def _pull(containerd: Containerd, name: str, *architectures: str) -> None:
    platforms = [platform_pb2.Platform(os="linux", architecture=each) for each in architectures]
    request = transfer_pb2.TransferRequest(
        source=typeurl.pack(registry_pb2.OCIRegistry(reference=name)),
        destination=typeurl.pack(
            imagestore_pb2.ImageStore(name=name, platforms=platforms, unpacks=UNPACKS)
        ),
    )
    stub = transfer_pb2_grpc.TransferStub(containerd.channel)
    stub.Transfer(request, metadata=HERE, timeout=30)


def test_only_what_this_machine_needs_is_fetched(containerd: Containerd, index: str) -> None:
    _pull(containerd, index)
    # The index, and one manifest with its config and two layers.
    assert len(containerd.blobs()) == 5
    out = containerd.ctr("run", "--rm", "--runtime", OURS, index, "multi", "cat", "/which")
    assert out == "amd64"


def test_platforms_can_be_asked_for(containerd: Containerd, index: str) -> None:
    _pull(containerd, index, "amd64", "arm64")
    assert len(containerd.blobs()) == 8
    containerd.collect()
    assert len(containerd.blobs()) == 8
    assert "linux/amd64,linux/arm64" in containerd.ctr("images", "ls")


def test_an_image_for_another_machine_is_not_unpacked(containerd: Containerd, index: str) -> None:
    _pull(containerd, index, "arm64")
    assert len(containerd.blobs()) == 5
    assert containerd.directories() == set()


def test_a_platform_that_is_not_there(containerd: Containerd, index: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _pull(containerd, index, "s390x")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "no match for platform linux/s390x" in raised.value.details()
    assert containerd.ctr("images", "ls", "-q") == ""


def test_ctr_pulls_all_platforms(containerd: Containerd, index: str) -> None:
    containerd.ctr("images", "pull", "--plain-http", "--all-platforms", index)
    assert "linux/amd64,linux/arm64" in containerd.ctr("images", "ls")
    path = containerd.root / "multi.tar"
    containerd.ctr("images", "export", "--all-platforms", path, index)
    containerd.ctr("images", "rm", "--sync", index)
    containerd.ctr("images", "import", "--all-platforms", "--no-unpack", path)
    assert "linux/amd64,linux/arm64" in containerd.ctr("images", "ls")
