"""One run of the suite against one engine, and what became of each case."""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docker_py import sources

_SEPARATE: Final = ("build", "config", "plugin", "secret", "service", "swarm")
_IGNORED: Final = (
    *(f"api_{subject}_test.py" for subject in _SEPARATE),
    *(f"models_{subject}_test.py" for subject in ("nodes", "services", "swarm")),
    # These talk to a helper program for passwords, and to no daemon.
    "credentials",
)
# Cases of other files that build, or begin with a swarm.
_DESELECTED: Final = (
    "not test_build and not test_create_network_attachable and not test_create_network_ingress"
    " and not test_prune_nodes and not test_create_inspect_network_with_scope"
)
_CASE_SECONDS: Final = 120
# The newest that both engines speak: what newer ones took out of answers is no difference.
_API_VERSION: Final = "1.41"


@dataclass(frozen=True)
class Case:
    """What became of one case; ``reason`` is its failure's last line."""

    outcome: str
    reason: str = ""


def run(folder: Path, release: str, socket: Path, report: Path, only: str) -> dict[str, Case]:
    """All cases, or those whose name has ``only`` in it, against the engine at ``socket``; ``report`` becomes JUnit's XML."""
    tree = sources.tree(folder, release)
    home = report.with_suffix(".home")
    shutil.rmtree(home, ignore_errors=True)
    # The library keeps contexts beside this file, or in the working directory without it.
    (home / ".docker").mkdir(parents=True)
    (home / ".docker/config.json").write_text("{}")
    tests = tree / "tests/integration"
    command = [
        *(sources.python(folder, release), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("--timeout", str(_CASE_SECONDS), f"--junitxml={report}"),
        *(f"--ignore={tests / name}" for name in _IGNORED),
        *("-k", f"{_DESELECTED} and {only}" if only else _DESELECTED, tests),
    ]
    environment = {key: value for key, value in os.environ.items() if "DOCKER" not in key}
    environment |= {
        "DOCKER_HOST": f"unix://{socket}",
        "DOCKER_TEST_API_VERSION": _API_VERSION,
        "HOME": str(home),
    }
    with report.with_suffix(".log").open("wb") as log:
        subprocess.run(command, cwd=tree, env=environment, stdout=log, stderr=log, check=False)
    return read(report)


def read(report: Path) -> dict[str, Case]:
    """The cases of a finished run."""
    found = {}
    for element in ET.parse(report).iter("testcase"):
        name = f"{element.get('classname', '').removeprefix('tests.integration.')}.{element.get('name')}"
        outcome, reason = "passed", ""
        for child in element:
            if child.tag in {"failure", "error", "skipped"}:
                outcome = "skipped" if child.tag == "skipped" else "failed"
                reason = (child.get("message") or "").strip().splitlines()[0:1] or [""]
                found[name] = Case(outcome, reason[0][:300])
        found.setdefault(name, Case(outcome, reason))
    return found


def summary(cases: Mapping[str, Case]) -> str:
    """Counts, as `233 passed, 3 failed of 236`."""
    counts = Counter(case.outcome for case in cases.values())
    words = [f"{counts[key]} {key}" for key in ("passed", "failed", "skipped") if counts[key]]
    return f"{', '.join(words)} of {len(cases)}"
