"""`docker tag`."""

from __future__ import annotations

from dockerd.events.bus import EventBus
from dockerd.images.reference import parse
from dockerd.images.store import ImageStore
from wire.errors import InvalidArgument


class Tagger:
    """Gives images names."""

    def __init__(self, store: ImageStore, events: EventBus) -> None:
        self._store = store
        self._events = events

    async def tag(self, reference: str, repository: str, tag: str) -> None:
        """Raises NotFound for the image, InvalidArgument for the name."""
        name = parse(f"{repository}:{tag}" if tag else repository)
        if name.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        image = await self._store.find(reference)
        await self._store.name(name.full, image.target)
        self._events.publish("image", "tag", image.image_id, {"name": name.familiar})
