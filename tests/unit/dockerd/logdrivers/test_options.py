"""Log options, refused in moby's words."""

from __future__ import annotations

import pytest

from dockerd.logdrivers import options, syslog
from dockerd.logdrivers.options import JSON_FILE, LOCAL, Files
from wire.errors import InvalidArgument


@pytest.mark.parametrize(
    ("driver", "given", "words"),
    [
        ("json-file", {"x": "1"}, "unknown log opt 'x' for json-file log driver"),
        ("local", {"x": "1"}, "unknown log opt 'x' for log driver local"),
        ("syslog", {"x": "1"}, "unknown log opt 'x' for syslog log driver"),
        ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
        ("splunk", {}, "logger: no log driver named 'splunk' is registered"),
        ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
        (
            "json-file",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            "json-file",
            {"mode": "non-blocking", "max-buffer-size": "much"},
            "error parsing option max-buffer-size: invalid size: 'much'",
        ),
        ("syslog", {"cache-disabled": "so"}, "invalid value for option cache-disabled: so"),
        ("json-file", {"max-size": "big"}, "invalid size: 'big'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        (
            "json-file",
            {"compress": "true"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", {"compress": "y"}, 'strconv.ParseBool: parsing "y": invalid syntax'),
        ("local", {"max-size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
        ("local", {"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
        ("syslog", {"syslog-address": "corba://x"}, "unsupported scheme: 'corba'"),
        (
            "syslog",
            {"syslog-address": "unix:///no/such"},
            "stat /no/such: no such file or directory",
        ),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "x"}, "Invalid syslog format"),
    ],
)
def test_refused(driver: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        options.validate(driver, given)
    assert caught.value.message == words


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="error parsing regexp"):
        options.validate("local", {"labels-regex": "("})


def test_accepted() -> None:
    common = {"tag": "{{.Name}}", "labels": "a,b", "env-regex": "^A", "mode": "non-blocking"}
    options.validate("none", {"anything": "goes"})
    options.validate("json-file", {**common, "max-size": "10m", "max-file": "3", "compress": "1"})
    options.validate("local", {**common, "compress": "false", "max-file": "1"})
    options.validate("journald", {**common, "cache-disabled": "true", "cache-max-size": "1m"})
    options.validate(
        "syslog", {**common, "syslog-address": "udp://localhost", "syslog-facility": "local7"}
    )


def test_sizes() -> None:
    assert options.size("1.5g") == 3 << 29
    assert options.files({"max-size": "10m"}, JSON_FILE) == Files(10_000_000, 1, compress=False)
    assert options.files({}, LOCAL) == Files(20 << 20, 5, compress=True)


def test_syslog_targets() -> None:
    given = {
        "syslog-address": "tcp+tls://[::1]",
        "syslog-tls-skip-verify": "x",
        "syslog-facility": "user",
    }
    path, values = syslog.target(given, "me")
    assert path == ""
    assert values | {"network": "tcp+tls", "host": "::1", "port": 514, "facility": 1} == values
    assert values["skip-verify"] == 1
