"""wire.codec against the protobuf library: every light message must have the other's bytes."""

import importlib
import pkgutil
import random
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as Full

import wire.gen
from wire import codec
from wire.gen.containerd.types.mount_msg import Mount
from wire.gen.google.rpc.error_details_msg import ErrorInfo
from wire.gen.shim.task.v2 import shim_msg, shim_pb2


def light_modules() -> list[str]:
    found = pkgutil.walk_packages(wire.gen.__path__, "wire.gen.")
    return sorted(module.name for module in found if module.name.endswith("_msg"))


def pairs() -> list[Any]:
    found = []
    for name in light_modules():
        light = importlib.import_module(name)
        full_name = name.removesuffix("_msg") + "_pb2"
        if name.startswith("wire.gen.google.protobuf"):
            full_name = full_name.removeprefix("wire.gen.")
        full = importlib.import_module(full_name)
        for each in vars(light).values():
            if isinstance(each, type) and each.__module__ == name:
                found.append(pytest.param(each, getattr(full, each.__name__), id=each.NAME))
    return found


def fill(message: Full, source: random.Random, depth: int = 0) -> None:
    scalars = {
        FieldDescriptor.TYPE_STRING: lambda: source.choice(["a", "äöü ✓", "x" * 300]),
        FieldDescriptor.TYPE_BYTES: lambda: source.randbytes(source.choice([1, 200])),
        FieldDescriptor.TYPE_BOOL: lambda: True,
        FieldDescriptor.TYPE_UINT32: lambda: source.choice([1, 127, 128, (1 << 32) - 1]),
        FieldDescriptor.TYPE_UINT64: lambda: source.choice([1, 16384, (1 << 64) - 1]),
        FieldDescriptor.TYPE_INT32: lambda: source.choice([1, -1, -(1 << 31)]),
        FieldDescriptor.TYPE_INT64: lambda: source.choice([1, -1, -(1 << 63)]),
        FieldDescriptor.TYPE_DOUBLE: lambda: 0.25,
        FieldDescriptor.TYPE_ENUM: lambda: 1,
    }
    for field in message.DESCRIPTOR.fields:
        value: Any = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value["key"] = "value"
        elif field.message_type is not None:
            if depth < 4:
                fill(value.add() if field.is_repeated else value, source, depth + 1)
        elif field.is_repeated:
            value.extend(scalars[field.type]() for _ in range(3))
        else:
            setattr(message, field.name, scalars[field.type]())


@pytest.mark.parametrize(("light", "full"), pairs())
def test_a_filled_message_has_the_same_bytes_both_ways(light: Any, full: Any) -> None:
    source = random.Random(light.NAME)
    for _ in range(5):
        message = full()
        fill(message, source)
        data = message.SerializeToString(deterministic=True)
        assert full.DESCRIPTOR.full_name == light.NAME
        assert light.FromString(data).SerializeToString() == data
        assert light.FromString(b"") == light()
        assert full.FromString(light.FromString(data).SerializeToString()) == message


def test_defaults_are_not_written_and_read_as_defaults() -> None:
    request = shim_msg.CreateTaskRequest(id="", terminal=False, rootfs=[])
    assert request.SerializeToString() == b""
    assert (request.id, request.terminal, request.rootfs) == ("", False, [])
    assert not request.HasField("options")


def test_unknown_fields_and_other_wire_types_are_skipped() -> None:
    unknown = b"\xa0\x1f\x01" + b"\xaa\x1f\x03abc" + b"\xad\x1f1234" + b"\xa9\x1f12345678"
    other_type = b"\x08\x05"  # field 1 of Mount is a string
    data = unknown + other_type + Mount(source="s", options=["ro"]).SerializeToString()
    assert Mount.FromString(data) == Mount(source="s", options=["ro"])


def test_a_repeated_message_field_merges_as_protobuf_says() -> None:
    first = shim_pb2.CreateTaskRequest(id="a")
    first.options.type_url = "u"
    second = shim_pb2.CreateTaskRequest(id="b")
    second.options.value = b"v"
    data = first.SerializeToString() + second.SerializeToString()
    found = shim_msg.CreateTaskRequest.FromString(data)
    assert (found.id, found.options.type_url, found.options.value) == ("b", "u", b"v")


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",  # a length is missing
        b"\x0a\x05ab",  # less than it says
        b"\x0a\x02\xff\xfe",  # not UTF-8
        b"\x0b",  # a group
        b"\x00\x01",  # field 0
        b"\x08" + b"\xff" * 11,  # a varint without end
        b"\x1a\x02\x0a\x05",  # broken inside a message
    ],
)
def test_malformed_bytes_raise_decode_error(data: bytes) -> None:
    with pytest.raises(codec.DecodeError):
        shim_msg.CreateTaskRequest.FromString(data)


def test_random_bytes_raise_nothing_else() -> None:
    source = random.Random(7)
    for _ in range(3000):
        data = source.randbytes(source.randrange(40))
        try:
            shim_msg.CreateTaskRequest.FromString(data)
            ErrorInfo.FromString(data)
        except codec.DecodeError:
            continue
