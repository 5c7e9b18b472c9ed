"""What was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; ``ok`` ones are sums. A path is the host's."""

    level: Literal["ok", "warning", "problem"]
    subject: Literal["content", "snapshot", "disk"]
    text: str
    images: Sequence[str] = ()
    digest: str = ""
    path: str = ""
    repaired: bool = False
