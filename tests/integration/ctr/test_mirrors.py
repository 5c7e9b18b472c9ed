"""Pulls by the transfer service through hosts.toml: mirrors, certificates, capabilities, headers, credentials."""

from __future__ import annotations

import base64
import contextlib
import http.server
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.containerd import Containerd
from tests.support.images import docker_archive, layer
from tests.support.registry import Registry, running_registry

from wire import typeurl
from wire.gen.containerd.services.streaming.v1 import streaming_pb2, streaming_pb2_grpc
from wire.gen.containerd.services.transfer.v1 import transfer_pb2, transfer_pb2_grpc
from wire.gen.containerd.types import platform_pb2
from wire.gen.containerd.types.transfer import imagestore_pb2, registry_pb2

HERE = (("containerd-namespace", "default"),)
UNPACKS = [
    imagestore_pb2.UnpackConfiguration(
        platform=platform_pb2.Platform(os="linux", architecture="amd64"), snapshotter="overlayfs"
    )
]


def _archive(text: str) -> bytes:
    return docker_archive("x:1", [layer({"file": text.encode()}), layer({"other": b"2"})])


def _pull(
    containerd: Containerd,
    reference: str,
    platforms: Sequence[platform_pb2.Platform] = (),
    **resolver: Any,
) -> None:
    source = registry_pb2.OCIRegistry(
        reference=reference, resolver=registry_pb2.RegistryResolver(**resolver)
    )
    request = transfer_pb2.TransferRequest(
        source=typeurl.pack(source),
        destination=typeurl.pack(
            imagestore_pb2.ImageStore(name=reference, unpacks=UNPACKS, platforms=platforms)
        ),
    )
    stub = transfer_pb2_grpc.TransferStub(containerd.channel)
    stub.Transfer(request, metadata=HERE, timeout=30)


def _fails(containerd: Containerd, reference: str, **resolver: Any) -> tuple[Any, str]:
    with pytest.raises(grpc.RpcError) as raised:
        _pull(containerd, reference, **resolver)
    return raised.value.code(), raised.value.details()


def _hosts(directory: Path, registry: str, document: str) -> str:
    folder = directory / registry
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts.toml").write_text(document)
    return str(directory)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Registry]:
    """A second registry."""
    with running_registry(tmp_path / "mirror") as registry:
        yield registry


def test_plain_http_on_loopback_needs_no_setting(
    containerd: Containerd, registry: Registry
) -> None:
    name = registry.push(_archive("plain"), "plain:1")
    _pull(containerd, name)
    assert containerd.ctr("images", "ls", "-q") == name
    assert "complete (3/3)" in containerd.ctr("images", "check")
    digest = containerd.ctr("images", "ls").splitlines()[1].split()[2]
    info = next(line for line in containerd.ctr("content", "ls").splitlines() if digest in line)
    assert "containerd.io/distribution.source.localhost=plain" in info


def test_mirror_serves_a_registry_that_is_away(
    containerd: Containerd, mirror: Registry, tmp_path: Path
) -> None:
    mirror.push(_archive("mirrored"), "app:1")
    directory = _hosts(
        tmp_path / "certs.d",
        "away.invalid",
        f'server = "https://away.invalid"\n[host."http://{mirror.address}"]\n'
        'capabilities = ["pull", "resolve"]\n',
    )
    _pull(containerd, "away.invalid/app:1", host_dir=directory)
    assert containerd.ctr("images", "ls", "-q") == "away.invalid/app:1"
    # A mirror of several registries has to know which one is meant.
    assert "/v2/app/manifests/1?ns=away.invalid" in mirror.log


def test_default_directory_is_for_every_registry(
    containerd: Containerd, mirror: Registry, tmp_path: Path
) -> None:
    mirror.push(_archive("default"), "app:1")
    directory = _hosts(tmp_path / "certs.d", "_default", f'[host."http://{mirror.address}"]\n')
    _pull(containerd, "any.invalid/app:1", host_dir=directory)


def test_registry_is_asked_where_the_mirror_has_nothing(
    containerd: Containerd, registry: Registry, mirror: Registry, tmp_path: Path
) -> None:
    name = registry.push(_archive("origin"), "origin:1")
    directory = _hosts(
        tmp_path / "certs.d",
        registry.address,
        f'server = "http://{registry.address}"\n[host."http://{mirror.address}"]\n',
    )
    _pull(containerd, name, host_dir=directory)
    assert "/v2/origin/manifests/1" in mirror.log


def test_mirror_without_resolve_is_asked_by_digest_only(
    containerd: Containerd, registry: Registry, mirror: Registry, tmp_path: Path
) -> None:
    name = registry.push(_archive("new"), "split:1")
    mirror.push(_archive("new"), "split:1")
    mirror.push(_archive("old"), "split:1")
    directory = _hosts(
        tmp_path / "certs.d",
        registry.address,
        f'server = "http://{registry.address}"\n[host."http://{mirror.address}"]\n'
        'capabilities = ["pull"]\n',
    )
    before = len(mirror.log)
    _pull(containerd, name, host_dir=directory)
    asked = mirror.log[before:]
    assert "/v2/split/manifests/1" not in asked
    assert "/v2/split/blobs/sha256" in asked


def test_headers_go_to_their_host_only(
    containerd: Containerd, registry: Registry, tmp_path: Path
) -> None:
    name = registry.push(_archive("headers"), "headers:1")
    with _recorder() as recorder:
        directory = _hosts(
            tmp_path / "certs.d",
            registry.address,
            f'server = "http://{registry.address}"\n[host."http://{recorder.address}"]\n'
            f'[host."http://{recorder.address}".header]\nx-mine = ["one"]\n',
        )
        _pull(containerd, name, host_dir=directory, headers={"x-all": "two"})
    assert recorder.seen
    assert all(each["x-mine"] == "one" and each["x-all"] == "two" for each in recorder.seen)


class _Recorder:
    def __init__(self, address: str) -> None:
        self.address = address
        self.seen: list[Any] = []


@contextlib.contextmanager
def _recorder() -> Iterator[_Recorder]:
    """A mirror that has nothing, and remembers the headers of those who ask."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            recorder.seen.append(self.headers)
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = _Recorder(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority, and a certificate of it for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("ca")
    run = {"check": True, "capture_output": True, "cwd": folder}
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*words, "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.crt"], **run)  # type: ignore[call-overload]
    words = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", "server.key", "-out", "server.csr"], **run)  # type: ignore[call-overload]
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    words = ["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key"]
    words += ["-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.crt"]
    subprocess.run(words, **run)  # type: ignore[call-overload]
    return folder


@pytest.fixture
def secure(authority: Path, tmp_path: Path) -> Iterator[Registry]:
    """A registry with TLS."""
    tls = f"  tls: {{certificate: {authority}/server.crt, key: {authority}/server.key}}\n"
    with running_registry(tmp_path / "secure", http=tls) as registry:
        yield registry


def test_own_authority_and_unverified_tls(
    containerd: Containerd, secure: Registry, authority: Path, tmp_path: Path
) -> None:
    name = secure.push(_archive("secure"), "app:1")
    # Loopback is trusted without a certificate, as it is without TLS; through hosts.toml nothing is.
    server = f'server = "https://{secure.address}"\n'
    plain = _hosts(tmp_path / "none", secure.address, server)
    code, text = _fails(containerd, name, host_dir=plain)
    assert code is grpc.StatusCode.UNKNOWN
    assert "certificate verify failed" in text
    assert containerd.ctr("images", "ls", "-q") == ""
    trusted = _hosts(tmp_path / "ca", secure.address, f'{server}ca = "{authority}/ca.crt"\n')
    _pull(containerd, name, host_dir=trusted)
    containerd.ctr("images", "rm", "--sync", name)
    skipped = _hosts(tmp_path / "skip", secure.address, f"{server}skip_verify = true\n")
    _pull(containerd, name, host_dir=skipped)
    containerd.ctr("images", "rm", "--sync", name)
    # Docker's layout: no hosts.toml, but an authority beside.
    docker = tmp_path / "docker" / secure.address
    docker.mkdir(parents=True)
    shutil.copy(authority / "ca.crt", docker / "ca.crt")
    _pull(containerd, name, host_dir=str(docker.parent))


def test_malformed_hosts_file_is_named(
    containerd: Containerd, registry: Registry, tmp_path: Path
) -> None:
    directory = _hosts(tmp_path / "certs.d", registry.address, "capabilities = [")
    code, text = _fails(containerd, f"{registry.address}/app:1", host_dir=directory)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "hosts.toml" in text
    directory = _hosts(tmp_path / "certs.d", registry.address, 'capabilities = ["fly"]\n')
    code, text = _fails(containerd, f"{registry.address}/app:1", host_dir=directory)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "unknown capability 'fly'" in text


def test_daemon_reads_its_own_directory(
    containerd: Containerd, mirror: Registry, tmp_path: Path
) -> None:
    mirror.push(_archive("own"), "app:1")
    directory = _hosts(tmp_path / "own", "own.invalid", f'[host."http://{mirror.address}"]\n')
    containerd.end()
    containerd.flags = ("--hosts-dir", directory)
    containerd.start()
    try:
        _pull(containerd, "own.invalid/app:1")
    finally:
        containerd.end()
        containerd.flags = ()
        containerd.start()


def test_credentials_are_asked_for_and_stay_with_their_host(
    containerd: Containerd, registry: Registry, tmp_path: Path
) -> None:
    name = registry.push(_archive("auth"), "auth:1")
    with _challenger() as challenger:
        directory = _hosts(
            tmp_path / "certs.d",
            registry.address,
            f'server = "http://{registry.address}"\n[host."http://{challenger.address}"]\n',
        )
        asked = _answered(containerd, name, directory)
    assert asked == [challenger.address]
    basic = base64.b64encode(b"user:secret").decode()
    assert challenger.seen[-1]["Authorization"] == f"Basic {basic}"
    assert "Authorization" not in registry.log


def _answered(containerd: Containerd, name: str, directory: str) -> list[str]:
    """Pull, and answer requests for credentials; the hosts that they were asked for."""
    messages: queue.Queue[Any] = queue.Queue()
    stub = streaming_pb2_grpc.StreamingStub(containerd.channel)
    stream = stub.Stream(iter(messages.get, None), metadata=HERE)
    messages.put(typeurl.pack(streaming_pb2.StreamInit(id="credentials")))
    next(stream)
    asked: list[str] = []

    def answer() -> None:
        with contextlib.suppress(grpc.RpcError):
            for packed in stream:
                request = typeurl.unpack(packed)
                if isinstance(request, registry_pb2.AuthRequest):
                    asked.append(request.host)
                    response = registry_pb2.AuthResponse(
                        authType=registry_pb2.CREDENTIALS, username="user", secret="secret"
                    )
                    messages.put(typeurl.pack(response))

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        _pull(containerd, name, host_dir=directory, auth_stream="credentials")
    finally:
        messages.put(None)
        stream.cancel()
        thread.join()
    return asked


@contextlib.contextmanager
def _challenger() -> Iterator[_Recorder]:
    """A mirror that wants credentials and has nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            recorder.seen.append(self.headers)
            known = "Authorization" in self.headers
            self.send_response(404 if known else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="tests"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = _Recorder(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
