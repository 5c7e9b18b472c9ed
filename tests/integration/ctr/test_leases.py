"""ctr leases, and what leases and labels keep from being collected."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from tests.integration.ctr.test_uploads import Upload
from tests.support.containerd import Containerd
from tests.support.stack import wait_until

from wire.gen.containerd.services.content.v1 import content_pb2 as content
from wire.gen.containerd.services.images.v1 import images_pb2, images_pb2_grpc
from wire.gen.containerd.services.leases.v1 import leases_pb2 as pb
from wire.gen.containerd.services.leases.v1 import leases_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc
from wire.gen.containerd.types import descriptor_pb2

HERE = (("containerd-namespace", "default"),)


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _put(containerd: Containerd, text: str, lease: str = "", **labels: str) -> str:
    """A blob, perhaps under a lease; its digest."""
    where = (*HERE, *((("containerd-lease", lease),) if lease else ()))
    upload = Upload(containerd, where)
    data = text.encode()
    upload.send(action=content.WRITE, ref=f"put-{text}", data=data)
    named = {
        f"containerd.io/{key.replace('__', '/').replace('_', '.')}": value
        for key, value in labels.items()
    }
    return upload.send(action=content.COMMIT, offset=len(data), labels=named).digest


def _stub(containerd: Containerd) -> Any:
    return leases_pb2_grpc.LeasesStub(containerd.channel)


def _lease(containerd: Containerd, name: str, **labels: str) -> None:
    named = {f"containerd.io/{key.replace('_', '.')}": value for key, value in labels.items()}
    _stub(containerd).Create(pb.CreateRequest(id=name, labels=named), metadata=HERE)


def test_ctr_leases(containerd: Containerd) -> None:
    containerd.ctr("leases", "create", "--id", "mine", "--expires", "1h", "a=b")
    line = containerd.ctr("leases", "ls").splitlines()[1]
    assert line.startswith("mine")
    assert "a=b" in line
    assert "containerd.io/gc.expire=" in line
    assert "already exists" in containerd.fails("leases", "create", "--id", "mine")
    containerd.ctr("leases", "rm", "--sync", "mine")
    assert containerd.ctr("leases", "ls", "-q") == ""


def test_a_lease_keeps_until_it_is_deleted(containerd: Containerd) -> None:
    _lease(containerd, "keeper")
    kept, loose = _put(containerd, "kept", "keeper"), _put(containerd, "loose")
    containerd.collect()
    assert kept in containerd.blobs()
    assert loose not in containerd.blobs()
    _stub(containerd).Delete(pb.DeleteRequest(id="keeper", sync=True), metadata=HERE)
    assert kept not in containerd.blobs()


def test_a_lease_survives_a_killed_daemon(containerd: Containerd) -> None:
    _lease(containerd, "durable")
    kept = _put(containerd, "durable", "durable")
    containerd.kill()
    containerd.collect()
    assert kept in containerd.blobs()


def test_a_lease_that_expires_lets_go_without_being_asked(containerd: Containerd) -> None:
    _lease(containerd, "short", gc_expire=_in(1.5))
    kept = _put(containerd, "short", "short")
    containerd.collect()
    assert kept in containerd.blobs()
    wait_until(lambda: kept not in containerd.blobs(), what="expiry")
    assert containerd.ctr("leases", "ls", "-q") == ""


def test_unknown_lease_is_refused(containerd: Containerd) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _put(containerd, "nobody", "nope")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_references_are_followed(containerd: Containerd) -> None:
    leaf = _put(containerd, "leaf", gc_root="1")
    middle = _put(containerd, "middle", gc_ref_content_0=leaf, gc_root="1")
    _lease(containerd, "deep")
    _lease(containerd, "flat", gc_flat="1")
    top = _put(containerd, "top", "deep", gc_ref_content=middle)
    flat = _put(containerd, "flat", "flat", gc_ref_content=middle)
    for digest in (leaf, middle):
        containerd.ctr("content", "label", digest, "containerd.io/gc.root=")
    containerd.collect()
    assert {leaf, middle, top, flat} <= containerd.blobs()
    _stub(containerd).Delete(pb.DeleteRequest(id="deep", sync=True), metadata=HERE)
    assert containerd.blobs() & {leaf, middle, top, flat} == {flat}


def test_root_label_keeps_and_its_removal_frees(containerd: Containerd) -> None:
    kept = _put(containerd, "root", gc_root="2026")
    containerd.collect()
    assert kept in containerd.blobs()
    containerd.ctr("content", "label", kept, "containerd.io/gc.root=")
    wait_until(lambda: kept not in containerd.blobs(), what="collection")


def test_expiry_label_keeps_content_until_then(containerd: Containerd) -> None:
    kept = _put(containerd, "expiring", gc_expire=_in(1.5))
    gone = _put(containerd, "expired", gc_expire=_in(-10))
    containerd.collect()
    assert containerd.blobs() & {kept, gone} == {kept}
    wait_until(lambda: kept not in containerd.blobs(), what="expiry")


def test_an_image_that_expires_is_removed(containerd: Containerd) -> None:
    digest = _put(containerd, "target", gc_root="1")
    image = images_pb2.Image(
        name="passing:1",
        labels={"containerd.io/gc.expire": _in(1.5)},
        target=descriptor_pb2.Descriptor(media_type="text/plain", digest=digest, size=6),
    )
    stub = images_pb2_grpc.ImagesStub(containerd.channel)
    stub.Create(images_pb2.CreateImageRequest(image=image), metadata=HERE)
    containerd.ctr("content", "label", digest, "containerd.io/gc.root=")
    containerd.collect()
    assert containerd.ctr("images", "ls", "-q") == "passing:1"
    wait_until(lambda: digest not in containerd.blobs(), what="expiry")
    assert containerd.ctr("images", "ls", "-q") == ""


def test_back_references_attach_to_their_owner(containerd: Containerd) -> None:
    owner = _put(containerd, "owner", gc_root="1")
    attached = _put(containerd, "attached", gc_bref_content=owner)
    containerd.collect()
    assert {owner, attached} <= containerd.blobs()
    containerd.ctr("content", "rm", owner)
    wait_until(lambda: attached not in containerd.blobs(), what="collection")


def test_leases_hold_snapshots_with_their_parents(containerd: Containerd) -> None:
    snapshots = snapshots_pb2_grpc.SnapshotsStub(containerd.channel)
    _lease(containerd, "layers")
    where = (*HERE, ("containerd-lease", "layers"))
    parent = ""
    for name in ("one", "two"):
        prepare = snapshots_pb2.PrepareSnapshotRequest(
            snapshotter="overlayfs", key=f"{name}-key", parent=parent
        )
        snapshots.Prepare(prepare, metadata=where)
        commit = snapshots_pb2.CommitSnapshotRequest(
            snapshotter="overlayfs", key=f"{name}-key", name=name
        )
        snapshots.Commit(commit, metadata=where)
        parent = name
    resources = (
        _stub(containerd)
        .ListResources(pb.ListResourcesRequest(id="layers"), metadata=HERE)
        .resources
    )
    assert {(each.type, each.id) for each in resources} == {
        ("snapshots/overlayfs", "one"),
        ("snapshots/overlayfs", "two"),
    }
    # The upper one needs the lower one, lease or not.
    one = pb.Resource(type="snapshots/overlayfs", id="one")
    _stub(containerd).DeleteResource(
        pb.DeleteResourceRequest(id="layers", resource=one), metadata=HERE
    )
    containerd.collect()
    assert len(containerd.directories()) == 2
    two = pb.Resource(type="snapshots/overlayfs", id="two")
    _stub(containerd).DeleteResource(
        pb.DeleteResourceRequest(id="layers", resource=two), metadata=HERE
    )
    containerd.collect()
    assert containerd.directories() == set()


def test_an_existing_target_snapshot_is_held_and_not_made_again(containerd: Containerd) -> None:
    snapshots = snapshots_pb2_grpc.SnapshotsStub(containerd.channel)
    request = snapshots_pb2.PrepareSnapshotRequest(
        snapshotter="overlayfs",
        key="key",
        labels={"containerd.io/snapshot.ref": "ready", "containerd.io/gc.root": "1"},
    )
    snapshots.Prepare(request, metadata=HERE)
    snapshots.Commit(
        snapshots_pb2.CommitSnapshotRequest(
            snapshotter="overlayfs", key="key", name="ready", labels={"containerd.io/gc.root": "1"}
        ),
        metadata=HERE,
    )
    _lease(containerd, "target")
    with pytest.raises(grpc.RpcError) as raised:
        snapshots.Prepare(request, metadata=(*HERE, ("containerd-lease", "target")))
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS
    resources = (
        _stub(containerd)
        .ListResources(pb.ListResourcesRequest(id="target"), metadata=HERE)
        .resources
    )
    assert [each.id for each in resources] == ["ready"]
    snapshots.Remove(
        snapshots_pb2.RemoveSnapshotRequest(snapshotter="overlayfs", key="ready"), metadata=HERE
    )


def test_resources_are_checked(containerd: Containerd) -> None:
    _lease(containerd, "checked")

    def add(kind: str, name: str) -> grpc.StatusCode:
        request = pb.AddResourceRequest(id="checked", resource=pb.Resource(type=kind, id=name))
        with pytest.raises(grpc.RpcError) as raised:
            _stub(containerd).AddResource(request, metadata=HERE)
        return raised.value.code()

    assert add("content", "nope") is grpc.StatusCode.INVALID_ARGUMENT
    assert add("content/x", f"sha256:{'0' * 64}") is grpc.StatusCode.INVALID_ARGUMENT
    assert add("snapshots", "x") is grpc.StatusCode.INVALID_ARGUMENT
    assert add("volumes", "x") is grpc.StatusCode.UNIMPLEMENTED


def test_lease_filters(containerd: Containerd) -> None:
    for name in ("first", "second"):
        request = pb.CreateRequest(id=name, labels={"which": name})
        _stub(containerd).Create(request, metadata=HERE)
    found = _stub(containerd).List(pb.ListRequest(filters=["labels.which==second"]), metadata=HERE)
    assert [each.id for each in found.leases] == ["second"]
    found = _stub(containerd).List(pb.ListRequest(filters=["id~=^f", "id==second"]), metadata=HERE)
    assert [each.id for each in found.leases] == ["first", "second"]


def test_an_upload_under_a_lease_goes_with_it(containerd: Containerd) -> None:
    _lease(containerd, "upload")
    upload = Upload(containerd, (*HERE, ("containerd-lease", "upload")))
    upload.send(action=content.WRITE, ref="leased", data=b"1234")
    upload.end()
    containerd.collect()
    assert "leased" in containerd.ctr("content", "active")
    _stub(containerd).Delete(pb.DeleteRequest(id="upload", sync=True), metadata=HERE)
    assert "leased" not in containerd.ctr("content", "active")
    assert containerd.uploads() == set()
    digest = f"sha256:{hashlib.sha256(b'1234').hexdigest()}"
    assert digest not in containerd.blobs()


def test_the_first_of_several_namespaces_and_leases_counts(containerd: Containerd) -> None:
    """Go's clients put one before those that a call's context has from before: BuildKit's record of its builds does."""
    stub = leases_pb2_grpc.LeasesStub(containerd.channel)
    here, there = (("containerd-namespace", name) for name in ("default", "inner"))
    stub.Create(pb.CreateRequest(id="outer"), metadata=(here,))
    stub.Create(pb.CreateRequest(id="inner"), metadata=(there, here))
    listed = stub.List(pb.ListRequest(), metadata=(there,)).leases
    assert [each.id for each in listed] == ["inner"]
    leased = (there, here, ("containerd-lease", "inner"), ("containerd-lease", "outer"))
    request = snapshots_pb2.PrepareSnapshotRequest(snapshotter="overlayfs", key="held")
    snapshots = snapshots_pb2_grpc.SnapshotsStub(containerd.channel)
    snapshots.Prepare(request, metadata=leased)
    found = stub.ListResources(pb.ListResourcesRequest(id="inner"), metadata=(there,))
    assert [each.id for each in found.resources] == ["held"]
