"""Docker's sentences about images, one class a message."""

from __future__ import annotations

from typing import Final

from wire.errors import Conflict, EngineError, NotFound, PermissionDenied, Unknown

NO_CREDENTIALS: Final = "no basic auth credentials"


class ImageNotFound(NotFound):
    """No image has that name, id or prefix."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"No such image: {reference}")


class PullNotFound(NotFound):
    """The registry does not have it."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"manifest for {reference} not found: manifest unknown: manifest unknown")


class PullDenied(NotFound):
    """The registry does not give it to this user."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"pull access denied for {name}, repository does not exist or may require 'docker login': denied:"
            " requested access to the resource is denied"
        )


def denied(error: EngineError, otherwise: EngineError) -> EngineError:
    """What a client without credentials hears of a registry that wants a name and a password; else ``otherwise``."""
    if NO_CREDENTIALS in error.message:
        # Not 401, which makes the CLI ask for a name.
        return Unknown(NO_CREDENTIALS)
    return otherwise


class PushDenied(PermissionDenied):
    """The registry does not take it from this user."""

    def __init__(self) -> None:
        super().__init__("denied: requested access to the resource is denied")


class NotHere(NotFound):
    """There is nothing to push."""

    def __init__(self, name: str) -> None:
        super().__init__(f"An image does not exist locally with the tag: {name}")


class NoSuchPlatform(NotFound):
    """The registry's image is for other platforms."""

    def __init__(self, platform: str) -> None:
        super().__init__(
            f"no matching manifest for {platform} in the manifest list entries: no match for platform in manifest:"
            " not found"
        )


class OtherPlatform(NotFound):
    """The image is here, but for another platform than a container was asked for."""

    def __init__(self, reference: str, found: str, wanted: str) -> None:
        super().__init__(
            f"image with reference {reference} was found but its platform ({found}) does not match the specified"
            f" platform ({wanted})"
        )


class ManyNames(Conflict):
    """Removed by id while several names lead to it."""

    def __init__(self, short_id: str) -> None:
        super().__init__(
            f"conflict: unable to delete {short_id} (must be forced) - image is referenced in multiple repositories"
        )


class UsedByRunning(Conflict):
    """Removed by id under a running container: force does not help."""

    def __init__(self, short_id: str, container_id: str) -> None:
        super().__init__(
            f"conflict: unable to delete {short_id} (cannot be forced) - image is being used by running container"
            f" {container_id[:12]}"
        )


class UsedByStopped(Conflict):
    """Removed by id under a stopped container."""

    def __init__(self, short_id: str, container_id: str) -> None:
        super().__init__(
            f"conflict: unable to delete {short_id} (must be forced) - image is being used by stopped container"
            f" {container_id[:12]}"
        )


class HasChildren(Conflict):
    """Removed by id while other images are made of it: force does not help."""

    def __init__(self, short_id: str) -> None:
        super().__init__(
            f"conflict: unable to delete {short_id} (cannot be forced) - image has dependent child images"
        )


class NameUsed(Conflict):
    """The last name of an image that a container uses."""

    def __init__(self, reference: str, container_id: str, short_id: str) -> None:
        super().__init__(
            f'conflict: unable to remove repository reference "{reference}" (must force) - container'
            f" {container_id[:12]} is using its referenced image {short_id}"
        )
