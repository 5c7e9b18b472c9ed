"""One containerd, one registry and one image for the tests with Debian's ctr."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.containerd import Containerd, running_containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry, running_registry
from tests.support.stack import BIN

IMAGE = "docker.io/library/busybox:latest"
LAYERS = [
    busybox_layer,
    lambda: layer({"two": b"2\n"}),
    lambda: layer({".wh.two": b"", "three": b"3\n"}),
]


@pytest.fixture(scope="package")
def daemon() -> Iterator[Containerd]:
    """One daemon for the package."""
    if os.geteuid() != 0 or not (BIN / "containerd").exists():
        pytest.skip("needs root and a built stack")
    if shutil.which("ctr") is None:
        pytest.skip("needs Debian's containerd for its ctr")
    with running_containerd(Path(tempfile.mkdtemp(prefix="dockyard-ctr-"))) as daemon:
        yield daemon


@pytest.fixture(scope="package")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of three layers as `docker save` writes it."""
    path = tmp_path_factory.mktemp("images") / "busybox.tar"
    path.write_bytes(docker_archive(IMAGE, [make() for make in LAYERS]))
    return path


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry without anything in it."""
    if not shutil.which("skopeo"):
        pytest.skip("needs Debian's skopeo")
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
def containerd(daemon: Containerd) -> Iterator[Containerd]:
    """The daemon, without containers and images before and after the test."""
    yield daemon
    daemon.empty()


@pytest.fixture
def image(containerd: Containerd, archive: Path) -> str:
    """The image, imported and unpacked."""
    containerd.ctr("images", "import", archive)
    return IMAGE
