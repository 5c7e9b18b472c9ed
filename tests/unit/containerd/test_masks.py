"""Field masks on labels."""

from __future__ import annotations

import pytest

from containerd.services.masks import change_map, label_changes
from wire.errors import InvalidArgument


def test_no_path_and_the_whole_map_replace() -> None:
    assert label_changes([], {"a": "1"}, "x") == ({"a": "1"}, True)
    assert label_changes(["labels"], {"a": "1"}, "x") == ({"a": "1"}, True)


def test_single_keys_change_only_themselves() -> None:
    changes, replace = label_changes(["labels.a.b", "labels.gone"], {"a.b": "1", "c": "2"}, "x")
    assert (changes, replace) == ({"a.b": "1", "gone": ""}, False)


def test_other_paths_are_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match='cannot update "size" field on blob'):
        label_changes(["size"], {}, "blob")


def test_maps_change_in_place() -> None:
    known = {"a": "1", "b": "2"}
    change_map(known, {"b": "3"}, "b")
    assert known == {"a": "1", "b": "3"}
    change_map(known, {}, "a")
    assert known == {"b": "3"}
    change_map(known, {"c": "4", "d": ""}, "")
    assert known == {"c": "4"}
