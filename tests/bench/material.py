"""Files that the cases move, made once a run from random bytes and the machine's busybox: no network is needed."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.images import busybox_layer, docker_archive, layer

LINES: Final = 2_000_000
PADDING: Final = "x" * 92
_BLOB: Final = 200_000_000


@cache
def archive(work: Path, size: str) -> Path:
    """A docker archive of the image `bench-SIZE`: base, small or big."""
    layers = {"base": _base, "small": _small, "big": _big}[size]()
    path = work / f"{size}.tar"
    path.write_bytes(docker_archive(f"bench-{size}:latest", layers))
    return path


def _base() -> list[bytes]:
    return [busybox_layer()]


def _small() -> list[bytes]:
    return [
        layer(
            {
                f"d{number}/s{index % 20}/f{index}": os.urandom(100 + index * 41)
                for index in range(400)
            }
        )
        for number in range(5)
    ]


def _big() -> list[bytes]:
    return [layer({"mark": b"of the benchmark"}), layer({"blob": os.urandom(_BLOB)})]


@cache
def lines(work: Path) -> Path:
    """200 MB of numbered lines of 100 bytes, as `seq -w` writes them."""
    path = work / "lines"
    width = len(str(LINES))
    numbers = (f"{number:0{width}d}" for number in range(1, LINES + 1))
    path.write_text(f"{PADDING}\n".join(numbers) + "\n")
    return path


@cache
def lines_digest(work: Path) -> str:
    """The SHA-256 of ``lines``."""
    with lines(work).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
