"""Protocol buffers without the protobuf library, for the shim: each container pays for what its shim has in memory.

``proto/generate.py`` writes a ``*_msg.py`` beside each ``*_pb2.py`` that the shim needs: plain classes on top of
``Message`` here, each with the table of its fields. The wire format is protocol-buffers' encoding with proto3's rules:
defaults are not written, unknown fields are skipped. Method names are protobuf's, so that either kind of message
serves ``wire.ttrpc``.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Final, Self

STRING: Final = 1
BYTES: Final = 2
BOOL: Final = 3
UNSIGNED: Final = 4
SIGNED32: Final = 5
SIGNED64: Final = 6
DOUBLE: Final = 7
MESSAGE: Final = 8
ENUM: Final = 9
# A map<string, string>; other maps do not occur in the shim's messages.
STRING_MAP: Final = 10

_VARINT: Final = 0
_FIXED64: Final = 1
_LENGTH: Final = 2
_FIXED32: Final = 5
_WIRE_TYPE: Final = {
    STRING: _LENGTH, BYTES: _LENGTH, MESSAGE: _LENGTH, STRING_MAP: _LENGTH, BOOL: _VARINT,
    UNSIGNED: _VARINT, SIGNED32: _VARINT, SIGNED64: _VARINT, ENUM: _VARINT, DOUBLE: _FIXED64,
}  # fmt: skip
_DOUBLE: Final = struct.Struct("<d")
_LONGEST_VARINT: Final = 10
_MASK: Final = (1 << 64) - 1


class DecodeError(Exception):
    """The bytes are not a message of this type."""


class Message:
    """One message. ``FIELDS`` maps a field's number to (name, kind, repeated, message class or None).

    Scalars that were not set read as the class's defaults; messages, lists and maps come into being when they are first read.
    """

    NAME: ClassVar[str] = ""
    FIELDS: ClassVar[dict[int, tuple[str, int, bool, Any]]] = {}

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            if value is not None:
                setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for field, kind, repeated, inner in self.FIELDS.values():
            if field == name:
                value: Any = [] if repeated else {} if kind == STRING_MAP else inner()
                self.__dict__[name] = value
                return value
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and (other.SerializeToString() == self.SerializeToString())

    __hash__ = None  # type: ignore[assignment]

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Whether a message field was set or received."""
        return name in self.__dict__

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """The message on the wire, fields in the order of their numbers."""
        out = bytearray()
        values = self.__dict__
        for number, (name, kind, repeated, _) in self.FIELDS.items():
            if name not in values:
                continue
            value = values[name]
            if kind == STRING_MAP:
                for key, text in value.items():
                    entry = _tagged(1, STRING, key) + _tagged(2, STRING, text)
                    out += _tagged(number, BYTES, entry)
            elif not repeated:
                if value or kind == MESSAGE:
                    out += _tagged(number, kind, value)
            elif kind in (STRING, BYTES, MESSAGE):
                for each in value:
                    out += _tagged(number, kind, each)
            elif value:
                packed = b"".join([_scalar(kind, each) for each in value])
                out += _tagged(number, BYTES, packed)
        return bytes(out)

    @classmethod
    def FromString(cls, data: bytes) -> Self:  # noqa: N802 - protobuf's name
        """The message in ``data``; raises DecodeError."""
        message = cls()
        try:
            _merge(message, data)
        except (IndexError, UnicodeDecodeError, struct.error):
            raise DecodeError(f"{cls.NAME} is malformed") from None
        return message


def _varint(value: int) -> bytes:
    value &= _MASK
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _scalar(kind: int, value: Any) -> bytes:
    return _DOUBLE.pack(value) if kind == DOUBLE else _varint(int(value))


def _tagged(number: int, kind: int, value: Any) -> bytes:
    tag = _varint(number << 3 | _WIRE_TYPE[kind])
    if kind == STRING:
        value = value.encode()
    elif kind == MESSAGE:
        value = value.SerializeToString()
    elif kind != BYTES:
        return tag + _scalar(kind, value)
    data: bytes = value
    return tag + _varint(len(data)) + data


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    for shift in range(1, _LONGEST_VARINT):
        byte = data[at + shift]
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value & _MASK, at + shift + 1
    raise IndexError


def _merge(message: Message, data: bytes) -> None:
    at, end = 0, len(data)
    fields = message.FIELDS
    while at < end:
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        value: Any
        if wire_type == _VARINT:
            value, at = _read_varint(data, at)
        elif wire_type == _LENGTH:
            size, at = _read_varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire_type == _FIXED64:
            value, at = data[at : at + 8], at + 8
        elif wire_type == _FIXED32:
            value, at = data[at : at + 4], at + 4
        else:
            raise IndexError
        if at > end or number == 0:
            raise IndexError
        field = fields.get(number)
        if field is not None:
            _set(message, field, wire_type, value)


def _set(message: Message, field: tuple[str, int, bool, Any], wire_type: int, value: Any) -> None:
    name, kind, repeated, inner = field
    expected = _WIRE_TYPE[kind]
    if wire_type != expected:
        if not (repeated and wire_type == _LENGTH):
            # Another type under a known number counts as an unknown field.
            return
        getattr(message, name).extend(_unpacked(kind, expected, value))
        return
    if kind == MESSAGE:
        made = inner() if repeated else getattr(message, name)
        _merge(made, value)
        if repeated:
            getattr(message, name).append(made)
        return
    if kind == STRING_MAP:
        entry = _Entry()
        _merge(entry, value)
        getattr(message, name)[entry.key] = entry.value
        return
    value = _native(kind, value)
    if repeated:
        getattr(message, name).append(value)
    else:
        setattr(message, name, value)


def _unpacked(kind: int, wire_type: int, data: bytes) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(data):
        raw: Any
        if wire_type == _VARINT:
            raw, at = _read_varint(data, at)
        else:
            raw, at = data[at : at + 8], at + 8
        found.append(_native(kind, raw))
    return found


def _native(kind: int, value: Any) -> Any:
    if kind == STRING:
        return value.decode()
    if kind == BOOL:
        return bool(value)
    if kind == DOUBLE:
        return _DOUBLE.unpack(value)[0]
    if kind in (SIGNED32, SIGNED64, ENUM) and value >> 63:
        return value - (1 << 64)
    return value


class _Entry(Message):
    FIELDS = {1: ("key", STRING, False, None), 2: ("value", STRING, False, None)}
    key: str = ""
    value: str = ""
