"""What is malformed, unknown, wrong, cut off, circular or swollen: ours and Debian's containerd give the same code to each."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, field_mask_pb2
from tests.support.containerd import Containerd, running_containerd
from tests.support.debian import CONFIG, original
from tests.support.stack import BIN

from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.content.v1 import content_pb2, content_pb2_grpc
from wire.gen.containerd.services.diff.v1 import diff_pb2, diff_pb2_grpc
from wire.gen.containerd.services.events.v1 import events_pb2, events_pb2_grpc
from wire.gen.containerd.services.images.v1 import images_pb2, images_pb2_grpc
from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc
from wire.gen.containerd.services.namespaces.v1 import namespace_pb2, namespace_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc
from wire.gen.containerd.services.tasks.v1 import tasks_pb2, tasks_pb2_grpc
from wire.gen.containerd.types import descriptor_pb2

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]
NOBODY = f"sha256:{'0' * 64}"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ACTION = content_pb2.WriteAction


class Peer:
    """One daemon, and what it answers."""

    def __init__(self, daemon: Containerd) -> None:
        self.daemon = daemon
        channel = daemon.channel
        self.channel = channel
        self.containers = containers_pb2_grpc.ContainersStub(channel)
        self.content = content_pb2_grpc.ContentStub(channel)
        self.diff = diff_pb2_grpc.DiffStub(channel)
        self.events = events_pb2_grpc.EventsStub(channel)
        self.images = images_pb2_grpc.ImagesStub(channel)
        self.leases = leases_pb2_grpc.LeasesStub(channel)
        self.namespaces = namespace_pb2_grpc.NamespacesStub(channel)
        self.snapshots = snapshots_pb2_grpc.SnapshotsStub(channel)
        self.tasks = tasks_pb2_grpc.TasksStub(channel)

    def raw(self, method: str, data: bytes) -> Any:
        """Bytes that need be no message."""
        call = self.channel.unary_unary(method, lambda each: each, lambda each: each)
        return call(data, metadata=HERE, timeout=30)

    def write(self, *messages: dict[str, Any], where: Any = ()) -> list[Any]:
        """A Write call with these messages, and then its end."""
        requests = (content_pb2.WriteContentRequest(**each) for each in messages)
        return list(self.content.Write(requests, metadata=where or HERE, timeout=30))

    def add(self, data: bytes, ref: str, **labels: str) -> str:
        """A blob; its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        message = {"action": ACTION.COMMIT, "ref": ref, "total": len(data), "expected": digest}
        try:
            self.write({**message, "data": data, "labels": labels})
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
        return digest

    def apply(self, data: bytes, key: str, size: int = 0) -> Any:
        """A layer into a new snapshot."""
        digest = self.add(data, key, **{"containerd.io/gc.root": "1"})
        prepare = snapshots_pb2.PrepareSnapshotRequest(
            snapshotter="overlayfs", key=key, labels={"containerd.io/gc.root": "1"}
        )
        mounts = self.snapshots.Prepare(prepare, metadata=HERE, timeout=30).mounts
        descriptor = descriptor_pb2.Descriptor(
            media_type=LAYER, digest=digest, size=size or len(data)
        )
        try:
            request = diff_pb2.ApplyRequest(diff=descriptor, mounts=mounts)
            return self.diff.Apply(request, metadata=HERE, timeout=60)
        finally:
            remove = snapshots_pb2.RemoveSnapshotRequest(snapshotter="overlayfs", key=key)
            self.snapshots.Remove(remove, metadata=HERE, timeout=30)
            self.content.Delete(
                content_pb2.DeleteContentRequest(digest=digest), metadata=HERE, timeout=30
            )


HERE = (("containerd-namespace", "default"),)


def _in(namespace: str) -> Any:
    return (("containerd-namespace", namespace),)


def _get_container(peer: Peer, where: Any, name: str = "x") -> Any:
    return peer.containers.Get(
        containers_pb2.GetContainerRequest(id=name), metadata=where, timeout=9
    )


def _container(peer: Peer, **fields: Any) -> Any:
    whole = {
        "id": "x",
        "runtime": containers_pb2.Container.Runtime(name="r"),
        "spec": any_pb2.Any(type_url="t", value=b"{}"),
    }
    container = containers_pb2.Container(**{**whole, **fields})
    request = containers_pb2.CreateContainerRequest(container=container)
    return peer.containers.Create(request, metadata=HERE, timeout=9)


def _image(peer: Peer, **fields: Any) -> Any:
    target = descriptor_pb2.Descriptor(media_type="m", digest=NOBODY, size=1)
    image = images_pb2.Image(**{"name": "x", "target": target, **fields})
    return peer.images.Create(images_pb2.CreateImageRequest(image=image), metadata=HERE, timeout=9)


def _read(peer: Peer, **fields: Any) -> Any:
    request = content_pb2.ReadContentRequest(**fields)
    return b"".join(each.data for each in peer.content.Read(request, metadata=HERE, timeout=9))


def _update_content(peer: Peer, digest: str, *paths: str) -> Any:
    request = content_pb2.UpdateRequest(
        info=content_pb2.Info(digest=digest, labels={"a": "b"}),
        update_mask=field_mask_pb2.FieldMask(paths=paths),
    )
    return peer.content.Update(request, metadata=HERE, timeout=9)


def _list_images(peer: Peer, *filters: str) -> Any:
    request = images_pb2.ListImagesRequest(filters=filters)
    return peer.images.List(request, metadata=HERE, timeout=9)


def _prepare(peer: Peer, snapshotter: str, key: str, parent: str = "") -> Any:
    request = snapshots_pb2.PrepareSnapshotRequest(snapshotter=snapshotter, key=key, parent=parent)
    return peer.snapshots.Prepare(request, metadata=HERE, timeout=9)


def _cut_off(peer: Peer) -> Any:
    """The client goes before it has sent what it promised; then somebody commits what is there."""
    peer.write({"action": ACTION.WRITE, "ref": "cut", "total": 100, "data": b"x" * 10})
    status = peer.content.Status(content_pb2.StatusRequest(ref="cut"), metadata=HERE).status
    assert (status.offset, status.total) == (10, 100)
    try:
        return peer.write({"action": ACTION.COMMIT, "ref": "cut", "total": 100})
    finally:
        peer.content.Abort(content_pb2.AbortRequest(ref="cut"), metadata=HERE)


def _wrong(peer: Peer, **commit: Any) -> Any:
    try:
        return peer.write(
            {"action": ACTION.WRITE, "ref": "wrong", "data": b"x" * 10},
            {"action": ACTION.COMMIT, "ref": "wrong", **commit},
        )
    finally:
        peer.content.Abort(content_pb2.AbortRequest(ref="wrong"), metadata=HERE)


def _truncated_gzip() -> bytes:
    return gzip.compress(_tar(("file", random.Random(1).randbytes(100_000))))[:-200]


def _tar(*files: tuple[str, bytes], headers: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.pax_headers = headers or {}
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


CASES: dict[str, Callable[[Peer], Any]] = {
    # malformed protobuf
    "bytes that are no message": lambda peer: peer.raw(
        "/containerd.services.containers.v1.Containers/Get", b"\xff\xff\xff"
    ),
    "a message that ends early": lambda peer: peer.raw(
        "/containerd.services.images.v1.Images/Create", b"\x0a\x7fabc"
    ),
    "an unknown method": lambda peer: peer.raw("/containerd.services.images.v1.Images/Eat", b""),
    "an unknown service": lambda peer: peer.raw("/runtime.v9.X/Y", b""),
    # namespaces
    "no namespace": lambda peer: _get_container(peer, ()),
    "an unknown namespace": lambda peer: _get_container(peer, _in("nobody")),
    "a malformed namespace": lambda peer: _get_container(peer, _in("no/body")),
    "a list in an unknown namespace": lambda peer: peer.containers.List(
        containers_pb2.ListContainersRequest(), metadata=_in("nobody"), timeout=9
    ),
    "content in an unknown namespace": lambda peer: peer.content.Info(
        content_pb2.InfoRequest(digest=NOBODY), metadata=_in("nobody"), timeout=9
    ),
    "deletion of an unknown namespace": lambda peer: peer.namespaces.Delete(
        namespace_pb2.DeleteNamespaceRequest(name="nobody"), timeout=9
    ),
    "creation of a malformed namespace": lambda peer: peer.namespaces.Create(
        namespace_pb2.CreateNamespaceRequest(namespace=namespace_pb2.Namespace(name="a b")),
        timeout=9,
    ),
    # digests and uploads
    "an unknown digest": lambda peer: _read(peer, digest=NOBODY),
    "a malformed digest": lambda peer: _read(peer, digest="sha256:xyz"),
    "no digest": _read,
    "info of a malformed digest": lambda peer: peer.content.Info(
        content_pb2.InfoRequest(digest="md5:abc"), metadata=HERE, timeout=9
    ),
    "deletion of a malformed digest": lambda peer: peer.content.Delete(
        content_pb2.DeleteContentRequest(digest="nonsense"), metadata=HERE, timeout=9
    ),
    "update of an unknown digest": lambda peer: _update_content(peer, NOBODY, "labels.a"),
    "update of what cannot change": lambda peer: _update_content(
        peer, peer.add(b"update", "update"), "size"
    ),
    "an offset behind the end": lambda peer: _read(
        peer, digest=peer.add(b"offset", "offset"), offset=100
    ),
    "a negative offset": lambda peer: _read(peer, digest=peer.add(b"offset", "offset"), offset=-1),
    "a negative size": lambda peer: _read(peer, digest=peer.add(b"offset", "offset"), size=-5),
    "a wrong digest": lambda peer: _wrong(peer, expected=NOBODY),
    "a malformed expected digest": lambda peer: _wrong(peer, expected="sha256:nope"),
    "a wrong size": lambda peer: _wrong(peer, total=9),
    "a total that is less than what came": lambda peer: peer.write(
        {"action": ACTION.WRITE, "ref": "less", "data": b"x" * 10, "total": 5},
        {"action": ACTION.COMMIT, "ref": "less", "total": 5},
    ),
    "a cut off upload": _cut_off,
    "no reference": lambda peer: peer.write({"action": ACTION.WRITE, "data": b"x"}),
    "a write behind the end": lambda peer: peer.write(
        {"action": ACTION.WRITE, "ref": "behind", "data": b"x", "offset": 5}
    ),
    "status of an unknown upload": lambda peer: peer.content.Status(
        content_pb2.StatusRequest(ref="nobody"), metadata=HERE, timeout=9
    ),
    "abortion of an unknown upload": lambda peer: peer.content.Abort(
        content_pb2.AbortRequest(ref="nobody"), metadata=HERE, timeout=9
    ),
    # records
    "a container without an id": lambda peer: _container(peer, id=""),
    "a container with a malformed id": lambda peer: _container(peer, id="a/b"),
    "a container with a long id": lambda peer: _container(peer, id="a" * 77),
    "a container without a runtime": lambda peer: _container(
        peer, runtime=containers_pb2.Container.Runtime()
    ),
    "a container without a spec": lambda peer: _container(peer, spec=None),
    "a container with a long label": lambda peer: _container(peer, labels={"k": "v" * 5000}),
    "a container with a key and no snapshotter": lambda peer: _container(peer, snapshot_key="k"),
    "an image without a name": lambda peer: _image(peer, name=""),
    "an image without a target": lambda peer: _image(peer, target=None),
    "an image with a malformed digest": lambda peer: _image(
        peer, target=descriptor_pb2.Descriptor(media_type="m", digest="sha256:x", size=1)
    ),
    "an image of no bytes": lambda peer: _image(
        peer, target=descriptor_pb2.Descriptor(media_type="m", digest=NOBODY)
    ),
    "an image of no type": lambda peer: _image(
        peer, target=descriptor_pb2.Descriptor(digest=NOBODY, size=1)
    ),
    "a malformed filter": lambda peer: _list_images(peer, "name==="),
    "a filter that does not end": lambda peer: _list_images(peer, 'name=="x'),
    "a malformed regular expression": lambda peer: _list_images(peer, "name~=[("),
    "a malformed resource of an unknown lease": lambda peer: peer.leases.AddResource(
        leases_pb2.AddResourceRequest(
            id="nobody", resource=leases_pb2.Resource(id="x", type="content")
        ),
        metadata=HERE,
        timeout=9,
    ),
    "deletion of an unknown lease": lambda peer: peer.leases.Delete(
        leases_pb2.DeleteRequest(id="nobody"), metadata=HERE, timeout=9
    ),
    "an unknown lease": lambda peer: peer.write(
        {"action": ACTION.COMMIT, "ref": "leased", "data": b"leased"},
        where=(*HERE, ("containerd-lease", "nobody")),
    ),
    "an unknown snapshotter": lambda peer: _prepare(peer, "nobody", "k"),
    "no snapshotter": lambda peer: _prepare(peer, "", "k"),
    "an unknown parent": lambda peer: _prepare(peer, "overlayfs", "k", "nobody"),
    "an unknown task": lambda peer: peer.tasks.Get(
        tasks_pb2.GetRequest(container_id="nobody"), metadata=HERE, timeout=9
    ),
    "a task of an unknown container": lambda peer: peer.tasks.Create(
        tasks_pb2.CreateTaskRequest(container_id="nobody"), metadata=HERE, timeout=9
    ),
    "an event without a topic": lambda peer: peer.events.Publish(
        events_pb2.PublishRequest(event=any_pb2.Any(type_url="t")), metadata=HERE, timeout=9
    ),
    "an event with a malformed topic": lambda peer: peer.events.Publish(
        events_pb2.PublishRequest(topic="no slash", event=any_pb2.Any(type_url="t")),
        metadata=HERE,
        timeout=9,
    ),
    # layers
    "a layer that is not here": lambda peer: peer.diff.Apply(
        diff_pb2.ApplyRequest(
            diff=descriptor_pb2.Descriptor(media_type=LAYER, digest=NOBODY, size=1)
        ),
        metadata=HERE,
        timeout=9,
    ),
}
# What we refuse by a code of its own, and 1.6 by none (UNKNOWN) or not at all: the answer of either is written down.
STRICTER: dict[str, tuple[Callable[[Peer], Any], str, str]] = {
    # As later containerds, whose protobuf looks.
    "a string that is no UTF-8": (
        lambda peer: peer.raw(
            "/containerd.services.containers.v1.Containers/Get", b"\x0a\x02\xff\xfe"
        ),
        "INTERNAL",
        "NOT_FOUND",
    ),
    "an unknown action": (
        lambda peer: peer.write({"action": 77, "ref": "r"}),
        "INVALID_ARGUMENT",
        "OK",
    ),
    "a layer of an unknown type": (
        lambda peer: peer.diff.Apply(
            diff_pb2.ApplyRequest(
                diff=descriptor_pb2.Descriptor(
                    media_type="application/x", digest=peer.add(b"x", "type"), size=1
                )
            ),
            metadata=HERE,
            timeout=9,
        ),
        "UNIMPLEMENTED",
        "UNKNOWN",
    ),
    "a malformed digest from the start": (
        lambda peer: peer.write({"action": ACTION.STAT, "ref": "s", "expected": "sha256:nope"}),
        "INVALID_ARGUMENT",
        "OK",
    ),
    "a layer that is no archive": (
        lambda peer: peer.apply(gzip.compress(b"no archive" * 1000), "noarchive"),
        "INVALID_ARGUMENT",
        "UNKNOWN",
    ),
    "a layer that ends early": (
        lambda peer: peer.apply(_truncated_gzip(), "early"),
        "INVALID_ARGUMENT",
        "UNKNOWN",
    ),
    "a header that is a bomb": (
        lambda peer: peer.apply(
            gzip.compress(_tar(("f", b""), headers={"comment": "x" * (64 << 20)})), "header"
        ),
        "INVALID_ARGUMENT",
        "UNKNOWN",
    ),
}


@pytest.fixture(scope="module")
def peers() -> Iterator[tuple[Peer, Peer]]:
    """Ours and Debian's."""
    if os.geteuid() != 0 or not (BIN / "containerd").exists():
        pytest.skip("needs root and a built stack")
    program = original("containerd")
    folder = Path(tempfile.mkdtemp(prefix="dockyard-input-"))
    (folder / "config.toml").write_text(CONFIG)
    try:
        with (
            running_containerd(folder / "ours") as ours,
            running_containerd(
                folder / "theirs", program=(program, "--config", folder / "config.toml")
            ) as theirs,
        ):
            yield Peer(ours), Peer(theirs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _outcome(peer: Peer, case: Callable[[Peer], Any]) -> tuple[str, str]:
    try:
        case(peer)
    except grpc.RpcError as error:
        return str(error.code().name), str(error.details())
    return "OK", ""


@pytest.mark.parametrize("name", CASES)
def test_the_code_is_the_originals(peers: tuple[Peer, Peer], name: str) -> None:
    ours, theirs = (_outcome(peer, CASES[name]) for peer in peers)
    assert ours[0] == theirs[0], (ours, theirs)


@pytest.mark.parametrize("name", STRICTER)
def test_the_code_says_more_than_the_originals(peers: tuple[Peer, Peer], name: str) -> None:
    case, *codes = STRICTER[name]
    assert [_outcome(peer, case)[0] for peer in peers] == codes


def _peak(peer: Peer) -> int:
    """The most memory that a daemon has had since it was last asked, in bytes; then it counts anew."""
    assert peer.daemon.process is not None
    process = Path(f"/proc/{peer.daemon.process.pid}")
    line = next(
        line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:")
    )
    (process / "clear_refs").write_text("5")
    return int(line.split()[1]) << 10


def _bomb(size: int) -> bytes:
    """A layer of zeros, a thousandth as large."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as file,
        tarfile.open(fileobj=file, mode="w|") as archive,
    ):
        info = tarfile.TarInfo("zeros")
        info.size = size
        archive.addfile(info, _Zeros())
    return stream.getvalue()


class _Zeros(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_memory_is_bounded(peers: tuple[Peer, Peer]) -> None:
    """A layer of 200 MB in 200 KB, a header of 64 MB, many uploads at once: the daemon stays as small as it was."""
    ours, _ = peers
    _peak(ours)
    before = _peak(ours)
    done = ours.apply(_bomb(200 << 20), "bomb")
    assert done.applied.size > 200 << 20
    for case, *_ in STRICTER.values():
        _outcome(ours, case)
    assert _peak(ours) - before < 48 << 20


def test_labels_in_a_circle(peers: tuple[Peer, Peer]) -> None:
    """Content that keeps each other: collected when nobody else keeps it, kept as long as somebody does; by either."""
    for peer in peers:
        names = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (b"circle1", b"circle2")]
        for data, other in ((b"circle1", names[1]), (b"circle2", names[0])):
            peer.add(
                data,
                data.decode(),
                **{"containerd.io/gc.ref.content.0": other, "containerd.io/gc.root": "1"},
            )
        peer.daemon.collect()
        assert all(_has(peer, names))
        for digest in names:
            request = content_pb2.UpdateRequest(
                info=content_pb2.Info(digest=digest, labels={}),
                update_mask=field_mask_pb2.FieldMask(paths=["labels.containerd.io/gc.root"]),
            )
            peer.content.Update(request, metadata=HERE)
            peer.daemon.collect()
            assert any(_has(peer, names)) == (digest == names[0])


def _has(peer: Peer, digests: Iterable[str]) -> list[bool]:
    found = []
    for digest in digests:
        code, _ = _outcome(peer, lambda each, digest=digest: _read(each, digest=digest))
        found.append(code == "OK")
    return found


def test_an_index_that_names_itself(peers: tuple[Peer, Peer]) -> None:
    """As far as digests allow: an index of which each manifest is the same index of other bytes; nothing walks for ever."""
    ours, _ = peers
    kind = "application/vnd.oci.image.index.v1+json"
    digest, size = NOBODY, 1
    for number in range(200):
        entry = {"mediaType": kind, "digest": digest, "size": size}
        document = {"schemaVersion": 2, "mediaType": kind, "manifests": [entry] * 3, "n": number}
        data = json.dumps(document).encode()
        digest, size = ours.add(data, f"index{number}"), len(data)
    target = descriptor_pb2.Descriptor(media_type=kind, digest=digest, size=size)
    _image(ours, name="deep", target=target)
    ours.daemon.collect()
    assert _outcome(ours, _list_images)[0] == "OK"
