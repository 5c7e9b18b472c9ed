"""`docker pull`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from dockerd.events.bus import EventBus
from dockerd.images.errors import NoSuchPlatform, OtherPlatform, PullDenied, PullNotFound, denied
from dockerd.images.platforms import HOST, Platform
from dockerd.images.progress import PullProgress
from dockerd.images.reference import Reference, parse
from dockerd.images.remote import Auth, Remotes
from dockerd.images.repositories import Repositories
from dockerd.images.store import ImageStore
from wire.errors import NotFound, PermissionDenied, Unauthenticated


class Puller:
    """Fetches images from registries."""

    def __init__(
        self, remotes: Remotes, repositories: Repositories, store: ImageStore, events: EventBus
    ) -> None:
        self._remotes = remotes
        self._repositories = repositories
        self._store = store
        self._events = events

    async def pull(
        self, reference: str, auth: Auth, platform: Platform | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Docker's progress objects; raises PullNotFound, PullDenied, NoSuchPlatform and other EngineError kinds."""
        parsed = parse(reference)
        progress = PullProgress(parsed)
        async for entry in self._one(parsed, auth, platform, progress):
            yield entry
        yield _status(progress, parsed.familiar)

    async def pull_all(
        self, name: str, auth: Auth, platform: Platform | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The same for every tag of a repository."""
        parsed = parse(name)
        registry = await self._repositories.open(parsed, auth)
        try:
            tags = await asyncio.to_thread(registry.tags)
        except NotFound as error:
            raise NotFound(
                f"repository {parsed.familiar_name} not found: {error.message}"
            ) from None
        except (Unauthenticated, PermissionDenied) as error:
            raise denied(error, PullDenied(parsed.familiar_name)) from None
        fetched = PullProgress(parsed)
        for tag in tags:
            tagged = replace(parsed, tag=tag)
            progress = PullProgress(tagged)
            async for entry in self._one(tagged, auth, platform, progress):
                yield entry
            fetched.fetched |= progress.fetched
        yield _status(fetched, parsed.familiar_name)

    async def _one(
        self,
        parsed: Reference,
        auth: Auth,
        platform: Platform | None,
        progress: PullProgress,
    ) -> AsyncIterator[dict[str, Any]]:
        tag = parsed.digest or parsed.tag or "latest"
        yield {"status": f"Pulling from {parsed.path}", "id": tag}
        try:
            async for notice in self._remotes.pull(parsed, auth, platform):
                for entry in progress.translate(notice):
                    yield entry
        except NotFound as error:
            if "no match for platform" in error.message:
                raise NoSuchPlatform(str(platform or HOST)) from None
            raise PullNotFound(parsed.familiar) from None
        except (Unauthenticated, PermissionDenied) as error:
            raise denied(error, PullDenied(parsed.familiar_name)) from None
        yield {"status": f"Digest: {progress.digest}"}
        if platform is not None:
            try:
                await self._store.find(parsed.familiar, platform)
            except OtherPlatform as error:
                yield {"status": f"WARNING: {error.message}"}
        self._events.publish("image", "pull", parsed.familiar, {"name": parsed.familiar_name})


def _status(progress: PullProgress, name: str) -> dict[str, Any]:
    word = "Downloaded newer image for" if progress.fetched else "Image is up to date for"
    return {"status": f"Status: {word} {name}"}
