"""docker-py's source packages, which have its tests, and an environment that they run in."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

RELEASES: Final = ("6.1.3", "5.0.3")
# Near what their test-requirements.txt pin: newer ones of requests do not know their Unix sockets, and 5.0.3 needs a
# setuptools whose distutils do not warn, because the tests take warnings for failures.
_PACKAGES: Final = {
    "6.1.3": (
        *("requests==2.28.1", "urllib3==1.26.11", "websocket-client==1.3.3", "packaging==21.3"),
        *("paramiko==2.11.0", "setuptools==65.5.1", "pytest==7.1.2", "pytest-timeout==2.1.0"),
    ),
    "5.0.3": (
        *("requests==2.26.0", "urllib3==1.26.5", "websocket-client==0.56.0", "packaging==21.3"),
        *("paramiko==2.11.0", "setuptools==54.1.1", "pytest==7.1.2", "pytest-timeout==2.1.0"),
    ),
}


def fetch(folder: Path) -> None:
    """Sources and environments below ``folder``, unless they are there."""
    for release in RELEASES:
        if not tree(folder, release).exists():
            _fetch(folder, release)
        environment = folder / f"venv-{release}"
        if not (environment / ".complete").exists():
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
            pip = [python(folder, release), "-m", "pip", "install", "-q"]
            subprocess.run([*pip, *_PACKAGES[release]], check=True)
            (environment / ".complete").touch()


def _fetch(folder: Path, release: str) -> None:
    words = ["download", "-q", "--no-deps", "--no-binary", "docker", "-d", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *words, f"docker=={release}"], check=True)
    with tarfile.open(folder / f"docker-{release}.tar.gz") as archive:
        archive.extractall(folder, filter="data")


def tree(folder: Path, release: str) -> Path:
    """Where a release's sources are."""
    return folder / f"docker-{release}"


def python(folder: Path, release: str) -> Path:
    """The interpreter of a release's environment."""
    return folder / f"venv-{release}/bin/python"
