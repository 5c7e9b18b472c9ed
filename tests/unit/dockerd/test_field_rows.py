"""No field of a request is without a row that says what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from tests.support import field_rows as rows

from dockerd.containers import fields
from dockerd.networks import creation
from dockerd.volumes.service import CREATE as VOLUME

_CONTAINERS = (*rows.CONFIG_ROWS, *rows.HOST_ROWS, *rows.LEGACY_ROWS, *rows.MOUNT_ROWS)
_INSIDE = {**fields.NESTED, "IPAMConfig": fields.ADDRESSES, "IPAM": creation.IPAM}


def _covered(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The fields of the objects in a value, with the name of the field that has them."""
    if name == "PortBindings":
        for some in value.values():
            yield from _of(name, some)
    elif name in _INSIDE:
        yield from _of(name, value if isinstance(value, list) else [value])


def _of(name: str, objects: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for each in objects:
        for key, value in each.items():
            yield name, key
            yield from _covered(key, value)


@pytest.mark.parametrize(
    ("table", "listed"),
    [
        (fields.CONFIG, [each for each in _CONTAINERS if each.path.startswith("Config.")]),
        (fields.HOST, [each for each in _CONTAINERS if each.path.startswith("HostConfig.")]),
        (fields.ENDPOINT, rows.ENDPOINT_ROWS),
        (creation.REQUEST, rows.NETWORK_ROWS),
        (VOLUME, rows.VOLUME_ROWS),
        (fields.EXEC, rows.EXEC_ROWS),
    ],
    ids=["Config", "HostConfig", "EndpointSettings", "Network", "Volume", "Exec"],
)
def test_every_field_has_a_row(table: Mapping[str, str], listed: Iterable[rows.Field]) -> None:
    assert {each.path.rpartition(".")[2] for each in listed} == set(table)


def test_every_field_inside_of_others_has_a_row() -> None:
    every = (*_CONTAINERS, *rows.ENDPOINT_ROWS, *rows.NETWORK_ROWS)
    found = {pair for each in every for pair in _covered(each.path.rpartition(".")[2], each.value)}
    assert found >= {(name, key) for name, inside in _INSIDE.items() for key in inside}
