"""The types of what clients send."""

from __future__ import annotations

from typing import Any

import pytest

from dockerd.fields import check_fields
from wire.errors import InvalidArgument


def test_null_in_a_map_of_strings_is_the_empty_string() -> None:
    document: dict[str, Any] = {"Labels": {"a": None, "b": "c"}, "Name": None}
    check_fields("CreateOptions", {"Labels": "map of strings", "Name": "string"}, document)
    assert document == {"Labels": {"a": "", "b": "c"}, "Name": None}


def test_other_types_are_named() -> None:
    with pytest.raises(InvalidArgument, match="cannot unmarshal number into Go struct field X"):
        check_fields("X", {"Labels": "map of strings"}, {"Labels": 7})
    with pytest.raises(InvalidArgument, match="of type map of strings"):
        check_fields("X", {"Labels": "map of strings"}, {"Labels": {"a": 7}})
