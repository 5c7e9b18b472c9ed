"""ctr namespaces."""

from __future__ import annotations

from pathlib import Path

from tests.support.containerd import Containerd
from tests.support.stack import wait_until


def test_life_of_a_namespace(containerd: Containerd) -> None:
    containerd.ctr("namespaces", "create", "life", "a=1")
    containerd.ctr("namespaces", "label", "life", "b=2")
    listed = {line.split()[0]: line for line in containerd.ctr("namespaces", "ls").splitlines()}
    assert listed["life"].split()[1] == "a=1,b=2"
    assert "already exists" in containerd.fails("namespaces", "create", "life")
    assert containerd.ctr("namespaces", "rm", "life") == "life"
    assert "life" not in containerd.ctr("namespaces", "ls", "-q").split()


def test_invalid_names_are_refused(containerd: Containerd) -> None:
    assert "must match" in containerd.fails("namespaces", "create", "../up")
    assert "namespace validation" in containerd.fails("-n", "../up", "images", "ls")


def test_namespaces_do_not_see_each_other(
    containerd: Containerd, image: str, archive: Path
) -> None:
    assert containerd.ctr("-n", "other", "images", "ls", "-q") == ""
    assert containerd.ctr("-n", "other", "content", "ls", "-q") == ""
    assert "not found" in containerd.fails("-n", "other", "images", "mount", image, "/nowhere")
    containerd.ctr("-n", "other", "images", "import", archive)
    containerd.ctr("images", "rm", "--sync", image)
    assert containerd.ctr("images", "ls", "-q") == ""
    out = containerd.ctr("-n", "other", "run", "--rm", image, "one", "cat", "/three")
    assert out == "3"


def test_a_namespace_with_something_in_it_stays(containerd: Containerd, archive: Path) -> None:
    containerd.ctr("-n", "full", "images", "import", archive)
    error = containerd.fails("namespaces", "rm", "full")
    assert 'namespace "full" must be empty, but it still has images, blobs, snapshots' in error
    containerd.ctr("-n", "full", "images", "rm", "--sync", *_images(containerd, "full"))
    containerd.ctr("namespaces", "rm", "full")
    wait_until(lambda: "full" not in containerd.ctr("namespaces", "ls", "-q").split())


def _images(containerd: Containerd, namespace: str) -> list[str]:
    return containerd.ctr("-n", namespace, "images", "ls", "-q").split()
