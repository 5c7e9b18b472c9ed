"""Volumes of the local driver: ``<root>/<name>/_data`` and a record beside it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from wire.atomic import write_atomic
from wire.errors import Conflict, InvalidArgument, NotFound

_SHORTEST_NAME: Final = 2
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
ANONYMOUS_LABEL: Final = "com.docker.volume.anonymous"


@dataclass(slots=True, kw_only=True)
class Volume:
    """One volume; ``fresh`` until something has been copied or mounted into it."""

    name: str
    created: str
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    fresh: bool = True
    # The container with which an anonymous one was made: should that never come to be, nobody would remove the volume.
    made_for: str = ""


class VolumeStore:
    """All volumes below one directory."""

    def __init__(self, data_root: str) -> None:
        self._root = os.path.join(data_root, "volumes")
        self._volumes: dict[str, Volume] = {}
        os.makedirs(self._root, mode=0o701, exist_ok=True)
        for name in os.listdir(self._root):
            if not os.path.isdir(f"{self._root}/{name}/_data"):
                # A creation that was cut short.
                shutil.rmtree(f"{self._root}/{name}", ignore_errors=True)
                continue
            volume = Volume(name=name, created=_now(), fresh=False)
            try:
                with open(f"{self._root}/{name}/volume.json", encoding="utf-8") as file:
                    volume = Volume(**json.load(file))
            except (OSError, ValueError, TypeError):
                pass
            self._volumes[name] = volume

    def path(self, name: str) -> str:
        """Where its data is."""
        return f"{self._root}/{name}/_data"

    def create(
        self,
        name: str = "",
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        made_for: str = "",
    ) -> Volume:
        """A new volume, or the existing one of that name; raises InvalidArgument in Docker's words.

        ``made_for`` is the container in whose creation an anonymous one is made.
        """
        if options:
            raise InvalidArgument(
                f'invalid option: "{next(iter(options))}": options of the local driver are not supported yet'
            )
        if not name:
            name = secrets.token_hex(32)
            labels = {**(labels or {}), ANONYMOUS_LABEL: ""}
        elif name in self._volumes:
            return self._volumes[name]
        elif len(name) < _SHORTEST_NAME:
            raise InvalidArgument(
                f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
            )
        elif not _NAME.fullmatch(name):
            raise InvalidArgument(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only'
                ' "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
            )
        volume = Volume(name=name, created=_now(), labels=labels or {}, made_for=made_for)
        os.mkdir(f"{self._root}/{name}", 0o701)
        self.save(volume)
        os.mkdir(self.path(name), 0o755)
        self._volumes[name] = volume
        return volume

    def save(self, volume: Volume) -> None:
        """Keep a changed record."""
        write_atomic(f"{self._root}/{volume.name}/volume.json", json.dumps(asdict(volume)).encode())

    def exists(self, name: str) -> bool:
        """Whether there is a volume of that name."""
        return name in self._volumes

    def get(self, name: str) -> Volume:
        """Raises NotFound."""
        found = self._volumes.get(name)
        if found is None:
            raise NotFound(f"get {name}: no such volume")
        return found

    def list(self) -> list[Volume]:
        """All, by name."""
        return [self._volumes[name] for name in sorted(self._volumes)]

    def remove(self, name: str, users: set[str]) -> None:
        """Remove an unused volume; raises NotFound, Conflict."""
        self.get(name)
        if users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(sorted(users))}]")
        del self._volumes[name]
        # Without _data it counts as half made, and the next start removes the rest.
        shutil.rmtree(self.path(name), ignore_errors=True)
        shutil.rmtree(f"{self._root}/{name}", ignore_errors=True)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
