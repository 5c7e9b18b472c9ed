"""dockerd's mirrors and insecure registries with the docker CLI and a real registry; dockerd has its own network namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.containerd import running_containerd
from tests.support.images import docker_archive, layer
from tests.support.registry import Registry
from tests.support.stack import BIN, Done, wait_until


class Docker:
    """The CLI and its daemon."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                *("unshare", "--net", BIN / "dockerd"),
                *("--data-root", self.root / "docker", "--exec-root", self.root / "run"),
                *("--containerd", self.root / "containerd/c.sock", "-H", self.url),
                *("--bridge", "dy-mirror", "--bip", "10.231.7.1/24", *flags),
                *("--config-file", "", "--pidfile", ""),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self.call("version").code == 0)
        return process

    @property
    def url(self) -> str:
        return f"unix://{self.root}/docker.sock"

    def call(self, *words: str) -> Done:
        environment = {**os.environ, "DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.root)}
        done = subprocess.run(
            ["docker", *words], capture_output=True, env=environment, timeout=40, text=True
        )
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def docker(registry: Registry) -> Iterator[Docker]:
    """A dockerd whose mirror of Docker Hub is the registry."""
    if os.geteuid() != 0 or shutil.which("docker") is None or not (BIN / "dockerd").exists():
        pytest.skip("needs root, the docker CLI and a built stack")
    root = Path(tempfile.mkdtemp(prefix="dockyard-mirror-"))
    with running_containerd(root / "containerd"):
        docker = Docker(root)
        process = docker.start(
            *("--registry-mirror", f"http://{registry.address}"),
            *("--insecure-registry", "unsafe.invalid:5000", "--insecure-registry", "10.9.0.0/16"),
        )
        try:
            yield docker
        finally:
            process.terminate()
            process.wait(20)
    shutil.rmtree(root, ignore_errors=True)


def test_mirror_stands_in_for_the_hub(docker: Docker, registry: Registry) -> None:
    registry.push(docker_archive("x:1", [layer({"a": b"1"})]), "library/mirrored:1")
    done = docker.call("pull", "mirrored:1")
    assert done.code == 0, done.err
    assert "Status: Downloaded newer image for mirrored:1" in done.out
    assert docker.call("images", "-q", "mirrored:1").out
    assert "/v2/library/mirrored/manifests/1?ns=docker.io" in registry.log
    info = json.loads(docker.call("info", "--format", "{{json .RegistryConfig}}").out)
    assert info["Mirrors"] == [f"http://{registry.address}/"]
    assert info["IndexConfigs"]["unsafe.invalid:5000"]["Secure"] is False
    assert "10.9.0.0/16" in info["InsecureRegistryCIDRs"]


def test_bad_settings_are_named(docker: Docker) -> None:
    done = subprocess.run(
        [BIN / "dockerd", "--config-file", "", "--registry-mirror", "ftp://x"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert 'invalid mirror: unsupported scheme "ftp"' in done.stderr
