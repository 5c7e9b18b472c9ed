"""Where the API listens."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path

import pytest

from dockerd import listeners
from dockerd.config import Config
from dockerd.configuration.command_line import CommandLine
from dockerd.configuration.load import load
from wire.errors import InvalidArgument


def config(*hosts: str) -> Config:
    return dataclasses.replace(load(CommandLine(config_file=""), {}), hosts=hosts)


def test_listeners_are_known_by_what_they_are(tmp_path: Path) -> None:
    """systemd names a socket after its unit, or not at all; ports that we keep are bound and do not listen."""
    with socket.create_server(("127.0.0.1", 0)) as listens, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with (tmp_path / "file").open("wb") as file:
            given = [bound.fileno(), listens.fileno(), file.fileno(), 9999]
            assert listeners.listening(given) == [listens.fileno()]


@pytest.mark.parametrize("host", ["fd://", "fd://*", "fd://{}"])
def test_activated_sockets(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listens:
        descriptor = os.dup(listens.fileno())
        (found,) = listeners.opened(config(host.format(descriptor)), [descriptor])
        with found:
            assert found.getsockname() == listens.getsockname()


def test_several_hosts(tmp_path: Path) -> None:
    hosts = (f"unix://{tmp_path}/a.sock", f"unix://{tmp_path}/b.sock", "tcp://127.0.0.1:0")
    found = listeners.opened(config(*hosts), [])
    names = [each.getsockname() for each in found]
    for each in found:
        each.close()
    assert names[:2] == [f"{tmp_path}/a.sock", f"{tmp_path}/b.sock"]
    assert names[2][0] == "127.0.0.1"
    assert (tmp_path / "a.sock").stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("tcp://127.0.0.1:abc", "invalid bind address format"),
        ("tcp://127.0.0.1:99999", "invalid bind address format"),
        ("tcp://127.0.0.1:1/path", "invalid bind address format"),
        ("npipe:////./pipe/docker", "invalid bind address format"),
        ("fd://", "no sockets found via socket activation"),
    ],
)
def test_bad_hosts(host: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        listeners.opened(config(host), [])


def test_bad_descriptors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listens:
        for which, words in (("x", "should be a number"), ("77", "no listening socket")):
            with pytest.raises(InvalidArgument, match=words):
                listeners.opened(config(f"fd://{which}"), [listens.fileno()])
