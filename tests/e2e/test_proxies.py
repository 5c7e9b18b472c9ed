"""`proxies` of daemon.json on the way to a registry, with a real registry and a proxy of our own."""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import json
import select
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.dockerd import own_dockerd
from tests.support.images import docker_archive, layer
from tests.support.registry import Registry, running_registry


@dataclass
class Relay:
    """A proxy that leads every name to one address."""

    target: tuple[str, int]
    address: str = ""
    asked: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)


@contextlib.contextmanager
def running_relay(target: str) -> Iterator[Relay]:
    host, _, port = target.partition(":")
    relay = Relay((host, int(port)))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self._note(f"CONNECT {self.path}")
            with socket.create_connection(relay.target) as inner:
                self.send_response(200)
                self.end_headers()
                ends = {self.connection: inner, inner: self.connection}
                while True:
                    for each in select.select(list(ends), [], [], 20)[0]:
                        data = each.recv(65536)
                        if not data:
                            return
                        ends[each].sendall(data)

        def do_GET(self) -> None:
            self._note(f"{self.command} {self.path}")
            url = urllib.parse.urlsplit(self.path)
            inner = http.client.HTTPConnection(*relay.target, timeout=20)
            inner.request(
                self.command, url.path, headers={"Accept": self.headers.get("Accept", "*/*")}
            )
            answer = inner.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            self.send_header(
                "Content-Length", answer.getheader("Content-Length") or str(len(content))
            )
            self.end_headers()
            self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def _note(self, line: str) -> None:
            relay.asked.append(line)
            relay.credentials.add(self.headers.get("Proxy-Authorization", ""))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    relay.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield relay
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path / "registry") as registry:
        yield registry


def test_pull_by_proxies(upstream: Registry) -> None:
    upstream.push(docker_archive("x:1", [layer({"a": b"1"})]), "far/away:1")
    with running_relay(upstream.address) as relay, own_dockerd(image=False) as daemon:
        url = f"http://me:secret@{relay.address}"
        daemon.configure(
            proxies={"http-proxy": url, "https-proxy": url, "no-proxy": "near.test"},
            insecure_registries=["registry.test:5000"],
        )
        daemon.start()
        daemon.docker("pull", "registry.test:5000/far/away:1")
        assert daemon.docker("images", "-q", "registry.test:5000/far/away:1")
        # TLS is tried first, in a tunnel; the registry has none.
        assert "CONNECT registry.test:5000" in relay.asked
        assert "http://registry.test:5000/v2/far/away/manifests/1" in " ".join(relay.asked)
        assert relay.credentials == {"Basic " + base64.b64encode(b"me:secret").decode()}
        info = json.loads(daemon.docker("info", "-f", "{{json .}}"))
        assert info["HttpProxy"] == f"http://xxxxx:xxxxx@{relay.address}"
        assert info["NoProxy"] == "near.test"
        assert "secret" not in daemon.log
        # Who is excepted is asked directly, and there is nobody.
        before = len(relay.asked)
        daemon.fails("pull", "near.test:5000/far/away:1")
        assert len(relay.asked) == before
        # Loopback never has a proxy.
        daemon.docker("pull", f"{upstream.address}/far/away:1")
        assert len(relay.asked) == before
