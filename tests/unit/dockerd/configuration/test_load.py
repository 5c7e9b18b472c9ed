"""daemon.json beside flags: merged, checked, refused by name; and what a reload changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dockerd.config import Config, Runtime
from dockerd.configuration import command_line
from dockerd.configuration.load import load, reload
from dockerd.configuration.options import OPTIONS
from wire.errors import InvalidArgument


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "daemon.json"


def loaded(file: Path, document: Any = None, *flags: str, **environment: str) -> Config:
    if document is not None:
        file.write_text(document if isinstance(document, str) else json.dumps(document))
    return load(command_line.parse(["--config-file", str(file), *flags]), environment)


def refusal(file: Path, document: Any, *flags: str, **environment: str) -> str:
    with pytest.raises(InvalidArgument) as caught:
        loaded(file, document, *flags, **environment)
    return caught.value.message


def test_everything_from_the_file(file: Path) -> None:
    config = loaded(
        file,
        {
            "data-root": "/d",
            "hosts": ["fd://", "unix:///x", "tcp://127.0.0.1", "fd://"],
            "labels": ["a=b", "a=b", "c=d"],
            "log-opts": {"max-size": "1m"},
            "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}, "core": {"soft": 3, "hard": 3}},
            "default-address-pools": [{"base": "10.1.2.3/16", "size": 24}],
            "runtimes": {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}},
            "default-runtime": "crun",
            "default-shm-size": "128m",
            "host-gateway-ip": "10.9.9.9",
            "icc": False,
            "max-concurrent-downloads": 0,
            "registry-mirrors": ["https://mirror"],
            "proxies": {},
        },
    )  # fmt: skip
    assert config.hosts == ("fd://", "tcp://127.0.0.1:2375", "unix:///x")
    assert config.labels == ("a=b", "c=d")
    assert config.log_options == {"max-size": "1m"}
    assert [each["Name"] for each in config.ulimits] == ["nofile", "core"]
    assert config.address_pools == (("10.1.0.0/16", 24),)
    assert config.runtimes == {"crun": Runtime(path="/usr/bin/crun", arguments=("--debug",))}
    assert (config.default_runtime, config.shm_size) == ("crun", 128 << 20)
    assert (config.host_gateway, config.icc) == ("10.9.9.9", False)
    assert config.max_concurrent_downloads == 3


def test_flags_beside_the_file(file: Path) -> None:
    config = loaded(
        file, {"debug": True, "runtimes": {"a": {"path": "/a"}}}, "--mtu=1400", "--add-runtime=b=/b"
    )
    assert (config.debug, config.verbosity, config.mtu) == (True, "debug", 1400)
    assert sorted(config.runtimes) == ["a", "b"]


def test_no_file(file: Path) -> None:
    assert loaded(file, "  \n").hosts == ("unix:///var/run/docker.sock",)
    file.unlink()
    message = refusal(file, None)
    assert message == (
        f"unable to configure the Docker daemon with file {file}: open {file}: no such file or directory"
    )
    line = command_line.parse([])
    line.config_file = str(file)
    assert load(line, {}).data_root == "/var/lib/docker"


def test_byte_order_marks(file: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        file.write_bytes('{"mtu": 1234}'.encode(encoding))
        assert loaded(file).mtu == 1234
    file.write_bytes(b'{"mtu": "\xff"}')
    assert "failed to decode configuration JSON at offset 9" in refusal(file, None)


@pytest.mark.parametrize(
    ("document", "flags", "message"),
    [
        ({"nonsense": 1, "what": 2}, [], "the following directives don't match any configuration option: nonsense, what"),
        ({"debug": True}, ["-D"], "in the configuration file: debug: (from flag: true, from file: true)"),
        ({"hosts": ["fd://"]}, ["-H", "unix:///x"], "hosts: (from flag: [unix:///x], from file: [fd://])"),
        ({"proxies": {"http-proxy": "http://u:p@h"}}, ["--http-proxy", "http://v:q@h"],
            "http-proxy: (from flag: http://xxxxx:xxxxx@h, from file: http://xxxxx:xxxxx@h)"),
        ({"host-gateway-ip": "1.1.1.1", "host-gateway-ips": ["1.1.1.1"]}, [], "must not both be specified in the config file"),
        ("{", [], "invalid JSON"),
        ("[]", [], "json: cannot unmarshal"),
        ({"debug": "yes"}, [], "json: cannot unmarshal string into Go struct field Config.debug of type bool"),
        ({"mtu": True}, [], "json: cannot unmarshal bool into Go struct field Config.mtu of type int"),
        ({"labels": "a=b"}, [], "json: cannot unmarshal string into Go struct field Config.labels of type []string"),
        ({"log-opts": {"max-file": 3}}, [], "cannot unmarshal number into Go struct field Config.log-opts of type string"),
        ({"default-shm-size": 64}, [], 'invalid size: "64"'),
        ({"default-init": "x"}, [], "don't match any configuration option: default-init"),
    ],
)  # fmt: skip
def test_files_that_will_not_do(file: Path, document: Any, flags: list[str], message: str) -> None:
    found = refusal(file, document, *flags)
    assert found.startswith(f"unable to configure the Docker daemon with file {file}: ")
    assert message in found


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"log-level": "loud"}, "invalid logging level: loud"),
        ({"log-format": "xml"}, "invalid log format: xml"),
        ({"dns-search": ["-"]}, "- is not a valid domain"),
        ({"dns": ["nobody"]}, "IP address is not correctly formatted: nobody"),
        ({"host-gateway-ips": ["fd00::1", "fd00::2"]}, "only one IPv6 host gateway IP address can be specified"),
        ({"bip6": "10.1.0.1/24"}, "invalid CIDR address: 10.1.0.1/24"),
        ({"fixed-cidr-v6": "fe80::/63"}, "'fe80::/63' clashes with the Link-Local prefix 'fe80::/64'"),
        ({"bip6": "fd00:1::1/64", "fixed-cidr-v6": "fd00:2::/80"}, "fixed-cidr-v6 fd00:2::/80 is not within fd00:1::1/64"),
        ({"labels": ["a"]}, "bad attribute format: a"),
        ({"labels": ["io.docker.x=1"]}, "label io.docker.x=1 is not allowed"),
        ({"labels": ["a=1", "a=2"]}, "conflict labels for a=2 and a=1"),
        ({"mtu": -1}, "invalid default MTU: -1"),
        ({"max-concurrent-downloads": -1}, "invalid max concurrent downloads: -1"),
        ({"max-concurrent-uploads": -1}, "invalid max concurrent uploads: -1"),
        ({"max-download-attempts": -1}, "invalid max download attempts: -1"),
        ({"registry-mirrors": ["mirror"]}, "invalid mirror: "),
        ({"insecure-registries": ["a/b"]}, "insecure registry a/b is not valid"),
        ({"hosts": ["ftp://x"]}, "invalid bind address (ftp://x): unsupported proto 'ftp'"),
        ({"hosts": ["tcp://x:0"]}, "invalid bind address (tcp://x:0): invalid port: 0"),
        ({"hosts": ["tcp://x:1/y"]}, "should not contain a path element"),
        ({"api-cors-header": "*"}, 'DEPRECATED: The "api-cors-header" config parameter'),
        ({"exec-opts": ["x"]}, "invalid exec-opt (x): must be formatted 'opt=value'"),
        ({"exec-opts": ["x=y"]}, "invalid exec-opt (x=y): unknown option: 'x'"),
        ({"exec-opts": ["isolation=hyperv"]}, "option 'isolation' is only supported on windows"),
        ({"exec-opts": ["native.cgroupdriver=systemd"]}, "native.cgroupdriver=systemd is not supported"),
        ({"default-ipc-mode": "host"}, 'IPC mode "host" is not supported as default value; use "shareable" or "private"'),
        ({"default-ipc-mode": "x"}, "default IPC mode setting (x) is invalid"),
        ({"default-cgroupns-mode": "x"}, 'invalid default cgroup namespace (x): use "host" or "private"'),
        ({"default-runtime": "x"}, "specified default runtime 'x' does not exist"),
        ({"runtimes": {"runc": {"path": "x"}}}, "runtime name 'runc' is reserved"),
        ({"runtimes": {"a": {}}}, "runtime a: either a runtimeType or a path must be configured"),
        ({"runtimes": {"a": {"runtimeType": "io.x.v1"}}}, "runtime a: runtimeType is not supported"),
        ({"runtimes": {"a": {"path": "x", "options": {"a": 1}}}}, "runtime a: options cannot be used with a path runtime"),
        ({"log-driver": "nowhere"}, "logger: no log driver named 'nowhere' is registered"),
        ({"log-opts": {"nonsense": "1"}}, "unknown log opt 'nonsense' for json-file log driver"),
        ({"seccomp-profile": "/nowhere"}, "opening seccomp profile (/nowhere) failed: open /nowhere: no such file or directory"),
        ({"storage-driver": "aufs"}, "driver not supported: aufs"),
        ({"features": {"teleport": True}}, "feature teleport is not supported"),
        ({"features": {"containerd-snapshotter": False}}, "feature containerd-snapshotter=false is not supported"),
        ({"live-restore": False}, "live-restore=false is not supported: containers outlive the daemon in any case"),
        ({"iptables": False}, "iptables=false is not supported"),
        ({"userns-remap": "default"}, "userns-remap=default is not supported"),
        ({"builder": {"gc": {"enabled": True}}}, "builder=map[gc:map[enabled:true]] is not supported: there is no builder"),
        ({"metrics-addr": "nonsense"}, "invalid metrics address nonsense"),
        ({"bridge": "none"}, "bridge=none is not supported"),
        ({"bip": "nonsense"}, "invalid CIDR address: nonsense"),
    ],
)  # fmt: skip
def test_values_that_will_not_do(file: Path, document: Any, message: str) -> None:
    assert message in refusal(file, document)


def test_every_default_is_accepted(file: Path) -> None:
    """Who writes down what holds anyway is not refused."""
    document = {
        option.key: option.default
        for option in OPTIONS
        if option.key not in {"default-shm-size", "host-gateway-ip"} and option.default != ""
    }
    assert loaded(file, {**document, "default-shm-size": "64m"}).shm_size == 64 << 20


def test_least_api_version(file: Path) -> None:
    assert loaded(file, {}, DOCKER_MIN_API_VERSION="1.40").minimum_api_version == "1.40"
    assert loaded(file, {}).minimum_api_version == "1.24"
    for text, message in (
        ("v1.40", 'must be provided without "v" prefix'),
        ("1.1", "minimum supported API version is 1.24: 1.1"),
        ("9.9", "maximum supported API version is 1.51: 9.9"),
    ):
        assert message in refusal(file, {}, DOCKER_MIN_API_VERSION=text)


def test_reload_changes_what_it_may(file: Path) -> None:
    before = loaded(file, {"labels": ["a=1"], "max-concurrent-downloads": 9, "shutdown-timeout": 3})
    file.write_text(
        json.dumps({"debug": True, "mtu": 1300, "insecure-registries": ["r:1"], "data-root": "/x"})
    )
    after = reload(command_line.parse(["--config-file", str(file)]), {}, before)
    assert (after.debug, after.insecure_registries) == (True, ("r:1",))
    # As in Docker: some stay when the file no longer names them, counts go back to their defaults.
    assert (after.labels, after.shutdown_timeout) == (("a=1",), 3)
    assert after.max_concurrent_downloads == 3
    # These need a new daemon.
    assert (after.mtu, after.data_root) == (1500, "/var/lib/docker")


def test_reload_of_a_bad_file_changes_nothing(file: Path) -> None:
    before = loaded(file, {"labels": ["a=1"]})
    file.write_text('{"labels": ["b"]}')
    with pytest.raises(InvalidArgument, match="bad attribute format: b"):
        reload(command_line.parse(["--config-file", str(file)]), {}, before)
