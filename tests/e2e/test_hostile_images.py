"""Images whose maker wants to break the daemon: they are refused, or shown, and never in the way of the others."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.images import layer
from tests.support.memory import little_memory
from tests.support.stack import Stack

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_TAR = "application/vnd.oci.image.layer.v1.tar"
_LAYER = layer({"file": b"content"})


@pytest.fixture(autouse=True)
def _others_are_shown(stack: Stack) -> Iterator[None]:
    """No daemon dies, no list fails, and nothing of the image stays."""
    before = {daemon: stack.pid(daemon) for daemon in ("dockerd", "containerd")}
    known = _shown(stack)
    yield
    stack.remove_all()
    for name in _shown(stack) - known:
        stack.docker("rmi", "-f", name)
    assert _shown(stack) == known
    assert {daemon: stack.pid(daemon) for daemon in before} == before


def _shown(stack: Stack) -> set[str]:
    status, found = stack.request("GET", "/images/json?all=1&shared-size=1&manifests=1")
    assert status == 200, found
    status, usage = stack.request("GET", "/system/df")
    assert status == 200, usage
    return {each["Id"] for each in found}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(data: bytes, kind: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data), **more}


def _good(**changed: Any) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(_LAYER)]},
        "history": [{"created_by": "layer"}],
        **changed,
    }


def _manifest(config: bytes, /, **changed: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(config, _CONFIG),
        "layers": [_descriptor(_LAYER, _TAR)],
        **changed,
    }


def _archive(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _saved(config: bytes, name: Any = "crafted:1") -> bytes:
    """As `docker save` writes it."""
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "layer.tar": _LAYER}
    return _archive({**files, "manifest.json": json.dumps(manifest).encode()})


def _layout(target: dict[str, Any], *blobs: bytes) -> bytes:
    """An OCI layout of one image."""
    files = {f"blobs/sha256/{_digest(each)[7:]}": each for each in blobs}
    index = json.dumps({"schemaVersion": 2, "manifests": [target]}).encode()
    return _archive({**files, "index.json": index, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}'})


def _load(stack: Stack, archive: bytes) -> str:
    """What the daemon says; a failure is a sentence, not the name of an exception."""
    status, answer = stack.request("POST", "/images/load", archive)
    assert status == 200, answer
    text = answer.decode() if isinstance(answer, bytes) else json.dumps(answer)
    assert "Error:" not in text
    return text


_CONFIGS: list[tuple[str, Any]] = [
    *(("history", each) for each in (
        None, {}, "x", [None], [1], ["x"], [{"created": None}], [{"created": 1}], [{"created": "inf"}],
        [{"created": "9999999999-01-01T00:00:00Z"}], [{"created_by": 1}], [{"empty_layer": "no"}],
        [{"empty_layer": True}], [{}] * 3,
    )),
    *((key, each) for key in ("created", "architecture", "os", "variant", "comment", "config", "rootfs", "container_config")
      for each in (None, 1, "\ud800", [1], {"a": 1})),
    *(("config", {key: each}) for key in ("Env", "Cmd", "Entrypoint", "Labels", "Volumes", "ExposedPorts", "User", "Healthcheck")
      for each in (None, 1, "\ud800", [1], [None], {"a": 1}, {"\ud800": None})),
]  # fmt: skip


@pytest.mark.parametrize("part", range(4))
def test_cve_2024_36620_every_question_about_a_crafted_config_has_an_answer(
    stack: Stack, part: int
) -> None:
    refused = shown = 0
    for key, value in _CONFIGS[part::4]:
        said = _load(stack, _saved(json.dumps(_good(**{key: value})).encode()))
        refused += "errorDetail" in said
        found = 404 if "errorDetail" in said else 200
        shown += found == 200
        for question in ("json", "history"):
            status, answer = stack.request("GET", f"/images/crafted:1/{question}")
            assert status == found, (key, value, answer)
        status, made = stack.request("POST", "/containers/create", {"Image": "crafted:1"})
        assert status in {201, 400, 404}, (key, value, made)
        if status == 201:
            for question in (f"/containers/{made['Id']}/json", "/containers/json?all=1"):
                assert stack.request("GET", question)[0] == 200, (key, value)
            stack.request("DELETE", f"/containers/{made['Id']}")
        stack.request("DELETE", "/images/crafted:1")
    assert refused
    assert shown


@pytest.mark.parametrize(
    "config",
    [b"", b"null", b"[]", b"{", b"[" * 100_000, b'{"a":' * 100_000, b'{"size":' + b"1" * 6000 + b"}",
     b'{"a": NaN}', b'{"a": 1e999}', b"\xff\xfe{\0}\0", b" " * (9 << 20) + b"{}"],
)  # fmt: skip
def test_cve_2024_36620_what_is_no_config_is_refused(stack: Stack, config: bytes) -> None:
    assert "errorDetail" in _load(stack, _saved(config))


@pytest.mark.parametrize(
    "name",
    ["../../evil:1", "a\nb:1", "Upper:1", ":", "localhost/../x:1", "http://x/y", "zero\0", "\ud800", f"a:{'t' * 200}", 5,
     {"a": 1}],
)  # fmt: skip
def test_names_of_an_archive_that_are_none(stack: Stack, name: Any) -> None:
    """They were stored once, and every list of images failed of them."""
    assert "errorDetail" in _load(stack, _saved(json.dumps(_good()).encode(), name))


# -- one document, two meanings


def test_cve_2021_41190_a_document_is_a_manifest_or_an_index(stack: Stack) -> None:
    config = json.dumps(_good()).encode()
    plain = json.dumps(_manifest(config)).encode()
    both = json.dumps({**_manifest(config), "manifests": [_descriptor(plain, _MANIFEST)]}).encode()
    silent = json.dumps({k: v for k, v in json.loads(both).items() if k != "mediaType"}).encode()
    other = json.dumps(_manifest(config, mediaType=_INDEX)).encode()
    for document in (both, silent, other):
        for kind in (_MANIFEST, _INDEX):
            archive = _layout(_descriptor(document, kind), config, _LAYER, plain, document)
            assert "ambiguous document" in _load(stack, archive)
    as_index = _layout(_descriptor(plain, _INDEX), config, _LAYER, plain)
    assert "ambiguous document" in _load(stack, as_index)
    assert "Loaded image ID" in _load(
        stack, _layout(_descriptor(plain, _MANIFEST), config, _LAYER, plain)
    )


class _Registry(http.server.BaseHTTPRequestHandler):
    """Serves what a test puts into ``answers``, by the last part of the path, with the media type that it wants."""

    answers: dict[str, tuple[str, bytes]] = {}

    def do_GET(self) -> None:
        kind, data = self.answers.get(self.path.rpartition("/")[2], ("", b""))
        self.send_response(200 if kind or self.path == "/v2/" else 404)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def registry() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    _Registry.answers.clear()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def _publish(document: bytes, kind: str, *blobs: bytes) -> None:
    answers = {_digest(each): ("application/octet-stream", each) for each in blobs}
    _Registry.answers = {**answers, "1": (kind, document), _digest(document): (kind, document)}


def _pull(stack: Stack, registry: str) -> str:
    """The whole answer; whatever the registry says, it is a sentence."""
    status, answer = stack.request("POST", f"/images/create?fromImage={registry}/crafted&tag=1")
    text = answer.decode() if isinstance(answer, bytes) else json.dumps(answer)
    assert status in {200, 400, 404}, text
    assert "Error:" not in text, text
    return text


def test_cve_2021_41190_nor_is_it_both_in_a_registry(stack: Stack, registry: str) -> None:
    config = json.dumps(_good()).encode()
    both = json.dumps({**_manifest(config), "manifests": []}).encode()
    plain = json.dumps(_manifest(config)).encode()
    silent = json.dumps({k: v for k, v in json.loads(plain).items() if k != "mediaType"}).encode()
    for document, kind in ((both, _MANIFEST), (both, _INDEX), (silent, _INDEX)):
        _publish(document, kind, config, _LAYER)
        assert "ambiguous document" in _pull(stack, registry)
    # The document's word is stronger than the header's.
    _publish(plain, _INDEX, config, _LAYER)
    assert "Downloaded newer image" in _pull(stack, registry)


_MALFORMED: list[Any] = [
    None, [], "x", 1, {}, {"schemaVersion": 1, "fsLayers": [], "history": []}, {"config": None, "layers": None},
    {"layers": []}, {"config": {}}, {"config": {}, "layers": None}, {"config": {}, "layers": [None]},
    {"config": [], "layers": [1]},
    {"manifests": None}, {"manifests": {}}, {"manifests": [None]}, {"manifests": [{}]}, {"manifests": [{"digest": 1, "size": 1}]},
    {"manifests": [{"digest": "sha256:../../x", "size": 1}]}, {"manifests": [{"digest": "sha256:" + "0" * 64, "size": -1}]},
    {"manifests": [{"digest": "sha256:" + "0" * 64, "size": 1 << 80}]},
    {"manifests": [{"digest": "sha256:" + "0" * 64, "size": 1, "platform": "x", "mediaType": _MANIFEST}]},
    {"manifests": [{"digest": "sha256:" + "0" * 64, "size": 1, "annotations": [1], "mediaType": _MANIFEST}]},
]  # fmt: skip


def test_cve_2021_21285_a_malformed_manifest_is_an_error(stack: Stack, registry: str) -> None:
    config = json.dumps(_good()).encode()
    documents = [json.dumps(each).encode() for each in _MALFORMED]
    documents += [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"config":' * 100_000,
        b'{"a": ' + b"1" * 6000 + b"}",
    ]
    changes: list[dict[str, Any]] = [
        {"layers": None}, {"layers": {}}, {"layers": [{}]}, {"config": None}, {"annotations": [1]},
        {"layers": [_descriptor(_LAYER, _TAR, size=-1)]}, {"layers": [_descriptor(_LAYER, _TAR, size=1 << 80)]},
        {"layers": [_descriptor(_LAYER, _TAR, urls=5)]}, {"layers": []}, {"layers": [_descriptor(_LAYER, _TAR)] * 2},
        {"config": _descriptor(_LAYER, _CONFIG)}, {"config": _descriptor(config, _CONFIG, size=1 << 40)},
        {"config": _descriptor(config, _CONFIG, platform=[1])},
    ]  # fmt: skip
    documents += [json.dumps(_manifest(config, **each)).encode() for each in changes]
    for document in documents:
        for kind in (_MANIFEST, _INDEX, "text/html"):
            _publish(document, kind, config, _LAYER)
            assert "Downloaded newer image" not in _pull(stack, registry), (kind, document[:200])
    for key, value in _CONFIGS[::5]:
        crafted = json.dumps(_good(**{key: value})).encode()
        _publish(json.dumps(_manifest(crafted)).encode(), _MANIFEST, crafted, _LAYER)
        _pull(stack, registry)
        assert stack.request("GET", f"/images/{registry}/crafted:1/history")[0] in {200, 404}
        stack.request("DELETE", f"/images/{registry}/crafted:1")


def test_a_layer_may_be_larger_than_a_document(stack: Stack) -> None:
    """And no daemon has the whole of it in memory."""
    large = layer({"file": bytes(80 << 20)})
    config = json.dumps(_good(rootfs={"type": "layers", "diff_ids": [_digest(large)]})).encode()
    manifest = [{"Config": "config.json", "RepoTags": ["large:1"], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "layer.tar": large}
    archive = _archive({**files, "manifest.json": json.dumps(manifest).encode()})
    with little_memory(stack, "dockerd", "containerd"):
        assert "Loaded image: large:1" in _load(stack, archive)
        status, _ = stack.request("POST", "/images/create?fromSrc=-&repo=large&tag=2", large)
        assert status == 200


def _swollen(kind: bytes) -> bytes:
    """A few hundred KiB that stand for an entry of 300 MiB: a file, or an extended header."""
    member = tarfile.TarInfo("zeros")
    member.type, member.size = kind, 300 << 20
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        for _ in range(300):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    return packed.getvalue()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_archive_that_swells_is_never_in_memory(stack: Stack, kind: bytes) -> None:
    bomb = _swollen(kind)
    stack.docker("create", "--name", "box", "busybox")
    with little_memory(stack, "dockerd", "containerd"):
        status, answer = stack.request("PUT", "/containers/box/archive?path=/", bomb)
        assert (status, "an extended header of" in answer["message"]) == (400, True)
        status, answer = stack.request("POST", "/images/create?fromSrc=-&repo=swollen", bomb)
        assert (status, "an extended header of" in answer["message"]) == (400, True)
        assert "an extended header of" in _load(stack, bomb)


def test_others_are_answered_while_a_file_swells(stack: Stack) -> None:
    """Importing decompressed on the loop that answers everybody, all that a chunk stands for at once."""
    member = tarfile.TarInfo("zeros")
    member.size = 100 << 20
    bomb = bz2.compress(member.tobuf() + bytes((100 << 20) + 1024))
    answered = 0
    with little_memory(stack, "dockerd", "containerd"), ThreadPoolExecutor(1) as pool:
        importing = pool.submit(
            stack.request, "POST", "/images/create?fromSrc=-&repo=swollen", bomb
        )
        while not importing.done():
            assert stack.request("GET", "/_ping")[0] == 200
            answered += 1
        assert importing.result()[0] == 200
    # On the loop each piece held up everybody until its end: one or two answers in all.
    assert answered > 5
