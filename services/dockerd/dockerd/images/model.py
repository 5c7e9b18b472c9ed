"""One image, as Docker sees it: a config with the names that lead to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dockerd.images.reference import parse
from wire.oci.image import chain_id

UNNAMED: Final = "import@"
"""How names begin that only keep an image which has no name in Docker's sense."""
_SHORT: Final = slice(7, 19)


@dataclass(slots=True, kw_only=True)
class Image:
    """One image: its id is the digest of its config; ``target`` the descriptor of its manifest or index."""

    image_id: str
    names: list[str] = field(default_factory=list)
    target: Any
    manifest: dict[str, Any] = field(default_factory=dict)
    """The descriptor of the manifest of its platform, with that platform."""
    config: dict[str, Any]
    layers: list[dict[str, Any]]
    tagged_at: str = ""
    """When a name last came to lead to it, in RFC 3339."""
    sizes: Sequence[int] = ()
    """Bytes of each layer as it is unpacked, lowest first; empty where nobody asked."""

    @property
    def short_id(self) -> str:
        """The twelve digits of the id that users see."""
        return self.image_id[_SHORT]

    @property
    def chain(self) -> tuple[str, ...]:
        """The diff IDs of its layers, lowest first."""
        return tuple((self.config.get("rootfs") or {}).get("diff_ids") or ())

    @property
    def top(self) -> str:
        """The chain ID of the topmost layer: the parent of containers' snapshots."""
        return chain_id(list(self.chain)) if self.chain else ""

    @property
    def size(self) -> int:
        """Bytes of the layers as they are unpacked; as they are stored where nobody asked."""
        return sum(self.sizes or self.stored)

    @property
    def stored(self) -> list[int]:
        """Bytes of each layer as it is stored, mostly compressed."""
        return [int(layer["size"]) for layer in self.layers]

    @property
    def named(self) -> list[str]:
        """The names that users know."""
        return [name for name in self.names if not name.startswith(UNNAMED)]

    @property
    def tags(self) -> list[str]:
        """Names with a tag, as users write them."""
        return [parse(name).familiar for name in self.names if "@" not in name]

    @property
    def repo_digests(self) -> list[str]:
        """Repositories with the digest of the manifest or index."""
        return sorted({f"{parse(name).familiar_name}@{self.target.digest}" for name in self.named})

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its configuration."""
        return (self.config.get("config") or {}).get("Labels") or {}

    @property
    def created(self) -> str:
        """When it was made, as its config has it."""
        return self.config.get("created") or "1970-01-01T00:00:00Z"
