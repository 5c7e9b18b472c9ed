"""docker-py's source packages, which have its tests, and an environment that they run in."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

RELEASES: Final = ("6.1.3", "5.0.3")
# What 6.1.3's test-requirements.txt pins; newer ones of requests and urllib3 do not know its Unix sockets.
_PACKAGES: Final = (
    "requests==2.28.1",
    "urllib3==1.26.11",
    "websocket-client==1.3.3",
    "packaging==21.3",
    "paramiko==2.11.0",
    "setuptools==65.5.1",
    "pytest==7.1.2",
    "pytest-timeout==2.1.0",
)


def fetch(folder: Path) -> None:
    """Sources and environment below ``folder``, unless they are there."""
    for release in RELEASES:
        if not tree(folder, release).exists():
            _fetch(folder, release)
    if not (folder / "venv/.complete").exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        subprocess.run([python(folder), "-m", "pip", "install", "-q", *_PACKAGES], check=True)
        (folder / "venv/.complete").touch()


def _fetch(folder: Path, release: str) -> None:
    words = ["download", "-q", "--no-deps", "--no-binary", "docker", "-d", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *words, f"docker=={release}"], check=True)
    with tarfile.open(folder / f"docker-{release}.tar.gz") as archive:
        archive.extractall(folder, filter="data")


def tree(folder: Path, release: str) -> Path:
    """Where a release's sources are."""
    return folder / f"docker-{release}"


def python(folder: Path) -> Path:
    """The environment's interpreter."""
    return folder / "venv/bin/python"
