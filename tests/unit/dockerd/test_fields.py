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
        ("DeviceRequests", [{"Capabilities": ["gpu"]}]),
        ("BlkioDeviceReadBps", [{"Path": "/dev/a", "Rate": 1.5}]),
        ("PortBindings", {"80/tcp": [{"HostPort": 80}], "81/tcp": None}),
    ],
)
def test_what_is_inside_of_fields_is_checked(field: str, value: Any) -> None:
    for check in (lambda host: fields.check({}, host), fields.check_host):
        with pytest.raises(InvalidArgument, match=f"into Go struct field {field}"):
            check({field: value})
    fields.check({"Healthcheck": None}, {field: None})


@pytest.mark.parametrize(
    ("struct", "options"),
    [
        ("BindOptions", {"BindOptions": {"NonRecursive": "yes"}}),
        ("VolumeOptions", {"VolumeOptions": {"Labels": ["a"]}}),
        ("DriverConfig", {"VolumeOptions": {"DriverConfig": {"Options": {"o": 7}}}}),
        ("TmpfsOptions", {"TmpfsOptions": {"Options": [["exec"], "noexec"]}}),
        ("ImageOptions", {"ImageOptions": {"Subpath": 7}}),
    ],
)
def test_the_options_of_mounts_are_checked(struct: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=f"into Go struct field {struct}"):
        fields.check({}, {"Mounts": [{"Target": "/x"}, options]})


def test_requests_of_networks_and_execs_are_checked() -> None:
    for check, document in (
        (fields.check_connect, {"Container": 7}),
        (fields.check_connect, {"EndpointConfig": {"GwPriority": "1"}}),
        (fields.check_connect, {"EndpointConfig": {"IPAddress": 7}}),
        (fields.check_disconnect, {"Force": "yes"}),
        (fields.check_exec_start, {"Detach": 1}),
    ):
        with pytest.raises(InvalidArgument, match="cannot unmarshal"):
            check(document)


@pytest.mark.parametrize("size", [[1], [1, 2, 3], [-1, 2], [1, 1 << 16]])
def test_a_console_has_rows_and_columns(size: list[int]) -> None:
    for check in (fields.check_exec, fields.check_exec_start, fields.check_host):
        with pytest.raises(InvalidArgument, match="ConsoleSize"):
            check({"ConsoleSize": size})


def test_health_checks_are_checked() -> None:
    with pytest.raises(InvalidArgument, match="Healthcheck"):
        fields.check({"Healthcheck": {"Test": "curl"}}, {})


@pytest.mark.parametrize(
    "other", ["privileged", "PRIVILEGED", "Priv\u0131leged", "Privi\u017feged"]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_field_that_has_two_names(other: str, first: bool) -> None:
    """Go takes the last one, whatever its case: an authorization plugin would see something else than we do."""
    pairs = [("Privileged", True), (other, False)]
    document = dict(pairs if first else reversed(pairs))
    if other.lower() == "privileged":
        with pytest.raises(InvalidArgument, match="duplicate field"):
            fields.check({}, document)
    else:
        fields.check({}, document)
        assert document["Privileged"] is True


def test_letters_that_go_folds() -> None:
    document = {
        "Hos\u017fConfig": 1,
        "\u212aernelMemory": 5,
        "Cap\u017fadd": 1,
        "Sy\u017fctls": {"a": "b"},
    }
    fields.check({}, document)
    assert document["KernelMemory"] == 5
    assert document["Sysctls"] == {"a": "b"}
    with pytest.raises(InvalidArgument, match="duplicate field"):
        fields.check({}, {"Sysctls": {}, "sy\u017fctls": {}})


@pytest.mark.parametrize(
    ("document", "struct"),
    [
        ({"HostConfig": {"Sysctls": [None, None]}}, "HostConfig.Sysctls"),
        ({"hostconfig": {"Mounts": {}}}, "HostConfig.Mounts"),
        ({"Healthcheck": 7}, "Config.Healthcheck"),
        ({"NetworkingConfig": []}, "CreateRequest.NetworkingConfig"),
    ],
)
def test_every_part_of_a_create_request_is_checked(document: dict[str, Any], struct: str) -> None:
    """Older versions' requests are rewritten right after."""
    with pytest.raises(InvalidArgument, match=f"into Go struct field {struct}"):
        fields.check_request(document)
