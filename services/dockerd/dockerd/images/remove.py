"""`docker rmi`: untag or delete, by Docker's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dockerd.events.bus import EventBus
from dockerd.images.errors import HasChildren, ManyNames, NameUsed, UsedByRunning, UsedByStopped
from dockerd.images.model import Image
from dockerd.images.reference import parse
from dockerd.images.store import ImageStore
from wire.errors import Conflict, NotFound

UsersOf = Callable[[str], Mapping[str, bool]]


class Remover:
    """Takes names from images, and images from the store."""

    def __init__(self, store: ImageStore, events: EventBus) -> None:
        self._store = store
        self._events = events

    async def remove(
        self, reference: str, users_of: UsersOf, *, force: bool, parents: bool = True
    ) -> list[dict[str, str]]:
        """What was untagged and deleted; ``users_of`` gives the containers of an image, by id: whether they run.

        With ``parents`` images go with it that have no name and of which nothing else is made.
        """
        image = await self._store.find(reference)
        users = users_of(image.image_id)
        family = await self._store.parents()
        made = any(parent == image.image_id for parent in family.values())
        by_id = image.image_id[7:].startswith(reference.removeprefix("sha256:"))
        doomed = self._doomed(image, reference, by_id=by_id, force=force)
        last = len(doomed) == len(image.names)
        if last:
            if made and by_id:
                raise HasChildren(image.short_id)
            _refuse_used(image, reference, users, by_id=by_id, force=force)
            if users or made:
                # The name goes, the image stays for its containers, and for what is made of it.
                await self._store.keep_unnamed(image)
        answer: list[dict[str, str]] = []
        for name in doomed:
            await self._store.unname(name, collect=last)
            if name in image.named:
                answer.append({"Untagged": parse(name).familiar})
        if last and not users and not made:
            answer.append({"Deleted": image.image_id})
        for entry in answer:
            action = "delete" if "Deleted" in entry else "untag"
            self._events.publish("image", action, image.image_id, {"name": image.image_id})
        if last and parents and not users and not made:
            answer += await self._remove_parent(family.get(image.image_id, ""), users_of)
        return answer

    async def _remove_parent(self, image_id: str, users_of: UsersOf) -> list[dict[str, str]]:
        if not image_id or users_of(image_id):
            return []
        try:
            if (await self._store.find(image_id)).named:
                return []
            return await self.remove(image_id, users_of, force=False)
        except (Conflict, NotFound):
            # Something else is made of it, or it is gone.
            return []

    @staticmethod
    def _doomed(image: Image, reference: str, *, by_id: bool, force: bool) -> list[str]:
        if by_id and len(image.named) > 1 and not force:
            raise ManyNames(image.short_id)
        if by_id or len(image.named) <= 1:
            return image.names
        return [parse(reference).full]


def _refuse_used(
    image: Image, reference: str, users: Mapping[str, bool], *, by_id: bool, force: bool
) -> None:
    running = next((container for container, runs in users.items() if runs), "")
    if running and by_id:
        raise UsedByRunning(image.short_id, running)
    if users and not force:
        first = running or next(iter(users))
        if by_id:
            raise UsedByStopped(image.short_id, first)
        raise NameUsed(reference, first, image.short_id)
