"""One container: its configuration in Docker's JSON, its state, and its record on disk."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from dockerd.containers.errors import ContainerNotFound
from dockerd.containers.state import State
from wire.atomic import sync_directory, write_atomic

_RECORD: Final = "config.v2.json"
_REMOVED: Final = "removed.json"


def now() -> str:
    """Now, as Docker writes times."""
    return moment(datetime.now(UTC).timestamp())


def moment(seconds: float) -> str:
    """Seconds since 1970, as Docker writes times."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text}000Z"


def seconds_of(text: str) -> float:
    """The seconds since 1970 of a time in Docker's notation, whole ones; 0 for what is no time."""
    try:
        return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class Container:
    """A container; everything up to ``mounts`` is recorded."""

    container_id: str
    name: str
    created: str
    image: str
    image_name: str
    top: str
    config: dict[str, Any]
    host: dict[str, Any]
    networking: dict[str, Any]
    path: str
    args: list[str]
    state: State = field(default_factory=State)
    restart_count: int = 0
    manually_stopped: bool = False
    mounts: list[dict[str, Any]] = field(default_factory=list)
    directory: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiters: dict[str, list[asyncio.Future[int]]] = field(default_factory=dict)
    pending: list[tuple[str, dict[str, Any], int]] = field(default_factory=list)
    restarting: asyncio.Task[None] | None = None
    removing: bool = False
    removal_due: bool = False
    address: str = ""
    """Its address on the default bridge while it runs."""
    removing_volumes: bool = False
    image_manifest: dict[str, Any] = field(default_factory=dict)
    """The descriptor of the manifest that it was made of, with its platform."""
    held: bool = False
    torn_down: bool = False
    removal: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it is being removed: what is left to tear down is the remover's."""
    retired: bool = False
    # How to mount its snapshot, which never changes; None until containerd was asked.
    layers: list[tuple[str, str, list[str]]] | None = None

    _RECORDED: ClassVar[tuple[str, ...]] = (
        "container_id", "name", "created", "image", "image_name", "top", "config", "host", "networking", "path", "args",
        "restart_count", "manually_stopped", "mounts", "address", "removing_volumes",
        "image_manifest",
    )  # fmt: skip

    @property
    def running(self) -> bool:
        """Whether its process lives, paused or not."""
        return self.state.alive

    @property
    def terminal(self) -> bool:
        """Whether it has a terminal."""
        return bool(self.config.get("Tty"))

    @property
    def log_path(self) -> str:
        """Its json-file log; empty with the driver none."""
        if self.log_driver != "json-file":
            return ""
        return f"{self.directory}/{self.container_id}-json.log"

    @property
    def log_driver(self) -> str:
        """Its name, such as ``json-file`` or ``none``."""
        return str((self.host.get("LogConfig") or {}).get("Type") or "json-file")

    @property
    def log_options(self) -> dict[str, str]:
        """What the user asked of the driver."""
        return dict((self.host.get("LogConfig") or {}).get("Config") or {})

    def save(self) -> None:
        """Record it, durably; with ``--rm`` not beyond the machine's power, because then it is gone in any case.

        Raises ContainerNotFound for one that was removed meanwhile.
        """
        if self.retired:
            raise ContainerNotFound(self.container_id)
        document = {name: getattr(self, name) for name in self._RECORDED}
        document["state"] = self.state.document()
        document["removal_due"] = self.removing or self.removal_due
        durable = not self.host.get("AutoRemove")
        write_atomic(f"{self.directory}/{_RECORD}", json.dumps(document).encode(), durable=durable)

    @classmethod
    def load(cls, directory: str, *, retired: bool = False) -> Container:
        """Read a record, or that of a removed container; raises ValueError, KeyError, TypeError or OSError."""
        with open(f"{directory}/{_REMOVED if retired else _RECORD}", "rb") as file:
            document = json.load(file)
        document["state"] = State.parse(document["state"])
        return cls(directory=directory, **document)

    def retire(self) -> None:
        """From here on it does not exist: who finds its directory removes what is left of it."""
        os.rename(f"{self.directory}/{_RECORD}", f"{self.directory}/{_REMOVED}")
        self.retired = True
        if not self.host.get("AutoRemove"):
            sync_directory(self.directory)

    def erase(self) -> None:
        """Remove the directory of a retired container, the record last."""
        for name in os.listdir(self.directory):
            path = f"{self.directory}/{name}"
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif name != _REMOVED:
                os.unlink(path)
        shutil.rmtree(self.directory)
