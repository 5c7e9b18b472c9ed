"""Image references: from what users write to what the store has, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wire.errors import InvalidArgument

_PATH: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG: Final = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference in parts; tag and digest may be empty."""

    host: str
    path: str
    tag: str
    digest: str

    @property
    def full(self) -> str:
        """As the store has it: ``docker.io/library/busybox:latest``."""
        suffix = f"@{self.digest}" if self.digest else f":{self.tag or 'latest'}"
        return f"{self.host}/{self.path}{suffix}"

    @property
    def familiar_name(self) -> str:
        """As users write it, without tag or digest: ``busybox``."""
        if self.host == "docker.io":
            return self.path.removeprefix("library/")
        return f"{self.host}/{self.path}"

    @property
    def familiar(self) -> str:
        """As users write it: ``busybox:latest``."""
        return self.familiar_name + (
            f"@{self.digest}" if self.digest else f":{self.tag or 'latest'}"
        )


def parse(text: str) -> Reference:
    """Raises InvalidArgument in Docker's words."""
    rest, _, digest = text.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise InvalidArgument("invalid reference format")
    head, separator, tail = rest.partition("/")
    if separator and ("." in head or ":" in head or head == "localhost" or head.startswith("[")):
        host, rest = head, tail
    else:
        host = "docker.io"
    path, _, tag = rest.partition(":")
    if path.lower() != path:
        name = f"library/{path}" if host == "docker.io" and "/" not in path else path
        raise InvalidArgument(
            f"invalid reference format: repository name ({name}) must be lowercase"
        )
    if (
        not _PATH.fullmatch(path)
        or not _HOST.fullmatch(host)
        or (":" in rest and not _TAG.fullmatch(tag))
    ):
        raise InvalidArgument("invalid reference format")
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return Reference(host, path, tag, digest)
