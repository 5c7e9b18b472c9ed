"""google.protobuf.Any as containerd writes it: the type URL is the bare message name, with no host prefix."""

from __future__ import annotations

import importlib
import json
from typing import Any as Json
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from wire.errors import InvalidArgument, NotFound

SPEC_URL: Final = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
PROCESS_URL: Final = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES_URL: Final = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"

# Importing a module registers its messages; a type that arrives before its module was imported is found through this.
# Upstream declares the image events in the image service's package.
_EVENT_PACKAGES: Final = ("containerd.events.", "containerd.services.images.v1.Image")
_EVENT_FILES: Final = ("container", "content", "image", "namespace", "sandbox", "snapshot", "task")


def pack(message: Message) -> Any:
    """``message`` inside an Any."""
    return Any(type_url=message.DESCRIPTOR.full_name, value=message.SerializeToString())


def pack_json(url: str, value: Json) -> Any:
    """A JSON value inside an Any, as OCI specs travel."""
    return Any(type_url=url, value=json.dumps(value, separators=(",", ":")).encode())


def name(packed: Any) -> str:
    """The message name of an Any, with or without a host prefix in its URL."""
    url: str = packed.type_url
    return url.removeprefix("type.googleapis.com/")


def unpack(packed: Any) -> Message:
    """The message inside an Any.

    Raises NotFound for a type that is not ours and InvalidArgument for bytes that do not parse.
    """
    full_name = name(packed)
    pool = descriptor_pool.Default()
    try:
        descriptor = pool.FindMessageTypeByName(full_name)
    except KeyError:
        if not full_name.startswith(_EVENT_PACKAGES):
            raise NotFound(f'type with url "{packed.type_url}": not found') from None
        for file in _EVENT_FILES:
            importlib.import_module(f"wire.gen.containerd.events.{file}_pb2")
        try:
            descriptor = pool.FindMessageTypeByName(full_name)
        except KeyError:
            raise NotFound(f'type with url "{packed.type_url}": not found') from None
    message: Message = GetMessageClass(descriptor)()
    try:
        message.ParseFromString(packed.value)
    except DecodeError as error:
        raise InvalidArgument(f"{full_name} is malformed: {error}") from error
    return message


def unpack_json(packed: Any) -> Json:
    """The JSON value inside an Any; raises InvalidArgument if it is none."""
    try:
        return json.loads(packed.value)
    except ValueError as error:
        raise InvalidArgument(f"{packed.type_url} is not JSON: {error}") from error
