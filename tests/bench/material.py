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
    """A docker archive of the image `bench-SIZE`: base, small, big, many or deep."""
    layers = {"base": _base, "small": _small, "big": _big, "many": _many, "deep": _deep}[size]()
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


def _many() -> list[bytes]:
    """One layer of 20,000 files of up to 8 KB."""
    data = os.urandom(1 << 20)
    files = {}
    for index in range(20_000):
        at = index * 37 % (len(data) - 8192)
        files[f"d{index % 100}/s{index % 7}/f{index}"] = data[at : at + index * 13 % 8192]
    return [layer(files)]


def _deep() -> list[bytes]:
    """20 layers of 200 files each, half of which compresses well: 285 MB."""
    return [
        layer(
            {
                f"usr/l{number}/d{index % 10}/f{index}": os.urandom(size := 100 + index * 240)
                + b"compressible " * (size // 13)
                + f"line {number} {index}\n".encode() * (size // 12)
                for index in range(200)
            }
        )
        for number in range(20)
    ]


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
