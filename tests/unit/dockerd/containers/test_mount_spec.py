"""Mounts as clients write them."""

from __future__ import annotations

import pytest

from dockerd.containers.mount_spec import parse_bind, parse_volumes_from, valid_mode
from wire.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "kind", "source", "destination", "writable", "propagation", "copy"),
    [
        ("/a:/b", "bind", "/a", "/b", True, "rprivate", True),
        ("/a/../c:/b/:ro", "bind", "/c", "/b", False, "rprivate", True),
        ("/a:/b:ro,rshared,z", "bind", "/a", "/b", False, "rshared", True),
        ("name:/b", "volume", "name", "/b", True, "", True),
        ("name:/b:nocopy", "volume", "name", "/b", True, "", False),
        ("/b", "volume", "", "/b", True, "", True),
    ],
)
def test_bind(
    text: str,
    kind: str,
    source: str,
    destination: str,
    writable: bool,
    propagation: str,
    copy: bool,
) -> None:
    spec = parse_bind(text, "")
    assert (spec.kind, spec.source, spec.destination) == (kind, source, destination)
    assert (spec.writable, spec.propagation, spec.copy) == (writable, propagation, copy)


@pytest.mark.parametrize(
    "text", ["", ":", ":/b", "/a:ro", "/a:/b:ro:x", "/a:b", "/a:/", "n:/b:rshared"]
)
def test_bad_bind(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_bind(text, "")


@pytest.mark.parametrize(
    ("mode", "valid"),
    [("", True), ("ro", True), ("ro,z,rslave,nocopy", True), ("ro,rw", False), ("z,Z", False), ("x", False), ("ro,", False)],
)  # fmt: skip
def test_modes(mode: str, valid: bool) -> None:
    assert valid_mode(mode) is valid


def test_volumes_from() -> None:
    assert parse_volumes_from("c") == ("c", True)
    assert parse_volumes_from("c:ro") == ("c", False)
    for text in ("", "c:nocopy", "c:rshared", "c:x"):
        with pytest.raises(InvalidArgument):
            parse_volumes_from(text)
