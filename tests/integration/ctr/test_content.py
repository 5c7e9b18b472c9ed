"""ctr content: reading, labelling, uploading."""

from __future__ import annotations

import hashlib

from tests.support.containerd import Containerd
from tests.support.images import docker_archive, layer
from tests.support.registry import Registry
from tests.support.stack import wait_until

HELLO = b"hello"
DIGEST = f"sha256:{hashlib.sha256(HELLO).hexdigest()}"


def _ingest(containerd: Containerd, ref: str, data: bytes, digest: str, size: int) -> str:
    words = ("content", "ingest", "--expected-digest", digest, "--expected-size", str(size), ref)
    done = containerd.call(*words, stdin=data)
    return done.err if done.code else ""


def test_list_get_and_label(containerd: Containerd, image: str) -> None:
    containerd.collect()
    digests = containerd.ctr("content", "ls", "-q").split()
    assert set(digests) == containerd.blobs()
    for digest in digests:
        done = containerd.call("content", "get", digest)
        assert done.code == 0
    assert "mine=1" in containerd.ctr("content", "label", digests[0], "mine=1").split(",")
    assert containerd.ctr("content", "ls", "-q", "labels.mine==1") == digests[0]
    assert "not found" in containerd.fails("content", "get", f"sha256:{'0' * 64}")


def test_fetch_brings_content_without_unpacking(containerd: Containerd, registry: Registry) -> None:
    name = registry.push(docker_archive("x:1", [layer({"a": b"1"})]), "fetched:1")
    containerd.ctr("content", "fetch", "--plain-http", name)
    assert containerd.ctr("images", "ls", "-q") == name
    assert len(containerd.blobs()) == 3
    assert containerd.directories() == set()


def test_upload(containerd: Containerd) -> None:
    assert _ingest(containerd, "up", HELLO, DIGEST, 5) == ""
    assert containerd.ctr("content", "get", DIGEST) == "hello"
    assert _ingest(containerd, "up", HELLO, DIGEST, 5) == ""
    wait_until(lambda: containerd.ctr("content", "ls", "-q") == "" or containerd.collect())
    assert containerd.uploads() == set()


def test_wrong_size_and_digest_are_refused(containerd: Containerd) -> None:
    assert "failed size validation: 5 != 4" in _ingest(containerd, "size", HELLO, DIGEST, 4)
    assert "unexpected commit digest" in _ingest(containerd, "sum", b"hullo", DIGEST, 5)
    assert DIGEST not in containerd.blobs()
    active = containerd.ctr("content", "active")
    assert {line.split()[0] for line in active.splitlines()[1:]} == {"size", "sum"}


def test_delete_hides_at_once(containerd: Containerd) -> None:
    assert _ingest(containerd, "gone", HELLO, DIGEST, 5) == ""
    containerd.ctr("content", "rm", DIGEST)
    assert "not found" in containerd.fails("content", "get", DIGEST)
    wait_until(lambda: DIGEST not in containerd.blobs())
