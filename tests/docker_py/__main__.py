"""Run docker-py's integration tests against ours and against Debian's Docker.

`python -m tests.docker_py [--release 6.1.3|5.0.3] [--engine ours|theirs] [--only WORD]`; the folder is `DOCKER_PY_DIR`,
which keeps the sources and Docker's results for the next run, or a new one. Needs root. Exits 1 if a case fails that Docker
passes and that no reason is recorded for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.engines import DebianDocker, Dockyard, Engine, missing_programs
from tests.bench.surroundings import run_inside
from tests.docker_py import cases, images, sources
from tests.support.registry import running_registry

_ENGINES: dict[str, type[Engine]] = {"theirs": DebianDocker, "ours": Dockyard}

# Where ours ends otherwise than Docker 20.10, and shall.
_REASONS: Final[dict[str, str]] = {}


def main(arguments: Sequence[str]) -> int:
    """Fetch, then run inside of surroundings made for it; the exit status."""
    parser = argparse.ArgumentParser(prog="make test-docker-py", description=__doc__)
    parser.add_argument("--release", choices=sources.RELEASES, action="append")
    parser.add_argument("--engine", choices=list(_ENGINES))
    parser.add_argument("--only", default="", help="cases whose name has this word in it")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        parser.error("needs root")
    wanted = [*missing_programs(), *(name for name in ("skopeo",) if not shutil.which(name))]
    if wanted:
        parser.error(f"not installed: {', '.join(wanted)}; `make bench-deps` installs them")
    arguments = list(arguments)
    if options.folder is None:
        given = os.environ.get("DOCKER_PY_DIR")
        options.folder = Path(given or tempfile.mkdtemp(prefix="dockyard-docker-py-"))
        options.folder.mkdir(parents=True, exist_ok=True)
        sources.fetch(options.folder)
        print(f"docker-py: working in {options.folder}", flush=True)
        arguments += ["--folder", str(options.folder)]
    return run_inside("tests.docker_py", arguments, partial(_run, options))


def _run(options: argparse.Namespace, work: Path) -> int:
    worse = 0
    with ExitStack() as undo:
        registry = undo.enter_context(running_registry(work / "registry"))
        images.publish(registry)
        settings = {"registry-mirrors": [f"http://{registry.address}"]}
        for release in options.release or sources.RELEASES:
            found = {}
            for name in [options.engine] if options.engine else _ENGINES:
                report = options.folder / f"{name}-{release}.xml"
                if name == "ours" or options.only or not report.exists():
                    found[name] = _against(name, settings, options, release, report, work)
                else:
                    found[name] = cases.read(report)
                print(f"{release} {name}: {cases.summary(found[name])}", flush=True)
            worse += _compare(found)
    return 1 if worse else 0


def _against(
    name: str,
    settings: dict[str, list[str]],
    options: argparse.Namespace,
    release: str,
    report: Path,
    work: Path,
) -> dict[str, cases.Case]:
    """One run on an engine of its own; a part of the cases is reported elsewhere."""
    engine = _ENGINES[name](work / f"{name}-{release}", settings)
    if options.only:
        report = report.with_stem(f"{report.stem}-part")
    engine.start()
    try:
        for archive in images.archives().values():
            path = work / "loaded.tar"
            path.write_bytes(archive)
            engine.cli("load", "-q", "-i", str(path))
        return cases.run(options.folder, release, engine.socket, report, options.only)
    finally:
        engine.sweep()
        engine.stop()
        for log in [*engine.root.glob("*.log"), *engine.root.glob("log/*.log")]:
            shutil.copy(log, report.with_name(f"{report.stem}-{log.name}"))


def _compare(found: dict[str, dict[str, cases.Case]]) -> int:
    """Print what failed anywhere; how many cases only ours fails."""
    worse = 0
    for case in sorted({case for results in found.values() for case in results}):
        results = {name: cases_.get(case) for name, cases_ in found.items()}
        outcomes = {
            name: result.outcome if result else "absent" for name, result in results.items()
        }
        if set(outcomes.values()) <= {"passed"} or set(outcomes.values()) == {"skipped"}:
            continue
        reason = _REASONS.get(case)
        worse += outcomes.get("theirs") == "passed" != outcomes.get("ours", "passed") and not reason
        print(f"  {case}: {', '.join(f'{name} {outcome}' for name, outcome in outcomes.items())}")
        if reason:
            print(f"      {reason}")
        for name, result in results.items():
            if result and result.reason:
                print(f"      {name}: {result.reason}")
    return worse


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
