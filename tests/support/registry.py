"""Debian's docker-registry on a loopback port of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.stack import wait_until


@dataclass
class Registry:
    """A running registry; ``log`` has a line for each request."""

    address: str
    directory: Path

    def push(self, archive: bytes, name: str, *options: str) -> str:
        """Put an image into the registry with skopeo; its reference."""
        path = self.directory / "pushed.tar"
        path.write_bytes(archive)
        target = f"{self.address}/{name}"
        words = ["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", *options]
        subprocess.run(
            [*words, f"docker-archive:{path}", f"docker://{target}"],
            check=True,
            capture_output=True,
        )
        return target

    def manifest(self, repository: str, tag: str) -> tuple[bytes, str]:
        """A manifest as the registry has it, and its media type."""
        accept = "application/vnd.oci.image.manifest.v1+json"
        request = urllib.request.Request(self._url(repository, tag), headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read(), response.headers["Content-Type"]

    def put(self, repository: str, tag: str, kind: str, document: dict[str, Any]) -> None:
        """Give the registry a manifest or an index."""
        request = urllib.request.Request(
            self._url(repository, tag),
            json.dumps(document).encode(),
            {"Content-Type": kind},
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=20).close()

    def _url(self, repository: str, tag: str) -> str:
        return f"http://{self.address}/v2/{repository}/manifests/{tag}"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")


@contextlib.contextmanager
def running_registry(directory: Path, settings: str = "", http: str = "") -> Iterator[Registry]:
    """Serve below ``directory``; ``settings`` and ``http`` are further lines of its YAML."""
    assert shutil.which("docker-registry"), "needs Debian's docker-registry"
    directory.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n{http}"
        f"log: {{accesslog: {{disabled: false}}, level: info}}\n{settings}"
    )
    with open(directory / "log", "ab") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=log, stderr=log
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
