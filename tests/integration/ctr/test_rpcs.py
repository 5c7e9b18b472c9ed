"""The table of RPCs in services/containerd/README.md against a daemon that runs; and what is in no table."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.containerd import Containerd
from tests.support.stack import CLONE

import wire.gen
from wire.gen.containerd.services.leases.v1 import leases_pb2

GENERATED = Path(next(iter(wire.gen.__path__)))
ROW = re.compile(r"^\| ((?:containerd|grpc)\.[\w.]+) \|([\w ]*)\|([\w ]*)\|$", re.MULTILINE)
# An empty one is refused for what it does not say, with the code of what is not served.
_HELD = leases_pb2.Resource(type="content", id="sha256:" + 64 * "0")
_REQUESTS = {
    "AddResource": leases_pb2.AddResourceRequest(id="nope", resource=_HELD),
    "DeleteResource": leases_pb2.DeleteResourceRequest(id="nope", resource=_HELD),
}


def _described() -> dict[str, Any]:
    """The services of the protocol, by full name."""
    files = [
        *GENERATED.glob("containerd/services/**/*_pb2.py"),
        *GENERATED.glob("health/**/*_pb2.py"),
    ]
    found = {}
    for file in files:
        name = ".".join(file.relative_to(GENERATED).with_suffix("").parts)
        descriptor = importlib.import_module(f"wire.gen.{name}").DESCRIPTOR
        found.update({each.full_name: each for each in descriptor.services_by_name.values()})
    return found


def _table() -> Iterator[tuple[str, list[str], list[str]]]:
    text = (CLONE / "services/containerd/README.md").read_text()
    for service, served, refused in ROW.findall(text):
        yield service, served.split(), refused.split()


def _answer(channel: grpc.Channel, path: str, method: Any) -> tuple[grpc.StatusCode, str]:
    """What a request without a namespace, mostly empty, gets; a method that waits is cut off."""
    try:
        if method.client_streaming:
            for _ in channel.stream_stream(path)(iter([b""]), timeout=0.5):
                pass
        elif method.server_streaming:
            for _ in channel.unary_stream(path)(b"", timeout=0.5):
                pass
        else:
            request = _REQUESTS.get(method.name)
            data = request.SerializeToString() if request is not None else b""
            channel.unary_unary(path)(data, timeout=20)
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def test_the_table_is_the_protocol() -> None:
    table = {service: sorted(served + refused) for service, served, refused in _table()}
    assert table == {
        name: sorted(method.name for method in each.methods) for name, each in _described().items()
    }


@pytest.mark.parametrize(
    ("service", "served", "refused"), [pytest.param(*row, id=row[0]) for row in _table()]
)
def test_every_row_is_true(
    containerd: Containerd, service: str, served: list[str], refused: list[str]
) -> None:
    methods = _described()[service].methods_by_name
    for name in served:
        code, text = _answer(containerd.channel, f"/{service}/{name}", methods[name])
        assert code is not grpc.StatusCode.UNIMPLEMENTED, (name, text)
    for name in refused:
        code, text = _answer(containerd.channel, f"/{service}/{name}", methods[name])
        assert code is grpc.StatusCode.UNIMPLEMENTED, (name, text)
        assert name.lower() in text.lower(), text


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/runtime.v1.RuntimeService/Version", "unknown service runtime.v1.RuntimeService"),
        ("/runtime.v1.ImageService/ListImages", "unknown service runtime.v1.ImageService"),
        (
            "/containerd.services.leases.v1.Leases/Nope",
            "unknown method Nope for service containerd.services.leases.v1.Leases",
        ),
    ],
)
def test_what_nobody_serves(containerd: Containerd, path: str, message: str) -> None:
    calls = [
        lambda: containerd.channel.unary_unary(path)(b""),
        lambda: next(containerd.channel.unary_stream(path)(b"")),
        lambda: containerd.channel.stream_unary(path)(iter([b"1", b"2"])),
        lambda: next(containerd.channel.stream_stream(path)(iter([]))),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as raised:
            call()
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert raised.value.details() == message
