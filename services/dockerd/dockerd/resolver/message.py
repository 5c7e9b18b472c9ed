"""DNS messages (RFC 1035), as far as a stub needs them: one question in, addresses and names out."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

A: Final = 1
PTR: Final = 12
AAAA: Final = 28
IN: Final = 1
OK: Final = 0
FORMAT_ERROR: Final = 1
SERVER_FAILURE: Final = 2
NO_NAME: Final = 3
NOT_IMPLEMENTED: Final = 4
LARGEST_UDP: Final = 512
_HEADER: Final = struct.Struct("!HHHHHH")
_RESPONSE: Final = 0x8000
_RECURSION_DESIRED: Final = 0x0100
_RECURSION_AVAILABLE: Final = 0x0080
_TRUNCATED: Final = 0x0200
_OPCODE: Final = 0x7800
_LONGEST_NAME: Final = 255
_LONGEST_LABEL: Final = 63
_TTL: Final = 600
_REVERSE: Final = ".in-addr.arpa"
_REVERSE_6: Final = ".ip6.arpa"
_NIBBLES: Final = 32
# A pointer to the question's name, which always begins behind the header.
_QUESTION_NAME: Final = b"\xc0\x0c"


class Malformed(ValueError):
    """Bytes that are no DNS query."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query: its id, flags, question in parts and as bytes; the name is lower case, without a dot at its end."""

    number: int
    flags: int
    name: str
    kind: int
    dns_class: int
    question: bytes

    @property
    def address(self) -> str:
        """The address that a PTR question is about; empty for any other."""
        if self.kind == PTR and self.name.endswith(_REVERSE):
            return ".".join(reversed(self.name.removesuffix(_REVERSE).split(".")))
        nibbles = self.name.removesuffix(_REVERSE_6).split(".")
        if self.kind == PTR and self.name.endswith(_REVERSE_6) and len(nibbles) == _NIBBLES:
            with contextlib.suppress(ValueError):
                return str(IPv6Address(bytes.fromhex("".join(reversed(nibbles)))))
        return ""


def parse(data: bytes) -> Query:
    """Raises Malformed."""
    if len(data) < _HEADER.size:
        raise Malformed("shorter than a header")
    number, flags, questions, *_ = _HEADER.unpack_from(data)
    if flags & _RESPONSE or flags & _OPCODE or questions != 1:
        raise Malformed("not a standard query")
    labels: list[str] = []
    at = _HEADER.size
    while True:
        if at >= len(data):
            raise Malformed("name without an end")
        length = data[at]
        if length > _LONGEST_LABEL:
            raise Malformed("label too long, or compressed")
        at += 1
        if not length:
            break
        labels.append(data[at : at + length].decode("latin-1").lower())
        at += length
        if at - _HEADER.size > _LONGEST_NAME:
            raise Malformed("name too long")
    if at + 4 > len(data):
        raise Malformed("question without a type")
    kind, dns_class = struct.unpack_from("!HH", data, at)
    return Query(number, flags, ".".join(labels), kind, dns_class, data[_HEADER.size : at + 4])


def answer(query: Query, code: int, records: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """A response with records of (type, data) for the question's name."""
    flags = _RESPONSE | query.flags & _RECURSION_DESIRED | _RECURSION_AVAILABLE | code
    head = _HEADER.pack(query.number, flags, 1, len(records), 0, 0)
    body = b"".join(
        _QUESTION_NAME + struct.pack("!HHIH", kind, IN, _TTL, len(data)) + data
        for kind, data in records
    )
    return head + query.question + body


def truncated(query: Query) -> bytes:
    """A response that tells the client to come back by TCP."""
    flags = _RESPONSE | _TRUNCATED | query.flags & _RECURSION_DESIRED | _RECURSION_AVAILABLE
    return _HEADER.pack(query.number, flags, 1, 0, 0, 0) + query.question


def address_record(address: str) -> tuple[int, bytes]:
    """An A or AAAA record."""
    parsed = ip_address(address)
    return A if parsed.version == 4 else AAAA, parsed.packed


def pointer_record(name: str) -> tuple[int, bytes]:
    """A PTR record."""
    labels = [label.encode("latin-1", "replace")[:_LONGEST_LABEL] for label in name.split(".")]
    return PTR, b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def answers(data: bytes, number: int, question: bytes) -> bool:
    """Whether bytes from a server are the response to a question that we sent under this number."""
    if len(data) < _HEADER.size + len(question):
        return False
    found, flags, *_ = _HEADER.unpack_from(data)
    same = data[_HEADER.size : _HEADER.size + len(question)].lower() == question.lower()
    return found == number and bool(flags & _RESPONSE) and same


def renumbered(data: bytes, number: int) -> bytes:
    """The same message under another id."""
    return struct.pack("!H", number) + data[2:]
