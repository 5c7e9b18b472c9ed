"""What the daemon asks registries: logins, searches, tags, platforms, imports; with the real CLI."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import zstandard
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry, running_registry
from tests.support.stack import Stack

# Of the password `secret`.
_HTPASSWD = "someone:$2b$04$BmaMXH6ooVPBogRcW/y6tO096Bg/us.q0R1.5r8g/c.lBCdfxMV8C\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants a name and a password."""
    directory = tmp_path_factory.mktemp("guarded")
    (directory / "htpasswd").write_text(_HTPASSWD)
    settings = f"auth: {{htpasswd: {{realm: here, path: {directory}/htpasswd}}}}\n"
    with running_registry(directory, settings) as found:
        yield found


class Web(BaseHTTPRequestHandler):
    """Answers by path, and remembers what was asked."""

    answers: dict[str, tuple[int, bytes]] = {}
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.answers.get(self.path.partition("?")[0], (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Web.asked.clear()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_login_pull_push_and_logout(stack: Stack, guarded: Registry) -> None:
    name = f"{guarded.address}/kept:1"
    stack.docker("tag", "busybox", name)
    assert "no basic auth credentials" in stack.fails("push", name)
    wrong = stack.fails("login", "-u", "someone", "-p", "wrong", guarded.address)
    assert "401 Unauthorized" in wrong
    given = ("login", "-u", "someone", "--password-stdin", guarded.address)
    assert "Login Succeeded" in stack.docker(*given, stdin=b"secret")
    stack.docker("push", name)
    stack.docker("rmi", name)
    stack.docker("pull", "-q", name)
    stack.docker("rmi", name)
    stack.docker("logout", guarded.address)
    assert "no basic auth credentials" in stack.fails("pull", name)


def test_login_says_what_the_token_service_gave(stack: Stack) -> None:
    class Service(Web):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            host = self.headers["Host"]
            if path == "/token":
                fields = urllib.parse.parse_qs(query)
                good = self.headers["Authorization"] == "Basic bWU6cGFzcw=="
                assert fields["service"] == ["here"]
                assert fields["offline_token"] == ["true"]
                body = {"token": "t", "refresh_token": "for-later"}
                error = {
                    "errors": [
                        {"code": "UNAUTHORIZED", "message": "incorrect username or password"}
                    ]
                }
                self._answer(200 if good else 401, body if good else error)
            elif self.headers["Authorization"] == "Bearer t":
                self._answer(200, {})
            else:
                self.send_response(401)
                self.send_header(
                    "WWW-Authenticate", f'Bearer realm="http://{host}/token",service="here"'
                )
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _answer(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"127.0.0.1:{server.server_address[1]}"
        auth = {"username": "me", "password": "pass", "serveraddress": address}
        status, answer = stack.request("POST", "/auth", auth)
        assert (status, answer) == (
            200,
            {"Status": "Login Succeeded", "IdentityToken": "for-later"},
        )
        status, answer = stack.request("POST", "/auth", {**auth, "password": "no"})
        assert status == 401
        expected = f'Get "http://{address}/v2/": unauthorized: incorrect username or password'
        assert answer["message"] == expected
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_search(stack: Stack, web: str) -> None:
    results = [
        {"name": "some/app", "star_count": 9, "is_official": False, "description": "one"},
        {"name": "app", "star_count": 3, "is_official": True, "description": "two"},
    ]
    Web.answers = {"/v1/search": (200, json.dumps({"results": results}).encode())}
    shown = stack.docker("search", "--format", "{{.Name}} {{.StarCount}}", f"{web}/app")
    assert shown.splitlines() == ["some/app 9", "app 3"]
    assert Web.asked[-1] == "/v1/search?q=app&n=25"
    shown = stack.docker(
        "search", "--limit", "7", "-f", "is-official=true", "--format", "{{.Name}}", f"{web}/app"
    )
    assert shown == "app"
    assert Web.asked[-1].endswith("&n=7")
    assert (
        stack.docker("search", "-f", "stars=5", "--format", "{{.Name}}", f"{web}/app") == "some/app"
    )
    assert "outside the range of [1, 100]" in stack.fails("search", "--limit", "101", f"{web}/app")
    assert "should not have a scheme" in stack.fails("search", f"http://{web}/app")
    Web.answers = {}
    assert "Unexpected status code 404" in stack.fails("search", f"{web}/app")


def test_distribution_and_all_tags(stack: Stack, registry: Registry) -> None:
    base = busybox_layer()
    for tag in ("one", "two"):
        registry.push(docker_archive("x:1", [base, layer({tag: b"!"})]), f"several:{tag}")
    status, answer = stack.request("GET", f"/distribution/{registry.address}/several:one/json")
    assert status == 200
    assert answer["Platforms"] == [{"architecture": "amd64", "os": "linux"}]
    assert set(answer["Descriptor"]) == {"mediaType", "digest", "size"}
    status, _ = stack.request("GET", f"/distribution/{registry.address}/several:none/json")
    assert status == 404
    out = stack.docker("pull", "-a", f"{registry.address}/several")
    assert f"Status: Downloaded newer image for {registry.address}/several" in out
    tags = stack.docker("images", "--format", "{{.Tag}}", f"{registry.address}/several").split()
    assert sorted(tags) == ["one", "two"]
    assert "repository" in stack.fails("pull", "-a", f"{registry.address}/nowhere")
    stack.docker("rmi", *(f"{registry.address}/several:{tag}" for tag in tags))


def _index(registry: Registry, name: str) -> str:
    """An image for amd64 and arm64 in the registry; both run here, as only their configs differ."""
    entries = []
    for architecture in ("amd64", "arm64"):
        layers = [busybox_layer(), layer({"which": architecture.encode()})]
        archive = docker_archive("x:1", layers).replace(
            b'"architecture": "amd64"', f'"architecture": "{architecture}"'.encode()
        )
        registry.push(archive, f"{name}:{architecture}", "--format", "oci")
        raw, kind = registry.manifest(name, architecture)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        platform = {"os": "linux", "architecture": architecture}
        entries.append(
            {"mediaType": kind, "digest": digest, "size": len(raw), "platform": platform}
        )
    kind = "application/vnd.oci.image.index.v1+json"
    registry.put(name, "all", kind, {"schemaVersion": 2, "mediaType": kind, "manifests": entries})
    return f"{registry.address}/{name}:all"


def test_platforms(stack: Stack, registry: Registry) -> None:
    name = _index(registry, "multi")
    _, answer = stack.request("GET", f"/distribution/{name}/json")
    assert [each["architecture"] for each in answer["Platforms"]] == ["amd64", "arm64"]
    stack.docker("pull", "-q", "--platform", "linux/arm64", name)
    assert stack.docker("image", "inspect", "-f", "{{.Architecture}}", name) == "arm64"
    done = stack.call("run", "--rm", name, "cat", "/which")
    assert done.out == "arm64"
    assert "platform (linux/arm64) does not match the detected host platform" in done.err
    alone = _layers_of(stack, name)
    assert list(alone) == ["arm64"]
    # It is not here for this one, and the CLI pulls it.
    ran = stack.docker("run", "--rm", "-q", "--platform", "linux/amd64", name, "cat", "/which")
    assert ran == "amd64"
    _, image = stack.request("GET", f"/images/{name}/json?manifests=1")
    shown = {
        each["ImageData"]["Platform"]["architecture"]: each["Available"]
        for each in image["Manifests"]
    }
    assert shown == {"amd64": True, "arm64": True}
    assert all(each["ImageData"]["Size"]["Unpacked"] > 0 for each in image["Manifests"])
    assert _layers_of(stack, name, "--platform", "linux/arm64") == alone
    assert list(_layers_of(stack, name, "--platform", "linux/amd64")) == ["amd64"]
    # One of several cannot be pushed alone yet.
    _, answer = stack.request(
        "POST", f'/images/{name}/push?platform={{"os":"linux","architecture":"arm64"}}'
    )
    assert "pushing one platform of several is not supported here" in str(answer)
    missing = stack.fails("pull", "--platform", "linux/s390x", name)
    assert "no matching manifest for linux/s390x in the manifest list entries" in missing
    assert "unknown operating system" in stack.fails("pull", "--platform", "foobar", name)
    stack.docker("rmi", name)


def _layers_of(stack: Stack, name: str, *options: str) -> dict[str, list[str]]:
    """By architecture, the layers that an archive of an image has; nothing else may be in it."""
    done = stack.call("save", *options, name, binary=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:

        def read(path: str) -> bytes:
            member = archive.extractfile(path)
            assert member is not None
            return member.read()

        (entry,) = json.loads(read("manifest.json"))
        architecture = json.loads(read(entry["Config"]))["architecture"]
        blobs = {each for each in archive.getnames() if each.startswith("blobs/sha256/")}
        # Beside layers and config: the manifest, and the index.
        assert len(blobs) == len(entry["Layers"]) + 3
        assert {*entry["Layers"], entry["Config"]} < blobs
        return {architecture: entry["Layers"]}


def test_import_from_a_server(stack: Stack, web: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("given")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    Web.answers = {"/tree.tgz": (200, buffer.getvalue())}
    out = stack.docker(
        "import", "-m", "from afar", "-c", "CMD /given", "--platform", "linux/arm64",
        f"http://{web}/tree.tgz", "imported:1",
    )  # fmt: skip
    assert out.splitlines()[-1].startswith("sha256:")
    image = stack.inspect("imported:1")
    assert image["Comment"] == "from afar"
    assert image["Architecture"] == "arm64"
    assert image["Config"]["Cmd"] == ["/bin/sh", "-c", "/given"]
    stack.docker("rmi", "imported:1")
    assert "404" in stack.fails("import", f"http://{web}/nothing.tgz")
    secret = tmp_path / "secret"
    secret.write_bytes(buffer.getvalue())
    _, answer = stack.request("POST", f"/images/create?repo=stolen&fromSrc=file://{secret}", b"")
    assert "unsupported protocol scheme" in str(answer)


def test_sizes_and_shares(stack: Stack) -> None:
    base = busybox_layer()
    own = layer({"own": bytes(300_000)})
    stack.docker("load", stdin=docker_archive("sized:1", [base, own]))
    try:
        _, images = stack.request("GET", "/images/json?shared-size=1")
        by_tag = {tag: each for each in images for tag in each["RepoTags"]}
        sized, busybox = by_tag["sized:1"], by_tag["busybox:latest"]
        # Unpacked, not as the archive has it; the layer of busybox is that of the other image.
        assert sized["Size"] - busybox["Size"] in range(300_000, 340_000)
        assert sized["SharedSize"] == busybox["Size"] == busybox["SharedSize"]
        stack.docker("create", "sized:1")
        _, images = stack.request("GET", "/images/json")
        listed = next(each for each in images if "sized:1" in each["RepoTags"])
        assert (listed["Containers"], listed["SharedSize"]) == (1, -1)
        upper = Path(stack.inspect("sized:1")["GraphDriver"]["Data"]["UpperDir"])
        assert [each.name for each in upper.iterdir()] == ["own"]
        _, usage = stack.request("GET", "/system/df?type=image")
        everything = {each["Id"]: each for each in usage["Images"]}
        assert everything[sized["Id"]]["SharedSize"] == sized["SharedSize"]
        unique = sum(each["Size"] - each["SharedSize"] for each in everything.values())
        assert usage["LayersSize"] == unique + busybox["Size"]
    finally:
        stack.remove_all()
        stack.docker("rmi", "sized:1")


def test_older_versions_show_the_container_of_an_image(stack: Stack) -> None:
    container = stack.docker("create", "busybox", "true")
    image = stack.docker("commit", container)
    try:
        _, new = stack.request("GET", f"/v1.44/images/{image}/json")
        assert "Container" not in new
        assert new["Parent"] == stack.inspect("busybox")["Id"]
        _, old = stack.request("GET", f"/v1.43/images/{image}/json")
        assert old["Container"] == container
        assert old["ContainerConfig"]["Image"] == "busybox"
    finally:
        stack.docker("rmi", image)


def test_pushes_tell_how_far_they_are(stack: Stack, registry: Registry) -> None:
    name = f"{registry.address}/far:1"
    stack.docker("load", stdin=docker_archive(name, [layer({"big": os.urandom(2_000_000)})]))
    _, text = stack.request(
        "POST", f"/images/{registry.address}/far/push?tag=1", b"", {"X-Registry-Auth": "e30="}
    )
    entries = [json.loads(each) for each in text.splitlines()]
    told = [each["progressDetail"] for each in entries if each.get("status") == "Pushing"]
    assert told
    assert all(0 < each["current"] <= each["total"] for each in told)
    assert entries[-1]["aux"]["Tag"] == "1"
    _, old = stack.request("GET", f"/v1.43/images/{name}/json")
    assert old["VirtualSize"] == old["Size"]
    stack.docker("rmi", name)


def test_a_token_made_before_is_shown_as_it_is(stack: Stack) -> None:
    class Service(Web):
        seen: ClassVar[list[tuple[str, str]]] = []

        def do_GET(self) -> None:
            given = self.headers["Authorization"] or ""
            self.seen.append((self.path, given))
            self.send_response(404 if given == "Bearer made-before" else 401)
            # A service that nobody must need: the port is closed.
            self.send_header("WWW-Authenticate", 'Bearer realm="http://127.0.0.1:1/token"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the library's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"127.0.0.1:{server.server_address[1]}"
        document = json.dumps({"registrytoken": "made-before"}).encode()
        headers = {"X-Registry-Auth": base64.urlsafe_b64encode(document).decode()}
        for method, path in (
            ("POST", f"/images/create?fromImage={address}/app&tag=1"),
            ("GET", f"/distribution/{address}/app:1/json"),
        ):
            Service.seen.clear()
            status, answer = stack.request(method, path, headers=headers)
            assert (status, "token" in str(answer)) == (404, False), answer
            assert "Bearer made-before" in {given for _, given in Service.seen}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_import_of_what_zstd_has_packed(stack: Stack) -> None:
    tree = layer({"etc/": b"", "etc/given": b"x" * 100_000})
    half = len(tree) // 2
    # Two frames, as parallel compressors write them.
    packed = zstandard.compress(tree[:half]) + zstandard.compress(tree[half:])
    stack.docker("import", "-", "packed:1", stdin=packed)
    found = json.loads(stack.docker("image", "inspect", "packed:1"))[0]
    assert found["RootFS"]["Layers"] == [f"sha256:{hashlib.sha256(tree).hexdigest()}"]
    broken = stack.fails("import", "-", "broken:1", stdin=packed[:40] + b"?" * 60)
    assert "the archive cannot be read" in broken
    stack.docker("rmi", "packed:1")
