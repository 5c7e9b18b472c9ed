"""Images: a real registry, archives, tags, with the real CLI."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.stack import Stack, wait_until


@dataclass
class Registry:
    address: str
    directory: Path

    def push(self, archive: bytes, name: str) -> str:
        """Put an image into the registry with skopeo."""
        path = self.directory / "pushed.tar"
        path.write_bytes(archive)
        target = f"{self.address}/{name}"
        words = ["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false"]
        subprocess.run(
            [*words, f"docker-archive:{path}", f"docker://{target}"],
            check=True,
            capture_output=True,
        )
        return target


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Debian's docker-registry on a loopback port of its own."""
    if not (shutil.which("docker-registry") and shutil.which("skopeo")):
        pytest.skip("needs Debian's docker-registry and skopeo")
    directory = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\nlog: {{level: error}}\n"
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers)
        yield Registry(f"localhost:{port}", directory)
    finally:
        process.kill()
        process.wait()


def test_pull_runs_and_shares_layers(stack: Stack, registry: Registry) -> None:
    base = busybox_layer()
    one = registry.push(docker_archive("x:1", [base, layer({"one": b"1\n"})]), "app:one")
    two = registry.push(docker_archive("x:2", [base, layer({"two": b"2\n"})]), "app:two")
    out = stack.docker("pull", one)
    assert "Pull complete" in out or "Already exists" in out
    assert "Digest: sha256:" in out
    assert f"Status: Downloaded newer image for {one}" in out
    assert f"Status: Image is up to date for {one}" in stack.docker("pull", one)
    assert stack.docker("run", "--rm", one, "cat", "/one") == "1"
    assert stack.docker("run", "--rm", two, "cat", "/two") == "2"
    digest = stack.inspect(one)["RepoDigests"][0]
    assert digest.startswith(f"{registry.address}/app@sha256:")
    stack.docker("rmi", one)
    assert stack.docker("run", "--rm", two, "cat", "/two") == "2"
    assert stack.docker("run", "--rm", digest, "cat", "/one") == "1"
    stack.docker("rmi", two, digest)


def test_pull_of_what_is_not_there(stack: Stack, registry: Registry) -> None:
    error = stack.fails("pull", f"{registry.address}/nope:1")
    assert "not found" in error or "manifest unknown" in error
    assert stack.docker("images", "-q", f"{registry.address}/nope") == ""


def test_commit(stack: Stack) -> None:
    script = "echo new >/new; rm /etc/group; exec sleep 99"
    name = stack.docker("run", "-d", "-e", "KEPT=1", "-v", "/vol", "busybox", "sh", "-c", script)
    stack.docker("exec", name, "sh", "-c", "until [ -e /new ]; do :; done; touch /vol/hidden")
    changes = ("-c", "ENV ADDED=2", "-c", 'CMD ["cat", "/new"]', "-a", "somebody", "-m", "why")
    image = stack.docker("commit", *changes, name, "committed:1")
    assert image.startswith("sha256:")
    assert stack.inspect(name)["State"]["Paused"] is False
    assert stack.docker("run", "--rm", "committed:1") == "new"
    out = stack.docker(
        "run", "--rm", "committed:1", "sh", "-c", "env; ls /vol; ls /etc/group || true"
    )
    assert "KEPT=1" in out
    assert "ADDED=2" in out
    assert "hidden" not in out
    found = json.loads(stack.docker("image", "inspect", "committed:1"))[0]
    assert found["Id"] == image
    assert found["Author"] == "somebody"
    assert "why" in stack.docker("history", "--format", "{{.Comment}}", "committed:1")
    base = json.loads(stack.docker("image", "inspect", "busybox"))[0]["RootFS"]["Layers"]
    assert found["RootFS"]["Layers"][:-1] == base
    second = stack.docker("commit", "-p=false", name)
    assert stack.docker("run", "--rm", second, "cat", "/new") == "new"
    assert "No such container" in stack.fails("commit", "nope")
    refused = stack.fails("commit", "-c", "RUN true", name)
    assert "run is not a valid change command" in refused
    archive = stack.call("save", "committed:1", binary=True).stdout
    stack.docker("rmi", "-f", "committed:1", second)
    stack.docker("load", stdin=archive)
    assert stack.docker("run", "--rm", "committed:1") == "new"
    stack.docker("rm", "-fv", name)
    stack.docker("rmi", "committed:1")


def test_push(stack: Stack, registry: Registry) -> None:
    name = f"{registry.address}/pushed"
    stack.docker("tag", "busybox", f"{name}:one")
    stack.docker("tag", "busybox", f"{name}:two")
    out = stack.docker("push", f"{name}:one")
    assert f"The push refers to repository [{name}]" in out
    assert "Pushed" in out
    assert "one: digest: sha256:" in out
    again = stack.docker("push", "--all-tags", name)
    assert "Layer already exists" in again
    assert "two: digest: sha256:" in again
    stack.docker("rmi", f"{name}:one", f"{name}:two")
    assert stack.docker("run", "--rm", f"{name}:two", "echo", "pulled").endswith("pulled")
    missing = stack.fails("push", f"{registry.address}/nope")
    assert f"An image does not exist locally with the tag: {registry.address}/nope" in missing
    stack.docker("rmi", f"{name}:two")


def test_whiteouts_and_opaque_directories(stack: Stack) -> None:
    layers = [
        busybox_layer(),
        layer({"d/": b"", "d/a": b"1", "d/b": b"1", "gone": b"x"}),
        layer({"d/.wh.a": b"", ".wh.gone": b""}),
        layer({"e/": b"", "e/old": b""}),
        layer({"e/": b"", "e/.wh..wh..opq": b"", "e/new": b""}),
    ]
    stack.docker("load", stdin=docker_archive("white:1", layers))
    out = stack.docker("run", "--rm", "white:1", "sh", "-c", "ls /d /e; test -e /gone || echo no")
    assert out.split() == ["/d:", "b", "/e:", "new", "no"]
    stack.docker("rmi", "white:1")


def test_hostile_layers_stay_inside(stack: Stack) -> None:
    import io

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
        archive.addfile(link)
        file = tarfile.TarInfo("out/dockyard-escaped")
        archive.addfile(file, io.BytesIO())
    stack.call("load", stdin=docker_archive("evil:1", [busybox_layer(), buffer.getvalue()]))
    assert not Path("/tmp/dockyard-escaped").exists()
    stack.call("rmi", "evil:1")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../../tmp/dockyard-escaped"))
    stack.call("load", stdin=docker_archive("evil:2", [busybox_layer(), buffer.getvalue()]))
    assert not Path("/tmp/dockyard-escaped").exists()
    stack.call("rmi", "evil:2")


def test_tag_history_and_remove(stack: Stack) -> None:
    stack.docker("load", stdin=docker_archive("tagme:1", [layer({"only": b"here"})]))
    stack.docker("tag", "tagme:1", "tagme:2")
    identity = stack.inspect("tagme:1")["Id"]
    assert stack.inspect("tagme:2")["Id"] == identity
    assert sorted(stack.inspect("tagme:1")["RepoTags"]) == ["tagme:1", "tagme:2"]
    assert "layer 0" in stack.docker("history", "--no-trunc", "tagme:1")
    assert stack.docker("rmi", "tagme:1") == "Untagged: tagme:1"
    out = stack.docker("rmi", "tagme:2")
    assert "Untagged: tagme:2" in out
    assert f"Deleted: {identity}" in out
    assert "No such image: tagme:2" in stack.fails("rmi", "tagme:2")


def test_image_in_use_is_kept(stack: Stack) -> None:
    stack.docker("load", stdin=docker_archive("used:1", [busybox_layer(), layer({"u": b""})]))
    name = stack.docker("create", "used:1")
    error = stack.fails("rmi", "used:1")
    assert "conflict: unable to remove repository reference" in error
    assert name[:12] in error
    stack.docker("rm", name)
    stack.docker("rmi", "used:1")


def test_save_and_load(stack: Stack, tmp_path: Path) -> None:
    stack.docker("load", stdin=docker_archive("saved:1", [layer({"kept": b"content"})]))
    path = tmp_path / "saved.tar"
    stack.docker("save", "-o", str(path), "saved:1")
    identity = stack.inspect("saved:1")["Id"]
    with tarfile.open(path) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = archive.extractfile(manifest[0]["Config"]).read()  # type: ignore[union-attr]
    assert manifest[0]["RepoTags"] == ["saved:1"]
    assert {"index.json", "oci-layout"} <= set(names)
    assert f"sha256:{hashlib.sha256(config).hexdigest()}" == identity
    stack.docker("rmi", "saved:1")
    assert "Loaded image: saved:1" in stack.docker("load", "-i", str(path))
    assert stack.inspect("saved:1")["Id"] == identity
    words = ["skopeo", "inspect", "--config", f"docker-archive:{path}"]
    if shutil.which("skopeo"):
        assert b"made-by" in subprocess.run(words, check=True, capture_output=True).stdout
    stack.docker("rmi", "saved:1")


def test_import(stack: Stack) -> None:
    archive = busybox_layer()
    words = ("--change", "ENV A=imported", "--change", 'CMD ["sh"]', "-", "imported:1")
    stack.docker("import", *words, stdin=archive)
    assert stack.docker("run", "--rm", "imported:1", "/bin/sh", "-c", "echo $A") == "imported"
    stack.docker("rmi", "imported:1")


def test_broken_archives_are_refused(stack: Stack) -> None:
    before = stack.docker("images", "-q")
    assert stack.call("load", stdin=b"this is no archive" * 100).code == 1
    broken = docker_archive("broken:1", [layer({"x": b"y" * 10000})])
    assert stack.call("load", stdin=broken[: len(broken) // 2]).code == 1
    assert stack.docker("images", "-q") == before


def test_graph_driver_has_its_directories(stack: Stack) -> None:
    data = stack.inspect("busybox")["GraphDriver"]
    assert data["Name"] in ("overlay2", "overlayfs")
    name = stack.docker("run", "-d", "busybox", "sleep", "99")
    data = stack.inspect(name)["GraphDriver"]
    assert data["Name"] == "overlay2"
    assert set(data["Data"]) >= {"LowerDir", "MergedDir", "UpperDir", "WorkDir"}
    for key in ("LowerDir", "MergedDir", "UpperDir", "WorkDir"):
        for directory in data["Data"][key].split(":"):
            assert Path(directory).is_dir(), key


def test_images_that_others_are_made_of(stack: Stack) -> None:
    first = stack.docker("commit", stack.docker("create", "busybox", "one"))
    stack.docker("commit", stack.docker("create", first, "two"), "grown:1")
    stack.remove_all()
    try:
        listed = stack.docker("images", "-q", "--no-trunc").split()
        assert first not in listed
        assert first in stack.docker("images", "-aq", "--no-trunc").split()
        assert "image has dependent child images" in stack.fails("rmi", first)
        out = stack.docker("rmi", "grown:1")
        # The one without a name goes with it, busybox has one.
        assert f"Deleted: {first}" in out
        assert stack.docker("images", "-q", "busybox")
    finally:
        stack.call("rmi", "grown:1", first)


def test_progress_is_told_in_words_too(stack: Stack, registry: Registry) -> None:
    name = registry.push(docker_archive("x:1", [layer({"big": bytes(3_000_000)})]), "worded:1")
    status, text = stack.request("POST", f"/images/create?fromImage={name}")
    assert status == 200
    entries = [json.loads(each) for each in text.splitlines()]
    told = [each for each in entries if each.get("progressDetail", {}).get("total")]
    assert told
    assert all(each["progress"].startswith("[") and "B/" in each["progress"] for each in told)
    stack.docker("rmi", name)


def test_layers_may_be_larger_than_documents(stack: Stack, tmp_path: Path) -> None:
    large = layer({"large": bytes(9 << 20)})
    (tmp_path / "large.tar").write_bytes(large)
    stack.docker("import", str(tmp_path / "large.tar"), "large:1")
    stack.docker("load", stdin=docker_archive("large:2", [large]))
    saved = stack.call("save", "large:1", "large:2", binary=True).stdout
    stack.docker("rmi", "large:1", "large:2")
    assert "large:2" in stack.docker("load", stdin=saved)
    stack.docker("rmi", "large:1", "large:2")
