"""What the shim's messages need besides their fields: Any and Timestamp."""

from __future__ import annotations

from wire.gen.google.protobuf.any_msg import Any
from wire.gen.google.protobuf.timestamp_msg import Timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wire.codec import Message


def pack(message: Message) -> Any:
    """``message`` inside an Any; as containerd writes it, the URL is the bare message name."""
    return Any(type_url=message.NAME, value=message.SerializeToString())


def name(packed: Any) -> str:
    """The message name of an Any, with or without a host prefix in its URL."""
    return packed.type_url.removeprefix("type.googleapis.com/")


def timestamp(nanoseconds: int) -> Timestamp:
    """A moment in nanoseconds since 1970 as a Timestamp."""
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)
