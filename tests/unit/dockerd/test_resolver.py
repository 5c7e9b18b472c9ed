"""The resolver's messages and records."""

from __future__ import annotations

import struct

import pytest

from dockerd.resolver import message
from dockerd.resolver.message import Malformed
from dockerd.resolver.records import Records


def query(name: str, kind: int = message.A, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    return (
        struct.pack("!HHHHHH", 7, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    )


def test_query_is_understood() -> None:
    found = message.parse(query("One.Two"))
    assert (found.number, found.name, found.kind) == (7, "one.two", message.A)
    assert message.parse(query("4.3.2.1.in-addr.arpa", message.PTR)).address == "1.2.3.4"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 11,
        query("a")[:-1],
        query("a")[:14],
        query("a", flags=0x8000),
        query("a", flags=0x1000),
        struct.pack("!HHHHHH", 1, 0, 2, 0, 0, 0) + b"\0\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        query(".".join(["x" * 60] * 5)),
    ],
)
def test_what_is_no_query_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        message.parse(data)


def test_answer_has_the_question_and_the_addresses() -> None:
    found = message.parse(query("one"))
    data = message.answer(found, message.OK, [message.address_record("1.2.3.4")])
    number, flags, questions, answers, *_ = struct.unpack_from("!HHHHHH", data)
    assert (number, flags & 0x8000, flags & 0xF, questions, answers) == (7, 0x8000, 0, 1, 1)
    assert data.endswith(b"\0\4\1\2\3\4")
    assert message.answers(data, 7, found.question)
    assert not message.answers(data, 8, found.question)
    assert not message.answers(message.answer(message.parse(query("two")), 0), 7, found.question)


def test_a_container_sees_its_own_networks() -> None:
    records = Records()
    for network, address in (("n1", "1.1.1.1"), ("n2", "2.2.2.2")):
        records.set_network(
            {
                "network": network,
                "names": {"same": [address]},
                "addresses": {address: f"same.{network}"},
            }
        )
    records.set_view(
        {"sandbox": "s", "networks": ["n2"], "links": {"alias": "same"}, "servers": ["9.9.9.9"]}
    )
    assert records.addresses("s", "same") == ["2.2.2.2"]
    assert records.addresses("s", "alias") == ["2.2.2.2"]
    assert records.addresses("s", "other") is None
    assert records.name("s", "2.2.2.2") == "same.n2"
    assert records.name("s", "1.1.1.1") is None
    assert records.addresses("unknown", "same") is None
    records.forget_network("n2")
    assert records.addresses("s", "same") is None
