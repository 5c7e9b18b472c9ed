"""ctr images: the client pulls and unpacks, so that it writes content, applies layers and prepares snapshots itself."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import grpc
import pytest
from tests.integration.ctr.conftest import IMAGE
from tests.support.containerd import OURS, Containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry

from wire import typeurl
from wire.gen.containerd.services.transfer.v1 import transfer_pb2, transfer_pb2_grpc
from wire.gen.containerd.types.transfer import imagestore_pb2


def test_pull_run_and_remove(containerd: Containerd, registry: Registry) -> None:
    archive = docker_archive("x:1", [busybox_layer(), layer({"one": b"1\n"})])
    name = registry.push(archive, "pulled:1")
    out = containerd.ctr("images", "pull", "--plain-http", name)
    assert "unpacking linux/amd64" in out
    listed = containerd.ctr("images", "ls").splitlines()[1].split()
    assert listed[0] == name
    assert "linux/amd64" in listed
    assert "complete (3/3)" in containerd.ctr("images", "check")
    assert containerd.ctr("run", "--rm", name, "pulled", "cat", "/one") == "1"
    assert containerd.ctr("leases", "ls", "-q") == ""
    assert containerd.ctr("content", "active").splitlines()[1:] == []
    containerd.ctr("images", "rm", "--sync", name)
    assert containerd.blobs() == set()
    assert containerd.directories() == set()
    assert containerd.uploads() == set()


def test_pull_of_what_is_not_there(containerd: Containerd, registry: Registry) -> None:
    error = containerd.fails("images", "pull", "--plain-http", f"{registry.address}/nope:1")
    assert "not found" in error
    assert containerd.ctr("images", "ls", "-q") == ""


def test_a_second_name_keeps_the_content(containerd: Containerd, image: str) -> None:
    assert containerd.ctr("images", "tag", image, "example.com/a:1") == "example.com/a:1"
    assert "already exists" in containerd.fails("images", "tag", image, "example.com/a:1")
    containerd.ctr("images", "tag", "--force", image, "example.com/a:1")
    containerd.collect()
    blobs = containerd.blobs()
    containerd.ctr("images", "rm", "--sync", image)
    assert containerd.blobs() == blobs
    assert containerd.ctr("run", "--rm", "example.com/a:1", "tagged", "cat", "/three") == "3"


def test_labels_of_images(containerd: Containerd, image: str) -> None:
    assert "stage=one" in containerd.ctr("images", "label", image, "stage=one")
    assert containerd.ctr("images", "ls", "-q", "labels.stage==one") == image
    assert containerd.ctr("images", "ls", "-q", "labels.stage==two") == ""
    containerd.ctr("images", "label", image, "stage=")
    assert containerd.ctr("images", "ls", "-q", "labels.stage") == ""


def test_export_and_import(containerd: Containerd, image: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    containerd.ctr("images", "export", first, image)
    with tarfile.open(first) as archive:
        names = set(archive.getnames())
        index = json.loads(archive.extractfile("index.json").read())  # type: ignore[union-attr]
    assert {"oci-layout", "index.json", "manifest.json"} <= names
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == image
    containerd.ctr("images", "rm", "--sync", image)
    out = containerd.ctr("images", "import", first)
    assert image in out
    containerd.ctr("images", "export", second, image)
    with tarfile.open(second) as archive:
        assert set(archive.getnames()) == names
    assert containerd.ctr("run", "--rm", image, "again", "cat", "/three") == "3"


def test_convert_makes_uncompressed_layers(containerd: Containerd, registry: Registry) -> None:
    name = registry.push(docker_archive("x:1", [busybox_layer()]), "converted:1")
    containerd.ctr("images", "pull", "--plain-http", name)
    containerd.ctr("images", "convert", "--uncompress", "--oci", name, "plain:1")
    target = containerd.ctr("images", "ls", 'name=="plain:1"').splitlines()[1].split()
    manifest = json.loads(containerd.ctr("content", "get", target[2]))
    assert [each["mediaType"] for each in manifest["layers"]] == [
        "application/vnd.oci.image.layer.v1.tar"
    ]


def test_mounted_image_is_seen_and_gone(containerd: Containerd, image: str, tmp_path: Path) -> None:
    target = tmp_path / "mounted"
    target.mkdir()
    containerd.ctr("images", "mount", image, target)
    assert (target / "three").read_text() == "3\n"
    assert not (target / "two").exists()
    containerd.ctr("images", "unmount", "--rm", target)
    assert list(target.iterdir()) == []
    assert str(target) not in containerd.ctr("snapshots", "ls")


def test_import_of_an_oci_layout(containerd: Containerd, image: str, tmp_path: Path) -> None:
    path = tmp_path / "layout.tar"
    containerd.ctr("images", "export", "--skip-manifest-json", path, image)
    # The client writes an archive's own index as well, which nothing keeps.
    containerd.collect()
    digests = containerd.blobs()
    containerd.ctr("images", "rm", "--sync", image)
    assert image in containerd.ctr("images", "import", path)
    containerd.collect()
    assert containerd.blobs() == digests


def test_image_of_the_archive_has_the_digests_of_its_bytes(
    containerd: Containerd, image: str
) -> None:
    for digest in containerd.ctr("content", "ls", "-q").split():
        path = containerd.root / "data/content/blobs/sha256" / digest.removeprefix("sha256:")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert image == IMAGE


def test_a_transfer_from_name_to_name_tags(containerd: Containerd, image: str) -> None:
    stub = transfer_pb2_grpc.TransferStub(containerd.channel)
    where = (("containerd-namespace", "default"),)

    def tag(source: str, target: str) -> None:
        request = transfer_pb2.TransferRequest(
            source=typeurl.pack(imagestore_pb2.ImageStore(name=source)),
            destination=typeurl.pack(
                imagestore_pb2.ImageStore(name=target, labels={"made": "by-tag"})
            ),
        )
        stub.Transfer(request, metadata=where, timeout=30)

    for _ in range(2):
        tag(image, "example.com/a:1")
    containerd.ctr("images", "rm", "--sync", image)
    assert containerd.ctr("images", "ls", "-q", "labels.made==by-tag") == "example.com/a:1"
    name = f"tagged-{os.urandom(4).hex()}"
    assert (
        containerd.ctr("run", "--rm", "--runtime", OURS, "example.com/a:1", name, "cat", "/three")
        == "3"
    )
    with pytest.raises(grpc.RpcError) as raised:
        tag(image, "example.com/b:1")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert containerd.ctr("images", "ls", "-q") == "example.com/a:1"
