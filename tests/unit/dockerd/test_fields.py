"""The types of what clients send."""

from __future__ import annotations

from typing import Any

import pytest

from dockerd.containers import fields
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("RestartPolicy", {"Name": [None]}),
        ("RestartPolicy", {"MaximumRetryCount": "many"}),
        ("LogConfig", {"Type": {}}),
        ("LogConfig", {"Config": {"max-size": 7}}),
        ("Ulimits", [{"Name": "nofile", "Soft": "1"}]),
        ("Mounts", [{}, {"Target": ["/a"]}]),
        ("Devices", [{"PathOnHost": 1}]),
        ("DeviceRequests", [{"DeviceIDs": "0"}]),
        ("BlkioDeviceReadBps", [{"Path": "/dev/a", "Rate": 1.5}]),
        ("PortBindings", {"80/tcp": [{"HostPort": 80}], "81/tcp": None}),
    ],
)
def test_what_is_inside_of_fields_is_checked(field: str, value: Any) -> None:
    for check in (lambda host: fields.check({}, host), fields.check_host):
        with pytest.raises(InvalidArgument, match=f"into Go struct field {field}"):
            check({field: value})
    fields.check({"Healthcheck": None}, {field: None})


def test_health_checks_are_checked() -> None:
    with pytest.raises(InvalidArgument, match="Healthcheck"):
        fields.check({"Healthcheck": {"Test": "curl"}}, {})
