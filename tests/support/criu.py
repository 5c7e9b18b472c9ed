"""A CRIU for tests that are not about CRIU: the runtime's tests' stand-in, found in PATH."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.stack import CLONE

_PROGRAM = CLONE / "tests/runtime/programs/criu.py"
_DUMPED = ["pre-dump", "post-dump"]
_RESTORED = ["setup-namespaces", "post-restore", "post-resume"]


@dataclass
class StandIn:
    """The program in a folder of its own, what it is told to do, and what it was asked."""

    folder: Path

    def install(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.folder / "criu"
        program.write_text(f"#!{sys.executable} -IS\n{_PROGRAM.read_text()}")
        program.chmod(0o755)
        self.will_dump()

    @property
    def environment(self) -> dict[str, str]:
        """What a shim needs in its environment to find it."""
        return {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "STAND_IN": str(self.folder / "plan.json"),
        }

    def _order(self, **plan: Any) -> None:
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def will_dump(self, **plan: Any) -> None:
        self._order(notices=_DUMPED, **plan)

    def will_restore(self, **plan: Any) -> None:
        self._order(notices=_RESTORED, **plan)

    @property
    def told(self) -> dict[str, Any]:
        """What it was asked, and where it was."""
        found: dict[str, Any] = json.loads((self.folder / "plan.json").read_text())
        return found

    @property
    def options(self) -> dict[int, Any]:
        """Those of the dump or the restore."""
        for request in self.told["requests"]:
            fields = dict(map(tuple, request))
            if fields[1] in (1, 2, 4):
                return dict(map(tuple, fields[2]))
        raise AssertionError(self.told)
