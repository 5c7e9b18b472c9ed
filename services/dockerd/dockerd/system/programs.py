"""What the programs below the daemon say of themselves: a runtime, and the init of containers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import Final

_PATIENCE: Final = 5.0
_VERSION: Final = re.compile(r"version (\S+)(?:.*? - git\.(\S+))?")
_FEATURES: Final = "org.opencontainers.runtime-spec.features"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What ``--version`` says; ``commit`` is empty where that is not told."""

    version: str
    commit: str = ""
    spec: str = ""

    @property
    def revision(self) -> str:
        """What names the build best."""
        return self.commit or self.version


class Programs:
    """Asks each program once, until its file is another."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int, int], str] = {}

    async def version(self, path: str) -> Version | None:
        """The version of a program, by its path or its name on PATH; None if it does not tell."""
        lines = (await self._output(path, "--version")).splitlines()
        found = _VERSION.search(lines[0]) if lines else None
        if found is None:
            return None
        told = dict(line.partition(": ")[::2] for line in lines[1:])
        commit = found[2] or told.get("commit", "")
        return Version(
            version=found[1],
            commit="" if commit == "unknown" else commit,
            spec=told.get("spec", ""),
        )

    async def status(self, path: str) -> dict[str, str]:
        """What a runtime can do, as `info` shows it; empty for one that does not tell."""
        try:
            return {_FEATURES: json.dumps(json.loads(await self._output(path, "features")))}
        except ValueError:
            return {}

    async def _output(self, program: str, verb: str) -> str:
        path = shutil.which(program)
        if path is None:
            return ""
        status = os.stat(path)
        key = (path, verb, status.st_ino, status.st_mtime_ns)
        if key not in self._known:
            self._known[key] = await _run(path, verb)
        return self._known[key]


async def _run(path: str, verb: str) -> str:
    """Its standard output; empty for a program that fails, or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            verb,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(_PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode(errors="replace") if process.returncode == 0 else ""
