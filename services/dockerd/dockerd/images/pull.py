"""`docker pull`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from dockerd.events.bus import EventBus
from dockerd.images.errors import PullDenied, PullNotFound
from dockerd.images.progress import PullProgress
from dockerd.images.reference import parse
from dockerd.images.remote import Remotes
from wire.errors import NotFound, PermissionDenied, Unauthenticated


class Puller:
    """Fetches images from registries."""

    def __init__(self, remotes: Remotes, events: EventBus) -> None:
        self._remotes = remotes
        self._events = events

    async def pull(
        self, reference: str, auth: dict[str, str] | None
    ) -> AsyncIterator[dict[str, Any]]:
        """Docker's progress objects; raises PullNotFound, PullDenied and other EngineError kinds."""
        parsed = parse(reference)
        progress = PullProgress(parsed)
        tag = parsed.digest or parsed.tag or "latest"
        yield {"status": f"Pulling from {parsed.path}", "id": tag}
        try:
            async for notice in self._remotes.pull(parsed, auth):
                for entry in progress.translate(notice):
                    yield entry
        except NotFound:
            raise PullNotFound(reference) from None
        except (Unauthenticated, PermissionDenied):
            raise PullDenied(parsed.familiar_name) from None
        yield {"status": f"Digest: {progress.digest}"}
        word = "Downloaded newer image for" if progress.fetched else "Image is up to date for"
        yield {"status": f"Status: {word} {parsed.familiar}"}
        self._events.publish("image", "pull", parsed.familiar, {"name": parsed.familiar_name})
