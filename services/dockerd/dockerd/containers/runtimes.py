"""OCI runtimes by name; one with arguments of its own becomes a script, because a shim takes only a program."""

from __future__ import annotations

import hashlib
import os
import shlex
from typing import Final

from dockerd.config import LiveConfig, Runtime
from dockerd.containers.hostconfig import STOCK_RUNTIMES
from wire.atomic import write_atomic
from wire.errors import InvalidArgument


class Runtimes:
    """What containers may be run by."""

    def __init__(self, config: LiveConfig, data_root: str) -> None:
        self._config = config
        self._directory = os.path.join(data_root, "runtimes")

    def program(self, name: str) -> str:
        """What the shim executes, empty for its default; raises InvalidArgument for a name that nobody gave."""
        if name in STOCK_RUNTIMES:
            return ""
        runtime = self._config.current.runtimes.get(name)
        if runtime is None:
            raise InvalidArgument(f"unknown or invalid runtime name: {name}")
        return self._script(name, runtime) if runtime.arguments else runtime.path

    def _script(self, name: str, runtime: Runtime) -> str:
        """A script named after what is in it: containers that run by an earlier one still need that."""
        words = shlex.join((runtime.path, *runtime.arguments))
        text = _SCRIPT.format(words=words).encode()
        path = f"{self._directory}/{name}.{hashlib.sha256(text).hexdigest()[:32]}"
        if not os.path.exists(path):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            write_atomic(path, text, 0o700)
        return path


_SCRIPT: Final = '#!/bin/sh\nexec {words} "$@"\n'
