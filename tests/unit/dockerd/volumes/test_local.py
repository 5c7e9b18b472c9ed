"""The local driver's options, without mounting anything."""

from __future__ import annotations

import pytest

from dockerd.linux import mounts as linux_mounts
from dockerd.volumes import local
from dockerd.volumes.local import LocalDriver
from dockerd.volumes.model import Volume
from wire.errors import Internal, InvalidArgument


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": "1"}, 'invalid option: "x"'),
        ({"device": "/a"}, 'missing required option: "type"'),
        ({"type": "none", "o": "bind"}, 'missing required option: "device"'),
        ({"size": "12q"}, "invalid size: '12q'"),
        ({"size": "1m"}, "quota size requested but no quota support"),
        (
            {"type": "cifs", "device": "//host:445/share", "o": ""},
            "port not allowed in CIFS device URL, include 'port' in 'o='",
        ),
    ],
)
def test_options_that_cannot_be(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        LocalDriver.check("name", options)
    assert caught.value.message == words


def test_names() -> None:
    LocalDriver.check("a.b-c_1", {"size": "0"})
    for name in ("a/b", ".a", "a b", "%a"):
        with pytest.raises(InvalidArgument, match="includes invalid characters for a local volume"):
            LocalDriver.check(name, {})
    with pytest.raises(InvalidArgument, match="too short"):
        LocalDriver.check("a", {})


def test_words_of_mount() -> None:
    flags, propagation, data = local._parsed("ro,nosuid,rw,bind,rshared,size=1m,uid=7,,exec,noexec")
    assert flags == linux_mounts.MS_NOSUID | linux_mounts.MS_BIND | linux_mounts.MS_NOEXEC
    assert propagation == [linux_mounts.MS_SHARED | linux_mounts.MS_REC]
    assert data == ["size=1m", "uid=7"]


def test_hosts_are_resolved_for_network_file_systems() -> None:
    assert local._resolved("addr=localhost,rw") in {"addr=127.0.0.1,rw", "addr=::1,rw"}
    assert local._resolved("addr=192.0.2.1,nfsvers=4") == "addr=192.0.2.1,nfsvers=4"
    with pytest.raises(Internal, match="error resolving passed in network volume address"):
        local._resolved("addr=does-not-exist.invalid")


def test_passwords_are_not_shown(tmp_path: object) -> None:
    options = {"type": "nosuchfs", "device": "//h/s", "o": "username=u,password=secret"}
    with pytest.raises(Internal) as caught:
        local._mount(options, f"{tmp_path}/nowhere")
    assert "password=********" in caught.value.message
    assert "secret" not in caught.value.message


def test_plain() -> None:
    assert Volume(name="a", created="").plain
    assert Volume(name="a", created="", options={"size": "0"}).plain
    assert not Volume(name="a", created="", options={"type": "tmpfs", "device": "x"}).plain
    assert not Volume(name="a", created="", driver="other").plain
