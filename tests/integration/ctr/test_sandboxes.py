"""The store of sandboxes, and what is not served."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from tests.support.containerd import Containerd

from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2 as pb
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2_grpc
from wire.gen.containerd.types import sandbox_pb2

HERE = (("containerd-namespace", "default"),)


def _sandbox(name: str, **labels: str) -> sandbox_pb2.Sandbox:
    return sandbox_pb2.Sandbox(
        sandbox_id=name,
        runtime=sandbox_pb2.Sandbox.Runtime(name="io.containerd.dockyard.v1"),
        spec=Packed(type_url="spec", value=b"1"),
        labels=labels,
        extensions={"one": Packed(type_url="e", value=b"1")},
    )


@pytest.fixture
def store(containerd: Containerd) -> Any:
    return sandbox_pb2_grpc.StoreStub(containerd.channel)


def test_life_of_a_sandbox(store: Any) -> None:
    made = store.Create(pb.StoreCreateRequest(sandbox=_sandbox("s", a="b")), metadata=HERE).sandbox
    assert made.created_at.seconds
    with pytest.raises(grpc.RpcError) as raised:
        store.Create(pb.StoreCreateRequest(sandbox=_sandbox("s")), metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS
    change = _sandbox("s", c="d")
    change.spec.value = b"2"
    store.Update(pb.StoreUpdateRequest(sandbox=change, fields=["labels.c"]), metadata=HERE)
    found = store.Get(pb.StoreGetRequest(sandbox_id="s"), metadata=HERE).sandbox
    assert (dict(found.labels), found.spec.value) == ({"a": "b", "c": "d"}, b"1")
    store.Update(pb.StoreUpdateRequest(sandbox=change), metadata=HERE)
    found = store.Get(pb.StoreGetRequest(sandbox_id="s"), metadata=HERE).sandbox
    assert (dict(found.labels), found.spec.value) == ({"c": "d"}, b"2")
    listed = store.List(pb.StoreListRequest(filters=["labels.c==d"]), metadata=HERE).list
    assert [each.sandbox_id for each in listed] == ["s"]
    assert not store.List(pb.StoreListRequest(filters=["id==t"]), metadata=HERE).list
    store.Delete(pb.StoreDeleteRequest(sandbox_id="s"), metadata=HERE)
    with pytest.raises(grpc.RpcError) as raised:
        store.Get(pb.StoreGetRequest(sandbox_id="s"), metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "fields"),
    [({"sandbox_id": "../x"}, []), ({"sandbox_id": ""}, [])],
)
def test_bad_sandboxes_are_refused(store: Any, change: dict[str, str], fields: list[str]) -> None:
    sandbox = _sandbox("s")
    for key, value in change.items():
        setattr(sandbox, key, value)
    with pytest.raises(grpc.RpcError) as raised:
        store.Create(pb.StoreCreateRequest(sandbox=sandbox), metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_malformed_bytes_do_no_harm(containerd: Containerd) -> None:
    call = containerd.channel.unary_unary("/containerd.services.leases.v1.Leases/Create")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"\xff\xff\xff", metadata=HERE)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert containerd.ctr("version")
