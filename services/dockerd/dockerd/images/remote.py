"""Transfers from and to registries: how they are reached, and who answers when they ask for credentials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from dockerd.images.platforms import Platform
from dockerd.images.reference import Reference
from dockerd.images.registries import RegistryHosts
from dockerd.images.store import PLATFORM
from dockerd.images.transfer import UNPACKS, Transfers
from wire.errors import Unknown
from wire.gen.containerd.types.transfer import imagestore_pb2, progress_pb2, registry_pb2

Auth = Mapping[str, str] | None


class Remotes:
    """Pulls and pushes, and tells containerd's progress."""

    def __init__(self, transfers: Transfers, registries: RegistryHosts) -> None:
        self._transfers = transfers
        self._registries = registries

    async def pull(
        self, reference: Reference, auth: Auth, platform: Platform | None
    ) -> AsyncIterator[progress_pb2.Progress]:
        """Fetch what a reference names, under its full name, for a platform; raises EngineError kinds."""
        store = imagestore_pb2.ImageStore(name=reference.full, unpacks=UNPACKS)
        if platform is not None:
            wanted = platform.message()
            store.labels[PLATFORM] = str(platform)
            store.platforms.append(wanted)
            for each in store.unpacks:
                each.platform.CopyFrom(wanted)
        async for notice in self._run(reference, auth, store, push=False):
            yield notice

    async def push(self, reference: Reference, auth: Auth) -> AsyncIterator[progress_pb2.Progress]:
        """Send the image of a reference to where it names; raises EngineError kinds."""
        store = imagestore_pb2.ImageStore(name=reference.full)
        async for notice in self._run(reference, auth, store, push=True):
            yield notice

    async def _run(
        self, reference: Reference, auth: Auth, store: imagestore_pb2.ImageStore, *, push: bool
    ) -> AsyncIterator[progress_pb2.Progress]:
        resolver = registry_pb2.RegistryResolver(
            host_dir=await self._registries.directories(reference.host)
        )
        questions = await self._transfers.stream() if auth else None
        answering = None
        if questions is not None:
            resolver.auth_stream = questions.name
            answering = asyncio.get_running_loop().create_task(
                questions.answer(auth or {}, reference.host)
            )
        remote = registry_pb2.OCIRegistry(reference=reference.full, resolver=resolver)
        ends = (store, remote) if push else (remote, store)
        try:
            async for notice in self._transfers.run(*ends):
                yield notice
        except Unknown as error:
            # containerd's words for a registry that cannot be reached, which Docker's are a part of.
            raise Unknown(error.message.removeprefix("failed to do request: ")) from error
        finally:
            if answering is not None and questions is not None:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)
                questions.close()
