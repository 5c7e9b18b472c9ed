"""Which events a client of ``GET /events`` wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dockerd.events.model import Event, EventType

_NAMED = (EventType.CONTAINER, EventType.IMAGE, EventType.NETWORK, EventType.VOLUME)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """The ``filters`` of a request: values of one key are alternatives, keys are all required."""

    values: Mapping[str, Iterable[str]] = field(default_factory=dict)

    def matches(self, event: Event) -> bool:
        """Whether the client wants this event. Unknown keys match nothing away, as in Docker."""
        return (
            self._any("type", (str(event.kind),))
            and self._any("event", (event.action, event.action.partition(":")[0]))
            and self._any("scope", ("local",))
            and self._labels(event)
            and all(self._named(kind, event) for kind in (*_NAMED, EventType.DAEMON))
        )

    def _any(self, key: str, candidates: Iterable[str]) -> bool:
        wanted = self.values.get(key)
        return not wanted or any(candidate in wanted for candidate in candidates)

    def _named(self, kind: EventType, event: Event) -> bool:
        wanted = tuple(self.values.get(str(kind), ()))
        if not wanted:
            return True
        if event.kind is not kind:
            # An image filter also lets the events of that image's containers through.
            if kind is EventType.IMAGE and event.kind is EventType.CONTAINER:
                return event.attributes.get("image", "") in wanted
            if kind is EventType.CONTAINER and event.kind is EventType.NETWORK:
                return event.attributes.get("container", "") in wanted
            return False
        name = event.attributes.get("name", "")
        candidates = {event.actor_id, name, event.actor_id.rpartition(":")[0]}
        return any(
            value in candidates
            or (len(value) >= 4 and event.actor_id.removeprefix("sha256:").startswith(value))
            for value in wanted
        )

    def _labels(self, event: Event) -> bool:
        for wanted in self.values.get("label", ()):
            key, separator, value = wanted.partition("=")
            if key not in event.attributes or (separator and event.attributes[key] != value):
                return False
        return True
