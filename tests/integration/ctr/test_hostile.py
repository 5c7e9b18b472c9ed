"""Registries and images that lie: refused with the right code, nothing of them left, the daemon unharmed and small."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.integration.ctr.test_mirrors import _fails, _pull
from tests.support.containerd import Containerd
from tests.support.images import layer

from wire.gen.containerd.types import platform_pb2

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass
class Liar:
    """A registry of one image, whose every answer can be changed."""

    address: str = ""
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def image(self, archive: bytes, *, diff_id: str = "", **changes: Any) -> dict[str, Any]:
        """A manifest under the tag ``1``; ``changes`` replace fields of it."""
        packed = self.blob(gzip.compress(archive, 1), LAYER)
        diff_id = diff_id or f"sha256:{hashlib.sha256(archive).hexdigest()}"
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": [packed],
            **changes,
        }
        self.tag(document, MANIFEST)
        return document

    def tag(self, document: Any, media_type: str, name: str = "1") -> dict[str, Any]:
        data = json.dumps(document).encode() if not isinstance(document, bytes) else document
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.manifests[name] = self.manifests[digest] = (media_type, data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    @property
    def name(self) -> str:
        return f"{self.address}/lies:1"


@pytest.fixture
def liar() -> Iterator[Liar]:
    registry = Liar()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.asked.append(self.path)
            kind, _, name = self.path.partition("/lies/")[2].partition("/")
            found = registry.manifests.get(name)
            data = registry.blobs.get(name)
            if kind == "manifests" and found is not None:
                self._answer(*found)
            elif kind == "blobs" and data is not None:
                self._answer("application/octet-stream", data)
            else:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _answer(self, media_type: str, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield registry
    server.shutdown()
    thread.join()
    server.server_close()


def _nothing_left(containerd: Containerd) -> None:
    containerd.collect()
    assert containerd.ctr("images", "ls", "-q") == ""
    assert containerd.blobs() == set()
    assert containerd.directories() == set()
    assert containerd.uploads() == set()
    assert containerd.ctr("leases", "ls", "-q") == ""


def test_honest_image_passes(containerd: Containerd, liar: Liar) -> None:
    liar.image(layer({"a": b"1"}))
    _pull(containerd, liar.name)
    assert containerd.ctr("images", "ls", "-q") == liar.name


def _other_bytes(liar: Liar, document: dict[str, Any]) -> None:
    digest = document["layers"][0]["digest"]
    liar.blobs[digest] = b"\0" + liar.blobs[digest][1:]


def _longer(liar: Liar, document: dict[str, Any]) -> None:
    liar.blobs[document["layers"][0]["digest"]] += b"more"


def _shorter(liar: Liar, document: dict[str, Any]) -> None:
    digest = document["layers"][0]["digest"]
    liar.blobs[digest] = liar.blobs[digest][:-4]


def _no_gzip(liar: Liar, document: dict[str, Any]) -> None:
    document["layers"][0] = liar.blob(b"\x1f\x8bgarbage" * 20, LAYER)
    liar.tag(document, MANIFEST)


def _config_of_garbage(liar: Liar, document: dict[str, Any]) -> None:
    document["config"] = liar.blob(b"[" * 100_000, CONFIG)
    liar.tag(document, MANIFEST)


def _layer_too_many(liar: Liar, document: dict[str, Any]) -> None:
    document["layers"] *= 2
    liar.tag(document, MANIFEST)


def _both_kinds(liar: Liar, document: dict[str, Any]) -> None:
    liar.tag({**document, "manifests": []}, MANIFEST)


def _deep_json(liar: Liar, document: dict[str, Any]) -> None:
    liar.tag(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, MANIFEST)


def _bad_digest(liar: Liar, document: dict[str, Any]) -> None:
    document["layers"][0]["digest"] = "sha256:../../../etc/passwd"
    liar.tag(document, MANIFEST)


def _negative_size(liar: Liar, document: dict[str, Any]) -> None:
    document["layers"][0]["size"] = -1
    liar.tag(document, MANIFEST)


def _missing_layer(liar: Liar, document: dict[str, Any]) -> None:
    del liar.blobs[document["layers"][0]["digest"]]


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (_other_bytes, grpc.StatusCode.FAILED_PRECONDITION),
        (_longer, grpc.StatusCode.UNKNOWN),
        (_shorter, grpc.StatusCode.FAILED_PRECONDITION),
        (_no_gzip, grpc.StatusCode.INVALID_ARGUMENT),
        (_config_of_garbage, grpc.StatusCode.INVALID_ARGUMENT),
        (_layer_too_many, grpc.StatusCode.FAILED_PRECONDITION),
        (_both_kinds, grpc.StatusCode.INVALID_ARGUMENT),
        (_deep_json, grpc.StatusCode.INVALID_ARGUMENT),
        (_bad_digest, grpc.StatusCode.INVALID_ARGUMENT),
        (_negative_size, grpc.StatusCode.INVALID_ARGUMENT),
        (_missing_layer, grpc.StatusCode.NOT_FOUND),
    ],
)
def test_lies_are_refused(
    containerd: Containerd,
    liar: Liar,
    lie: Callable[[Liar, dict[str, Any]], None],
    code: grpc.StatusCode,
) -> None:
    lie(liar, liar.image(layer({"a": b"1"})))
    found, text = _fails(containerd, liar.name)
    assert (found, text) == (code, text)
    _nothing_left(containerd)


def test_wrong_diff_id(containerd: Containerd, liar: Liar) -> None:
    liar.image(layer({"a": b"1"}), diff_id=f"sha256:{'0' * 64}")
    code, text = _fails(containerd, liar.name)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "wrong diff id" in text
    _nothing_left(containerd)


def test_manifest_of_another_digest(containerd: Containerd, liar: Liar) -> None:
    liar.image(layer({"a": b"1"}))
    wanted = f"sha256:{'1' * 64}"
    liar.manifests[wanted] = liar.manifests["1"]
    code, text = _fails(containerd, f"{liar.address}/lies@{wanted}")
    assert code is grpc.StatusCode.DATA_LOSS
    assert wanted in text
    _nothing_left(containerd)


def test_cve_2026_53493_an_index_that_names_itself_many_times_is_read_once(
    containerd: Containerd, liar: Liar
) -> None:
    entry: dict[str, Any] = {"mediaType": MANIFEST, "digest": f"sha256:{'2' * 64}", "size": 5}
    entry["platform"] = {"os": "linux", "architecture": "arm64"}
    for _ in range(6):
        entry = liar.tag(
            {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] * 200}, INDEX
        )
    code, text = _fails(containerd, liar.name)
    assert code is grpc.StatusCode.NOT_FOUND
    assert "no match for platform" in text
    assert len(liar.asked) < 20
    _nothing_left(containerd)


def test_cve_2026_53493_indexes_below_indexes_are_not_fetched_without_end(
    containerd: Containerd, liar: Liar
) -> None:
    """Each other than all others: a tree whose every index has 30 below it, and a chain without end."""
    liar.image(layer({"a": b"1"}))
    kind, body = liar.manifests["1"]
    leaf = {
        "mediaType": kind,
        "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
        "size": len(body),
    }
    leaf["platform"] = {"os": "linux", "architecture": "arm64"}

    def index(entries: list[dict[str, Any]], mark: str) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        return liar.tag({**document, "annotations": {"mark": mark}}, INDEX)

    def tree(depth: int, mark: str) -> dict[str, Any]:
        return index([tree(depth - 1, f"{mark}.{n}") for n in range(30)] if depth else [leaf], mark)

    tree(2, "")
    code, text = _fails(containerd, liar.name)
    assert (code, "more than 100 indexes" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert len(liar.asked) <= 105
    _nothing_left(containerd)
    liar.asked.clear()
    entry = leaf
    for number in range(200):
        entry = index([entry], str(number))
    code, text = _fails(containerd, liar.name)
    assert (code, "more than 100 indexes" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert len(liar.asked) <= 105
    _nothing_left(containerd)


def test_cve_2026_53493_manifests_for_one_platform_are_not_fetched_without_end(
    containerd: Containerd, liar: Liar
) -> None:
    liar.image(layer({"a": b"1"}))
    document = json.loads(liar.manifests["1"][1])
    entries = []
    for number in range(200):
        entry = liar.tag({**document, "annotations": {"mark": str(number)}}, MANIFEST)
        entries.append({**entry, "platform": {"os": "linux", "architecture": "amd64"}})
    liar.tag({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, INDEX)
    wanted = platform_pb2.Platform(os="linux", architecture="amd64")
    code, text = _fails(containerd, liar.name, platforms=[wanted])
    assert (code, "more than 100 manifests" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert len(liar.asked) < 10
    _nothing_left(containerd)


@pytest.mark.parametrize("at", ["layer", "config", "entry", "index"])
def test_cve_2026_95839_a_malformed_digest_beside_annotations_is_refused(
    containerd: Containerd, liar: Liar, at: str
) -> None:
    assert containerd.process is not None
    annotations = {
        "containerd.io/snapshot/cri.layer-digest": "sha256:",
        "io.containerd.image.name": "x",
        "containerd.io/uncompressed": "sha256:",
    }
    digests: list[Any] = [
        "",
        "sha256",
        "sha256:",
        "sha256:xyz",
        "sha512:00",
        ":",
        "md5:0",
        None,
        5,
        {},
    ]
    for digest in digests:
        broken = {"digest": digest, "annotations": annotations}
        document = liar.image(layer({"a": b"1"}))
        if at == "layer":
            document["layers"][0].update(broken)
        elif at == "config":
            document["config"].update(broken)
        entry = {**liar.tag(document, MANIFEST), **broken}
        if at in {"entry", "index"}:
            entry["mediaType"] = INDEX if at == "index" else MANIFEST
            liar.tag({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, INDEX)
        code, text = _fails(containerd, liar.name)
        assert code is grpc.StatusCode.INVALID_ARGUMENT, (digest, text)
        assert containerd.process.poll() is None
    _nothing_left(containerd)


def test_cve_2020_15157_urls_of_layers_are_not_followed(containerd: Containerd, liar: Liar) -> None:
    """Nothing is asked of them, so no credentials go there."""
    document = liar.image(layer({"a": b"1"}))
    digest = document["layers"][0]["digest"]
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    for kind in (LAYER, foreign):
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            elsewhere.settimeout(0)
            urls = [f"http://127.0.0.1:{elsewhere.getsockname()[1]}/elsewhere"]
            document["layers"][0].update(urls=urls, mediaType=kind)
            liar.tag(document, MANIFEST)
            liar.blobs.pop(digest, None)
            code, text = _fails(containerd, liar.name, headers={"Authorization": "Basic c2VjcmV0"})
            assert code is grpc.StatusCode.NOT_FOUND, text
            with pytest.raises(BlockingIOError):
                elsewhere.accept()
    _nothing_left(containerd)


def test_bomb_is_unpacked_in_bounded_memory(containerd: Containerd, liar: Liar) -> None:
    """Three hundred times its size; it fails in the end because its diff id is not what it says."""
    assert containerd.process is not None
    status = Path(f"/proc/{containerd.process.pid}/status")

    def peak() -> int:
        return int(
            next(line for line in status.read_text().splitlines() if "VmHWM" in line).split()[1]
        )

    before = peak()
    liar.image(layer({"zeros": bytes(150 << 20)}), diff_id=f"sha256:{'3' * 64}")
    assert _fails(containerd, liar.name)[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert peak() - before < 64 << 10
    _nothing_left(containerd)


def test_manifest_that_is_too_large(containerd: Containerd, liar: Liar) -> None:
    liar.tag(b'{"a":"' + b"x" * (9 << 20) + b'"}', MANIFEST)
    code, text = _fails(containerd, liar.name)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "larger than" in text
    _nothing_left(containerd)
