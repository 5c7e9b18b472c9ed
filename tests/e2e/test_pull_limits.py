"""How much of a pull is done at once, and how often, is what the configuration says."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.support.dockerd import Dockerd, own_dockerd
from tests.support.images import layer

_LAYERS = 4
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass
class Counting:
    """A registry of one image that knows how many of its blobs are asked for at once."""

    address: str = ""
    answers: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    together: threading.Barrier | None = None
    broken: bool = False
    now: int = 0
    most: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, tag: str) -> None:
        packed, diffs = [], []
        for number in range(_LAYERS):
            archive = layer({f"{tag}-{number}": b"x" * 4096})
            diffs.append(f"sha256:{hashlib.sha256(archive).hexdigest()}")
            packed.append(self._blob(gzip.compress(archive), _LAYER))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diffs},
        }
        kind = "application/vnd.oci.image.config.v1+json"
        self.config = self._blob(json.dumps(config).encode(), kind)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self.config,
            "layers": packed,
        }
        data = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.answers[tag] = self.answers[digest] = (_MANIFEST, data)
        self.now = self.most = 0
        self.asked.clear()

    def _blob(self, data: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.answers[digest] = ("application/octet-stream", data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def serve(self, path: str, send: http.server.BaseHTTPRequestHandler) -> None:
        name = path.rpartition("/")[2]
        kind, data = self.answers[name]
        is_layer = "/blobs/" in path and name != self.config["digest"]
        if is_layer:
            with self.lock:
                self.asked[name] += 1
                self.now += 1
                self.most = max(self.most, self.now)
            if self.together is not None:
                self.together.wait(20)
        send.send_response(200)
        send.send_header("Content-Type", kind)
        send.send_header("Content-Length", str(len(data)))
        send.end_headers()
        if is_layer:
            with self.lock:
                self.now -= 1
        # What is cut off is asked for again.
        send.wfile.write(data[: len(data) // 2] if is_layer and self.broken else data)
        send.close_connection = True


@pytest.fixture(scope="module")
def counting() -> Iterator[Counting]:
    registry = Counting()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                if self.path.rpartition("/")[2] in registry.answers:
                    registry.serve(self.path, self)
                else:
                    self.send_response(200 if self.path == "/v2/" else 404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield registry
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def daemon(counting: Counting) -> Iterator[Dockerd]:
    with own_dockerd(image=False) as own:
        own.configure(max_concurrent_downloads=1, max_download_attempts=2)
        own.start()
        yield own


def test_downloads_at_once(daemon: Dockerd, counting: Counting) -> None:
    counting.publish("single")
    daemon.docker("pull", f"{counting.address}/counted:single")
    assert counting.most == 1
    daemon.configure(max_concurrent_downloads=_LAYERS, max_download_attempts=2)
    daemon.reload()
    counting.publish("together")
    counting.together = threading.Barrier(_LAYERS)
    try:
        daemon.docker("pull", f"{counting.address}/counted:together")
    finally:
        counting.together = None


def test_attempts(daemon: Dockerd, counting: Counting) -> None:
    counting.publish("broken")
    counting.broken = True
    try:
        daemon.fails("pull", f"{counting.address}/counted:broken")
    finally:
        counting.broken = False
    assert max(counting.asked.values()) == 2
