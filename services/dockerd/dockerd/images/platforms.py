"""Platforms: ``os/architecture/variant``, and which manifests of an index are for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wire import jsontext
from wire.errors import InvalidArgument
from wire.gen.containerd.types import platform_pb2

_PART: Final = re.compile(r"[A-Za-z0-9_.-]+")
_SYSTEMS: Final = frozenset(
    {"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9",
     "solaris", "wasip1", "windows"}
)  # fmt: skip
_ARCHITECTURES: Final = {
    "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm",
}  # fmt: skip
_VARIANTS: Final = {
    ("arm64", "v8"): "",
    ("arm64", "8"): "",
    ("arm", "7"): "v7",
    ("arm", "6"): "v6",
    ("amd64", "v1"): "",
}
_ATTESTATION: Final = "vnd.docker.reference.type"
_MOST_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image is for; an empty variant is any."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        """As users write it."""
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def message(self) -> platform_pb2.Platform:
        """As containerd has it."""
        return platform_pb2.Platform(
            os=self.os, architecture=self.architecture, variant=self.variant
        )

    def fits(self, found: Mapping[str, Any]) -> bool:
        """Whether a descriptor's platform, or a config, is one of this; what says nothing may be."""
        given = _normalised(
            found.get("os") or self.os,
            found.get("architecture") or self.architecture,
            found.get("variant") or "",
        )
        same = (given.os, given.architecture) == (self.os, self.architecture)
        return same and (not self.variant or given.variant == self.variant)


HOST: Final = Platform("linux", "amd64")


def parse(text: str) -> Platform:
    """``linux/arm64/v8``, ``arm64`` or ``linux``; raises InvalidArgument in Docker's words."""
    parts = text.split("/")
    if len(parts) > _MOST_PARTS or not all(_PART.fullmatch(each) for each in parts):
        raise InvalidArgument(f'"{text}": invalid platform specification')
    lowered = [each.lower() for each in parts]
    if len(lowered) == 1:
        if lowered[0] in _SYSTEMS:
            return Platform(lowered[0], HOST.architecture)
        known = {
            *_ARCHITECTURES,
            *_ARCHITECTURES.values(),
            "ppc64le",
            "s390x",
            "riscv64",
            "mips64le",
            "loong64",
        }
        if lowered[0] in known:
            return _normalised(HOST.os, lowered[0], "")
        raise InvalidArgument(
            f'"{text}": unknown operating system or architecture: invalid argument'
        )
    return _normalised(lowered[0], lowered[1], lowered[2] if len(lowered) == _MOST_PARTS else "")


def of(config: Mapping[str, Any]) -> Platform:
    """What an image's config says that it is for."""
    system, architecture = config.get("os") or HOST.os, config.get("architecture")
    return _normalised(system, architecture or HOST.architecture, config.get("variant") or "")


def from_json(text: str) -> Platform:
    """The JSON object that newer parameters have; raises InvalidArgument."""
    try:
        found = jsontext.loads(text)
        system, architecture = found["os"], found["architecture"]
    except (ValueError, KeyError, TypeError):
        raise InvalidArgument(f"failed to parse platform: {text}") from None
    variant = found.get("variant") or ""
    if not all(isinstance(each, str) and each for each in (system, architecture)):
        raise InvalidArgument("both OS and Architecture must be provided")
    return _normalised(system, architecture, str(variant))


def is_attestation(entry: Mapping[str, Any]) -> bool:
    """Whether a manifest of an index only tells about another one."""
    return bool((entry.get("annotations") or {}).get(_ATTESTATION))


def _normalised(system: str, architecture: str, variant: str) -> Platform:
    known = _ARCHITECTURES.get(architecture, architecture)
    return Platform(system, known, _VARIANTS.get((known, variant), variant))
