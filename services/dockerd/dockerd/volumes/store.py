"""The records of volumes: ``<root>/<name>/volume.json``, and beside it the local driver's ``_data``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict
from typing import Final

from dockerd.volumes.model import LOCAL, Volume, now
from wire.atomic import write_atomic

NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_DATA: Final = "_data"
_LONGEST: Final = 255


class VolumeStore:
    """All volumes that were made through us."""

    def __init__(self, data_root: str) -> None:
        self._root = os.path.join(data_root, "volumes")
        self._volumes: dict[str, Volume] = {}
        os.makedirs(self._root, mode=0o701, exist_ok=True)
        for folder in os.listdir(self._root):
            volume = self._load(folder)
            if volume is None:
                # A creation or a removal that was cut short.
                shutil.rmtree(f"{self._root}/{folder}", ignore_errors=True)
            else:
                self._volumes[volume.name] = volume

    def _load(self, folder: str) -> Volume | None:
        directory = f"{self._root}/{folder}"
        # Only the name: what is mounted there may not answer.
        local = os.path.isdir(directory) and _DATA in os.listdir(directory)
        try:
            with open(f"{directory}/volume.json", encoding="utf-8") as file:
                volume = Volume(**json.load(file))
        except (OSError, ValueError, TypeError):
            # The record is lost; the data is not.
            return Volume(name=folder, created=now(), fresh=False) if local else None
        return volume if local or volume.driver != LOCAL else None

    def path(self, name: str) -> str:
        """Where the data of a local one is."""
        return f"{self._folder(name)}/{_DATA}"

    def _folder(self, name: str) -> str:
        """Plugins may use names that are no names of files."""
        if NAME.fullmatch(name) is None or len(name) > _LONGEST:
            name = f"%{hashlib.sha256(name.encode()).hexdigest()}"
        return f"{self._root}/{name}"

    def find(self, name: str) -> Volume | None:
        """None if there is no record."""
        return self._volumes.get(name)

    def list(self) -> list[Volume]:
        """All, by name."""
        return [self._volumes[name] for name in sorted(self._volumes)]

    def begin(self, volume: Volume) -> None:
        """Write the record of a new volume, before its driver makes it."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder(volume.name), 0o701)
        self.save(volume)

    def add(self, volume: Volume) -> None:
        """Its driver has made it."""
        self._volumes[volume.name] = volume

    def save(self, volume: Volume) -> None:
        """Keep a changed record."""
        write_atomic(
            f"{self._folder(volume.name)}/volume.json", json.dumps(asdict(volume)).encode()
        )

    def erase(self, name: str) -> None:
        """Remove the record; harmless when repeated."""
        self._volumes.pop(name, None)
        shutil.rmtree(self._folder(name), ignore_errors=True)
