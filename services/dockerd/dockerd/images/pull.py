"""`docker pull`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from dockerd.events.bus import EventBus
from dockerd.images.errors import PullDenied, PullNotFound
from dockerd.images.progress import PullProgress
from dockerd.images.reference import Reference, parse
from dockerd.images.registries import RegistryHosts
from dockerd.images.transfer import Transfers
from wire.errors import NotFound, PermissionDenied, Unauthenticated
from wire.gen.containerd.types.transfer import imagestore_pb2, progress_pb2, registry_pb2


class Puller:
    """Fetches images from registries."""

    def __init__(self, transfers: Transfers, events: EventBus, registries: RegistryHosts) -> None:
        self._transfers = transfers
        self._events = events
        self._registries = registries

    async def pull(
        self, reference: str, auth: dict[str, str] | None
    ) -> AsyncIterator[dict[str, Any]]:
        """Docker's progress objects; raises PullNotFound, PullDenied and other EngineError kinds."""
        parsed = parse(reference)
        progress = PullProgress(parsed)
        tag = parsed.digest or parsed.tag or "latest"
        yield {"status": f"Pulling from {parsed.path}", "id": tag}
        try:
            async for notice in self._notices(parsed, auth):
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

    async def _notices(
        self, reference: Reference, auth: dict[str, str] | None
    ) -> AsyncIterator[progress_pb2.Progress]:
        resolver = registry_pb2.RegistryResolver(
            host_dir=await self._registries.directories(reference.host)
        )
        store = imagestore_pb2.ImageStore(name=reference.full)
        if not auth:
            source = registry_pb2.OCIRegistry(reference=reference.full, resolver=resolver)
            async for notice in self._transfers.run(source, store):
                yield notice
            return
        questions = await self._transfers.stream()
        resolver.auth_stream = questions.name
        source = registry_pb2.OCIRegistry(reference=reference.full, resolver=resolver)
        answering = asyncio.get_running_loop().create_task(questions.answer(auth, reference.host))
        try:
            async for notice in self._transfers.run(source, store):
                yield notice
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            questions.close()
