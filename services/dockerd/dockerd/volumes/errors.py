"""Docker's words about volumes."""

from __future__ import annotations

from collections.abc import Iterable

from wire.errors import Conflict, EngineError, NotFound
from wire.status import error_for


class VolumeNotFound(NotFound):
    """There is no such volume, in our records or with any driver."""

    def __init__(self, name: str) -> None:
        super().__init__(f"get {name}: no such volume")


class VolumeInUse(Conflict):
    """Containers refer to it."""

    def __init__(self, name: str, users: Iterable[str]) -> None:
        super().__init__(f"remove {name}: volume is in use - [{', '.join(sorted(users))}]")


class NameConflict(Conflict):
    """Another driver has a volume of that name, or its own driver cannot say."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"create {name}: {why}: volume name must be unique")


def framed(error: EngineError, frame: str) -> EngineError:
    """The same kind of error, with what was being done in front of it."""
    return error_for(error.kind, f"{frame}: {error.message}", error.reason, error.details)
