"""Pushing: by the client itself, and by the transfer service."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.integration.ctr.test_mirrors import HERE, _hosts
from tests.integration.ctr.test_platforms import _pull as pull_platforms
from tests.integration.ctr.test_platforms import index
from tests.support.containerd import OURS, Containerd
from tests.support.registry import Registry, running_registry

from wire import typeurl
from wire.gen.containerd.services.transfer.v1 import transfer_pb2, transfer_pb2_grpc
from wire.gen.containerd.types.transfer import imagestore_pb2, registry_pb2

__all__ = ["index"]


def _push(containerd: Containerd, image: str, reference: str, **resolver: Any) -> None:
    destination = registry_pb2.OCIRegistry(
        reference=reference, resolver=registry_pb2.RegistryResolver(**resolver)
    )
    request = transfer_pb2.TransferRequest(
        source=typeurl.pack(imagestore_pb2.ImageStore(name=image)),
        destination=typeurl.pack(destination),
    )
    stub = transfer_pb2_grpc.TransferStub(containerd.channel)
    stub.Transfer(request, metadata=HERE, timeout=30)


def _inspect(reference: str) -> dict[str, Any]:
    words = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"]
    found: dict[str, Any] = json.loads(
        subprocess.run(words, capture_output=True, check=True).stdout
    )
    return found


def test_ctr_pushes(containerd: Containerd, image: str, registry: Registry) -> None:
    target = f"{registry.address}/by-ctr:1"
    containerd.ctr("images", "push", "--plain-http", target, image)
    assert len(_inspect(target)["layers"]) == 3


def test_what_is_pushed_can_be_pulled(
    containerd: Containerd, image: str, registry: Registry
) -> None:
    target = f"{registry.address}/pushed:1"
    _push(containerd, image, target)
    manifest = _inspect(target)
    assert len(manifest["layers"]) == 3
    containerd.ctr("images", "rm", "--sync", image)
    containerd.ctr("images", "pull", "--plain-http", target)
    assert (
        containerd.ctr("run", "--rm", "--runtime", OURS, target, "pushed", "cat", "/three") == "3"
    )


def test_what_is_there_is_not_sent_again(
    containerd: Containerd, image: str, registry: Registry
) -> None:
    _push(containerd, image, f"{registry.address}/twice:1")
    before = len(registry.log)
    _push(containerd, image, f"{registry.address}/twice:2")
    assert re.findall(r'"(?:POST|PUT|PATCH) \S*/blobs/', registry.log[before:]) == []
    assert _inspect(f"{registry.address}/twice:2") == _inspect(f"{registry.address}/twice:1")


def test_blobs_are_mounted_from_where_they_came(
    containerd: Containerd, image: str, registry: Registry
) -> None:
    source = f"{registry.address}/source:1"
    _push(containerd, image, source)
    containerd.ctr("images", "rm", "--sync", image)
    containerd.ctr("images", "pull", "--plain-http", source)
    before = len(registry.log)
    _push(containerd, source, f"{registry.address}/mounted:1")
    log = registry.log[before:]
    assert len(re.findall(r'"POST /v2/mounted/blobs/uploads/\?mount=\S+ HTTP/1.1" 201', log)) == 4
    assert '"PUT /v2/mounted/blobs' not in log


def test_all_platforms_are_pushed(containerd: Containerd, index: str, registry: Registry) -> None:
    pull_platforms(containerd, index, "amd64", "arm64")
    target = f"{registry.address}/platforms:1"
    _push(containerd, index, target)
    found = _inspect(target)
    assert [each["platform"]["architecture"] for each in found["manifests"]] == ["amd64", "arm64"]


def test_an_image_that_is_here_in_part_is_refused(
    containerd: Containerd, index: str, registry: Registry
) -> None:
    pull_platforms(containerd, index, "amd64")
    with pytest.raises(grpc.RpcError) as raised:
        _push(containerd, index, f"{registry.address}/part:1")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "content sha256:" in raised.value.details()


def test_push_to_a_registry_that_is_away(containerd: Containerd, image: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _push(containerd, image, "localhost:1/away:1")
    assert raised.value.code() is grpc.StatusCode.UNKNOWN
    assert "failed to do request" in raised.value.details()


def test_push_goes_past_mirrors(
    containerd: Containerd, image: str, registry: Registry, tmp_path: Path
) -> None:
    with running_registry(tmp_path / "mirror") as mirror:
        directory = _hosts(
            tmp_path / "certs.d",
            registry.address,
            f'server = "http://{registry.address}"\n[host."http://{mirror.address}"]\n'
            'capabilities = ["pull", "resolve"]\n',
        )
        _push(containerd, image, f"{registry.address}/past:1", host_dir=directory)
        assert "/v2/past" not in mirror.log
    assert _inspect(f"{registry.address}/past:1")


def test_registry_without_the_capability_is_not_pushed_to(
    containerd: Containerd, image: str, registry: Registry, tmp_path: Path
) -> None:
    directory = _hosts(
        tmp_path / "certs.d",
        registry.address,
        f'server = "http://{registry.address}"\ncapabilities = ["pull"]\n',
    )
    with pytest.raises(grpc.RpcError) as raised:
        _push(containerd, image, f"{registry.address}/no:1", host_dir=directory)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "may be pushed to" in raised.value.details()
