"""One event as ``GET /events`` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """What an event is about."""

    CONTAINER = "container"
    IMAGE = "image"
    NETWORK = "network"
    VOLUME = "volume"
    DAEMON = "daemon"
    BUILDER = "builder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to ``actor_id`` (for images and volumes its name)."""

    kind: EventType
    action: str
    actor_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """The message, with the fields that clients before API 1.52 read as well."""
        value: dict[str, Any] = {}
        if self.kind is EventType.CONTAINER or self.kind is EventType.IMAGE:
            value["status"] = self.action
            value["id"] = self.actor_id
            if self.kind is EventType.CONTAINER and "image" in self.attributes:
                value["from"] = self.attributes["image"]
        value.update(
            Type=str(self.kind),
            Action=self.action,
            Actor={"ID": self.actor_id, "Attributes": dict(self.attributes)},
            scope="local",
            time=self.time_ns // 1_000_000_000,
            timeNano=self.time_ns,
        )
        return value
