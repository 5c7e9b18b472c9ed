"""Our dockerd with flags and a file of its own, on a containerd of its own, beside every other engine of the machine."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.containerd import running_containerd
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, DOCKER, Stack, wait_until


@dataclass
class Dockerd(Stack):
    """One daemon; `start` and `stop` may alternate. The CLI's verbs are those of a stack."""

    process: subprocess.Popen[bytes] | None = None
    environment_more: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.root / "daemon.json"

    @property
    def bridge(self) -> str:
        return f"dyd{zlib.crc32(str(self.root).encode()):08x}"

    @property
    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    @property
    def pidfile(self) -> Path:
        return self.root / "docker.pid"

    def command(self, *flags: str) -> list[str]:
        octet = 64 + zlib.crc32(str(self.root).encode()) % 64
        return [
            f"{BIN}/dockerd",
            *("--config-file", str(self.file), "--data-root", f"{self.root}/docker"),
            *("--exec-root", f"{self.root}/run", "--pidfile", str(self.pidfile)),
            *("--containerd", f"{self.root}/containerd/c.sock", "-H", self.url),
            *("--bridge", self.bridge, "--bip", f"10.232.{octet}.1/24", *flags),
        ]

    def configure(self, **document: Any) -> None:
        self.file.write_text(json.dumps({k.replace("_", "-"): v for k, v in document.items()}))

    def start(self, *flags: str) -> None:
        """Start it, and wait until it says that it serves."""
        path = self.root / "notify"
        path.unlink(missing_ok=True)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
            open(self.root / "log", "ab") as log,
        ):
            notify.bind(str(path))
            self.process = subprocess.Popen(
                self.command(*flags),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment_more, "NOTIFY_SOCKET": str(path)},
            )
            ended = os.pidfd_open(self.process.pid)
            try:
                ready, _, _ = select.select([notify, ended], [], [], 40)
            finally:
                os.close(ended)
            assert notify in ready, self.log

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def reload(self, word: str = '"reloaded configuration"') -> None:
        """SIGHUP, and wait for what the log says then."""
        assert self.process is not None
        before = self.log.count(word)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log.count(word) > before, what=word)

    def clear(self) -> None:
        """Remove its containers, also those that a test left behind with a daemon that has ended, and stop it."""
        running = self.process is not None and self.process.poll() is None
        containers = self.root / "docker/containers"
        if not running and containers.exists() and any(containers.iterdir()):
            self.configure()
            self.start()
            running = True
        if running:
            with contextlib.suppress(AssertionError):
                self.remove_all()
            self.stop()

    def refused(self, *flags: str) -> str:
        """A start that must fail at once; its standard error."""
        done = subprocess.run(self.command(*flags), capture_output=True, text=True, timeout=30)
        assert done.returncode == 1, done
        return done.stderr


@contextlib.contextmanager
def own_dockerd(*, image: bool = True) -> Iterator[Dockerd]:
    """A daemon that has been started once, with busybox, and is stopped; nothing of it stays behind."""
    if os.geteuid() != 0 or DOCKER is None or not (BIN / "dockerd").exists():
        pytest.skip("needs root, the docker CLI and a built stack")
    root = Path(tempfile.mkdtemp(prefix="dockyard-own-"))
    daemon = Dockerd(root)
    daemon.configure()
    try:
        with running_containerd(root / "containerd"):
            try:
                if image:
                    daemon.start()
                    daemon.docker("load", stdin=docker_archive(BUSYBOX, [busybox_layer()]))
                    daemon.stop()
                yield daemon
            finally:
                daemon.clear()
                subprocess.run(
                    [
                        *(sys.executable, "-m", "dockerd.leftovers"),
                        *(daemon.bridge, f"{root}/docker", f"{root}/run"),
                    ],
                    check=True,
                )
    finally:
        shutil.rmtree(root, ignore_errors=True)
