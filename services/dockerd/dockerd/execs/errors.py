"""Docker's sentences about execs, one class a message."""

from __future__ import annotations

from wire.errors import Conflict, InvalidArgument, NotFound


class ExecNotFound(NotFound):
    """No exec has that id."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"No such exec instance: {exec_id}")


class ExecPaused(Conflict):
    """An exec in a frozen container."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"Container {reference} is paused, unpause the container before exec")


class ExecRunning(Conflict):
    """Started twice."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"exec command {exec_id} is already running")


class ExecHasRun(Conflict):
    """Started again."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"Error: Exec command {exec_id} has already run")


class NoExecCommand(InvalidArgument):
    """Nothing to run."""

    def __init__(self) -> None:
        super().__init__("No exec command specified")


class InvalidEscapeKeys(InvalidArgument):
    """A sequence of keys to detach that nobody can type."""

    def __init__(self, keys: str) -> None:
        super().__init__(f"Invalid escape keys ({keys}) provided")
