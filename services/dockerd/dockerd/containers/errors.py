"""Docker's sentences about containers, one class a message."""

from __future__ import annotations

from wire.errors import Conflict, InvalidArgument, NotFound, NotModified

_NAME_CHARACTERS = "[a-zA-Z0-9][a-zA-Z0-9_.-]"


class ContainerNotFound(NotFound):
    """No container has that id, name or prefix."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"No such container: {reference}")


class AmbiguousContainer(InvalidArgument):
    """A prefix matches several ids."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"Multiple IDs found with provided prefix: {reference}")


class NameInUse(Conflict):
    """Another container has the name."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(
            f'Conflict. The container name "/{name}" is already in use by container "{owner}". You have to remove'
            " (or rename) that container to be able to reuse that name."
        )


class InvalidName(InvalidArgument):
    """A name has characters that names may not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid container name ({name}), only {_NAME_CHARACTERS} are allowed")


class NotRunning(Conflict):
    """The verb needs a running container."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container {container_id} is not running")


class IsRestarting(Conflict):
    """The verb needs a container that runs for good."""

    def __init__(self, container_id: str) -> None:
        super().__init__(
            f"Container {container_id} is restarting, wait until the container is running"
        )


class AlreadyStarted(NotModified):
    """Nothing to start."""

    def __init__(self) -> None:
        super().__init__("container is already running")


class AlreadyStopped(NotModified):
    """Nothing to stop."""

    def __init__(self) -> None:
        super().__init__("container is already stopped")


class StartPaused(Conflict):
    """A paused container is started."""

    def __init__(self) -> None:
        super().__init__("cannot start a paused container, try unpause instead")


class StartRemoved(Conflict):
    """A container that is being removed is started."""

    def __init__(self) -> None:
        super().__init__("container is marked for removal and cannot be started")


class AlreadyPaused(Conflict):
    """Paused twice."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container {container_id} is already paused")


class NotPaused(Conflict):
    """Thawed without being frozen."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"Container {container_id} is not paused")


class RemovalInProgress(Conflict):
    """Removed twice at once."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"removal of container {reference} is already in progress")


class RemovalOfRunning(Conflict):
    """A container that runs is removed without force; ``status`` as Docker says it."""

    def __init__(self, reference: str, container_id: str, status: str) -> None:
        self.container_id = container_id
        self.status = status
        cause = (
            "container is paused and must be unpaused first"
            if status == "paused"
            else f"container is {status}: stop the container before removing or force remove"
        )
        super().__init__(f'cannot remove container "{reference}": {cause}')


class SameName(InvalidArgument):
    """Renamed to the name that it has."""

    def __init__(self) -> None:
        super().__init__("Renaming a container with the same name as its current name")


class EmptyName(InvalidArgument):
    """Renamed to nothing."""

    def __init__(self) -> None:
        super().__init__("Neither old nor new names may be empty")


class InvalidCondition(InvalidArgument):
    """A wait for something that does not exist."""

    def __init__(self, condition: str) -> None:
        super().__init__(f'invalid condition: "{condition}"')


class InvalidSignal(InvalidArgument):
    """No signal of that name or number."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid signal: {text}")


class NoCommand(InvalidArgument):
    """Neither the request nor the image says what to run."""

    def __init__(self) -> None:
        super().__init__("no command specified")
