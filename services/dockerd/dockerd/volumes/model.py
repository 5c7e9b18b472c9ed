"""What a volume is to us."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

ANONYMOUS_LABEL: Final = "com.docker.volume.anonymous"
LOCAL: Final = "local"


def now() -> str:
    """The time of a creation as clients see it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True, kw_only=True)
class Volume:
    """One volume; ``fresh`` until something has been copied or mounted into it."""

    name: str
    created: str
    driver: str = LOCAL
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    fresh: bool = True
    # The container with which an anonymous one was made: should that never come to be, nobody would remove the volume.
    made_for: str = ""

    @property
    def anonymous(self) -> bool:
        """Whether it goes with its container."""
        return ANONYMOUS_LABEL in self.labels

    @property
    def plain(self) -> bool:
        """Whether it is a directory of ours, which nobody need mount."""
        return self.driver == LOCAL and not (self.options.keys() & {"type", "device"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A volume as its driver describes it."""

    name: str
    mountpoint: str = ""
    created: str = ""
    status: dict[str, Any] | None = None
