"""Finding, activating and calling plugins."""

from __future__ import annotations

import asyncio
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dockerd.plugins.activation import Plugins
from dockerd.plugins.address import Directory
from dockerd.plugins.call import call
from wire.errors import Internal, InvalidArgument, NotFound, Unavailable


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers every method from a table, and counts."""

    answers: dict[str, tuple[int, Any]]
    seen: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, json.loads(body)))
        status, document = self.answers[self.path]
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        return "plugin"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answers() -> Iterator[dict[str, tuple[int, Any]]]:
    _Answers.answers = {"/Plugin.Activate": (200, {"Implements": ["VolumeDriver"]})}
    _Answers.seen = []
    return _Answers.answers


@pytest.fixture
def plugin(tmp_path: Path, answers: dict[str, tuple[int, Any]]) -> Iterator[Directory]:
    (tmp_path / "sockets").mkdir()
    path = str(tmp_path / "sockets" / "elsewhere.sock")
    with socketserver.ThreadingUnixStreamServer(path, _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Directory(str(tmp_path / "sockets"), (str(tmp_path / "specs"),))
        server.shutdown()
        thread.join()


def test_activated_once(plugin: Directory) -> None:
    plugins = Plugins(plugin)

    async def twice() -> None:
        assert (await plugins.get("elsewhere", "VolumeDriver")).name == "elsewhere"
        assert [each.name for each in await plugins.all("VolumeDriver")] == ["elsewhere"]
        assert await plugins.all("authz") == []

    asyncio.run(twice())
    assert [path for path, _ in _Answers.seen] == ["/Plugin.Activate"]


def test_unknown_and_wrong_kind(plugin: Directory) -> None:
    plugins = Plugins(plugin)
    with pytest.raises(NotFound, match='plugin "other" not found'):
        asyncio.run(plugins.get("other", "VolumeDriver"))
    with pytest.raises(NotFound, match="does not implement the requested driver"):
        asyncio.run(plugins.get("elsewhere", "authz"))
    for hostile in ("../sockets/elsewhere", "", ".", "a/b", "a\0b"):
        with pytest.raises(NotFound):
            asyncio.run(plugins.get(hostile, "VolumeDriver"))


def test_errors_of_the_plugin(plugin: Directory, answers: dict[str, tuple[int, Any]]) -> None:
    address = plugin.find("elsewhere")
    assert address is not None
    answers["/VolumeDriver.Mount"] = (200, {"Err": "the disk is on fire"})
    with pytest.raises(Internal, match=r"VolumeDriver\.Mount: the disk is on fire"):
        asyncio.run(call(address, "VolumeDriver.Mount", {"Name": "a"}))
    answers["/VolumeDriver.Mount"] = (500, {"Err": "still burning"})
    with pytest.raises(Internal, match="still burning"):
        asyncio.run(call(address, "VolumeDriver.Mount", {"Name": "a"}))
    answers["/VolumeDriver.Mount"] = (404, b"what?")
    with pytest.raises(Internal, match=r"what\?"):
        asyncio.run(call(address, "VolumeDriver.Mount", {"Name": "a"}))
    answers["/VolumeDriver.Mount"] = (200, b"[]")
    with pytest.raises(Internal, match="not a JSON object"):
        asyncio.run(call(address, "VolumeDriver.Mount", {"Name": "a"}))


def test_addresses_from_files(tmp_path: Path) -> None:
    specs = tmp_path / "specs"
    (specs / "deep").mkdir(parents=True)
    (specs / "far.spec").write_text("tcp://127.0.0.1:7777\n")
    (specs / "deep" / "deep.json").write_text(
        json.dumps({"Name": "deep", "Addr": "https://host:1", "TLSConfig": {"CAFile": "/ca"}})
    )
    (specs / "bad.spec").write_text("no address")
    directory = Directory(str(tmp_path / "none"), (str(specs),))
    assert directory.names() == ["bad", "deep", "far"]
    far, deep = directory.find("far"), directory.find("deep")
    assert far is not None
    assert (far.scheme, far.target) == ("tcp", "127.0.0.1:7777")
    assert deep is not None
    assert deep.tls is not None
    assert deep.tls.ca == "/ca"
    with pytest.raises(InvalidArgument, match="Unknown protocol"):
        directory.find("bad")


def test_nobody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.sock")
    with socketserver.UnixStreamServer(path, _Answers):
        pass
    address = Directory(str(tmp_path)).find("gone")
    assert address is not None
    with pytest.raises(Unavailable, match="gone"):
        asyncio.run(call(address, "VolumeDriver.List", {}, patience=0))
    assert asyncio.run(Plugins(Directory(str(tmp_path))).all("VolumeDriver")) == []
