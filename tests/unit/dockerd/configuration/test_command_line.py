"""The command line, by the rules of the original's flags."""

from __future__ import annotations

import pytest

from dockerd.configuration import command_line
from dockerd.configuration.command_line import parse
from wire.errors import InvalidArgument


def test_forms_of_flags() -> None:
    line = parse(
        ["-D", "--icc=false", "-H", "fd://", "-Hunix:///a", "--host=tcp://b:1", "--mtu", "1400"]
    )
    assert line.given == {
        "debug": True,
        "icc": False,
        "hosts": ("fd://", "unix:///a", "tcp://b:1"),
        "mtu": 1400,
    }
    assert (line.config_file, line.config_file_named) == ("/etc/docker/daemon.json", False)
    assert parse(["--config-file", ""]).config_file_named


def test_repeated_flags_are_put_together() -> None:
    line = parse(
        [
            *("--log-opt", "max-size=1m", "--log-opt", "max-file=3"),
            *("--default-ulimit", "nofile=10:20", "--default-ulimit", "nproc=5"),
            *("--add-runtime", "Other=/usr/bin/other", "--feature", "cdi=false", "--feature", "x"),
            *("--default-network-opt", "bridge=com.docker.network.driver.mtu=1300"),
            *("--default-address-pool", "base=10.1.0.0/16,size=24"),
            *("--default-shm-size", "1.5G"),
        ]
    )
    assert line.given == {
        "log-opts": {"max-size": "1m", "max-file": "3"},
        "default-ulimits": {
            "nofile": {"Name": "nofile", "Soft": 10, "Hard": 20},
            "nproc": {"Name": "nproc", "Soft": 5, "Hard": 5},
        },
        "runtimes": {"other": {"path": "/usr/bin/other"}},
        "features": {"cdi": False, "x": True},
        "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1300"}},
        "default-address-pools": (("10.1.0.0/16", 24),),
        "default-shm-size": 3 << 29,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--nonsense", "unknown flag: --nonsense"),
        ("-Z", "unknown shorthand flag: 'Z' in -Z"),
        ("--mtu", "flag needs an argument: --mtu"),
        ("-H", "flag needs an argument: 'H' in -H"),
        (
            "--mtu many",
            'invalid argument "many" for "--mtu" flag: strconv.ParseInt: parsing "many"',
        ),
        ("--debug=perhaps", 'invalid argument "perhaps" for "-D, --debug" flag: strconv.ParseBool'),
        ("start", '"dockerd" accepts no arguments'),
        ("--default-ulimit bad=1", "invalid ulimit type: bad"),
        (
            "--default-ulimit nofile=2:1",
            "soft limit must be less than or equal to hard limit: 2 > 1",
        ),
        ("--add-runtime runc=/x", "runtime name 'runc' is reserved"),
        ("--add-runtime x", "invalid runtime argument: x"),
        ("--add-runtime a=/x --add-runtime a=/y", "runtime 'a' was already defined"),
        ("--default-address-pool base=10.0.0.0/8", "invalid pool size: 0"),
        ("--default-address-pool base=x,size=24", 'invalid base prefix "x"'),
        ("--default-shm-size much", "invalid size: 'much'"),
        ("--default-network-opt bridge", "should be root-key=key=value"),
    ],
)
def test_what_is_wrong_is_named(words: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(words.split())
    assert message in caught.value.message
    if "accepts no" not in message:
        assert caught.value.message.endswith("See 'dockerd --help'.")


def test_usage_names_what_is_served() -> None:
    text = command_line.usage()
    assert "  -H, --host list" in text
    assert "--mtu int" in text
    assert "(default 1500)" in text
    assert "--userns-remap" not in text
