"""Image references as containerd stores them: host, path, tag or digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wire import digest as digests
from wire.errors import InvalidArgument

# The parts end up in URLs and in host directories, so nothing else than the distribution grammar may pass.
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_PATH: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_PATH: Final = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """``docker.io/library/busybox:latest`` in parts; a digest wins over a tag beside it."""

    host: str
    path: str
    object: str

    @property
    def digest(self) -> str:
        """The digest, or nothing for a tag."""
        return self.object if ":" in self.object else ""


def parse(text: str) -> Reference:
    """Raises InvalidArgument for a reference without host or path, or with a part that the grammar refuses."""
    host, separator, rest = text.partition("/")
    if not separator or not rest:
        raise InvalidArgument(f"invalid reference {text!r}: a host and a path are needed")
    path, _, digest = rest.partition("@")
    tag = ""
    if ":" in path.rsplit("/", 1)[-1]:
        path, _, tag = path.rpartition(":")
    if _HOST.fullmatch(host) is None:
        raise InvalidArgument(f"invalid reference {text!r}: malformed host")
    if len(path) > _LONGEST_PATH or _PATH.fullmatch(path) is None:
        raise InvalidArgument(f"invalid reference {text!r}: malformed path")
    if tag and TAG.fullmatch(tag) is None:
        raise InvalidArgument(f"invalid reference {text!r}: malformed tag")
    if digest or "@" in rest:
        digests.parse(digest)
    return Reference(host, path, digest or tag or "latest")
