"""Messages of shim/events/v1/events.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.containerd.types.event_msg import *
from wire.gen.google.protobuf.empty_msg import *


class ForwardRequest(Message):
    NAME = "containerd.services.events.ttrpc.v1.ForwardRequest"
    FIELDS = {
        1: ("envelope", MESSAGE, False, Envelope),
    }
    envelope: Envelope
