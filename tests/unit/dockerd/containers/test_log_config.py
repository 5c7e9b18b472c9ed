"""What dockerd tells a shim about a container's log, as the shim understands it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dockerd.config import Config
from dockerd.containers import defaults, log_config
from dockerd.containers.model import Container
from shim.stdio import uri
from wire.errors import EngineError


def container(driver: str, options: dict[str, str]) -> Container:
    config: dict[str, Any] = {"Labels": {"app": "a&b=c", "x": "é"}, "Env": ["A=1", "B"]}
    return Container(
        container_id="c" * 64,
        name="web",
        created="",
        image="sha256:" + "d" * 64,
        image_name="img:1",
        top="",
        config=config,
        host={"LogConfig": {"Type": driver, "Config": options}},
        networking={},
        path="sh",
        args=["-c", "x"],
        directory="/box dir",
    )


def told(driver: str, options: dict[str, str], journal: str = "") -> uri.Target:
    return uri.parse(log_config.output_uri(container(driver, options), "/run/a b", journal))


def test_json_file() -> None:
    options = {
        "max-size": "10k",
        "max-file": "3",
        "compress": "true",
        "labels": "app,x",
        "env": "A",
    }
    target = told("json-file", options)
    assert target.path == f"/box dir/{'c' * 64}-json.log"
    assert target.attach == "/run/a b"
    assert (target.number("max-size", 0), target.number("max-file", 1)) == (10000, 3)
    assert target.flag("compress")
    assert json.loads(target.values["attrs"]) == {"app": "a&b=c", "x": "é", "A": "1"}
    assert "attrs" not in told("json-file", {}).values


def test_local_has_dockers_defaults() -> None:
    target = told("local", {"tag": "{{.Name}}"})
    assert target.path == "/box dir/local-logs/container.log"
    assert (target.number("max-size", 0), target.number("max-file", 1)) == (20 << 20, 5)
    assert target.flag("compress")
    assert json.loads(target.values["attrs"]) == {"tag": "web"}


def test_journald(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="journald is not enabled on this host"):
        told("journald", {}, str(tmp_path / "none"))
    target = told("journald", {"labels": "app", "cache-max-size": "1k"}, str(tmp_path))
    assert target.path == str(tmp_path)
    assert json.loads(target.values["fields"]) == {
        "CONTAINER_ID": "c" * 12,
        "CONTAINER_ID_FULL": "c" * 64,
        "CONTAINER_NAME": "web",
        "CONTAINER_TAG": "c" * 12,
        "IMAGE_NAME": "img:1",
        "SYSLOG_IDENTIFIER": "c" * 12,
        "APP": "a&b=c",
    }
    assert target.values["cache"] == "/box dir/container-cached.log"
    assert target.number("cache-max-size", 0) == 1000


def test_syslog() -> None:
    options = {
        "syslog-address": "tcp+tls://logs.example:6514", "syslog-tls-ca-cert": "/ca", "syslog-facility": "mail",
        "syslog-format": "rfc5424", "tag": "t", "mode": "non-blocking", "max-buffer-size": "2m", "cache-disabled": "1",
    }  # fmt: skip
    values = told("syslog", options).values
    wanted = {
        "network": "tcp+tls", "host": "logs.example", "port": "6514", "ca": "/ca", "facility": "2", "format": "rfc5424",
        "tag": "t", "mode": "non-blocking", "max-buffer-size": str(2 << 20),
    }  # fmt: skip
    assert wanted.items() <= values.items()
    assert "cache" not in values
    assert log_config.readable(container("syslog", options)) is None
    assert log_config.readable(container("syslog", {})) is not None
    assert log_config.readable(container("none", {})) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("syslog", {"tag": "d", "cache-disabled": "true"})),
        ({"Type": "syslog", "Config": {"tag": "own"}}, ("syslog", {"tag": "own", "cache-disabled": "true"})),
        ({"Type": "journald"}, ("journald", {"cache-disabled": "true"})),
    ],
)  # fmt: skip
def test_the_daemons_defaults(given: dict[str, Any], expected: tuple[str, Any]) -> None:
    config = Config(
        data_root="",
        exec_root="",
        hosts=(),
        containerd="",
        log_driver="syslog",
        log_options={"tag": "d", "cache-disabled": "true"},
    )
    host = {"LogConfig": given}
    defaults.apply_log(host, config)
    assert (host["LogConfig"]["Type"], host["LogConfig"]["Config"]) == expected
