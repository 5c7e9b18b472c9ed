"""Which events a client wants."""

from __future__ import annotations

from typing import Final

from dockerd.events.bus import Event
from dockerd.filters import Filters

_OBJECTS: Final = (
    "container", "daemon", "plugin", "volume", "network", "service", "node", "secret", "config",
)  # fmt: skip
# Their commands or states follow behind a colon.
_OPEN_ENDED: Final = frozenset({"health_status", "exec_create", "exec_start"})


def wanted(event: Event, filters: Filters) -> bool:
    """Whether an event passes; keys that do not exist filter nothing, as in Docker."""
    actor, attributes = event["Actor"]["ID"], event["Actor"]["Attributes"]
    name = attributes.get("name", "")
    return (
        _action(event["Action"], filters)
        and filters.exact("type", event["Type"])
        and filters.exact("scope", event["scope"])
        and filters.labels(attributes)
        and all(filters.fuzzy(kind, actor) or filters.fuzzy(kind, name) for kind in _OBJECTS)
        and _image(
            actor, attributes.get("name" if event["Type"] == "image" else "image", ""), filters
        )
    )


def _action(action: str, filters: Filters) -> bool:
    if _OPEN_ENDED.isdisjoint(filters.get("event")):
        return filters.exact("event", action)
    return filters.fuzzy("event", action)


def _image(actor: str, name: str, filters: Filters) -> bool:
    return any(filters.exact("image", each) for each in (actor, name, _untagged(name)))


def _untagged(name: str) -> str:
    head, _, tail = name.partition("@")[0].rpartition(":")
    return head if head and "/" not in tail else name
