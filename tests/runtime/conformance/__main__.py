"""Run crun's and runc's tests on a runtime, and on the originals for comparison.

`python -m tests.runtime.conformance [--suite crun|runc] [--original] [--only PATTERN]`; the folder is `CONFORMANCE_DIR`, or a
new one. Needs root. Exits 1 if a case fails that the original passes and that no reason is recorded for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.runtime.conformance import bats, crun, sources
from tests.runtime.conformance.tap import Case, Outcome, summary

CLONE = Path(__file__).parents[3]


def run(suite: str, folder: Path, runtime: Path, only: str) -> list[Case]:
    """All cases of one suite; they are kept in `<suite>-<runtime>.json`, too."""
    module = crun if suite == "crun" else bats
    cases = module.run(folder, runtime, only)
    kept = folder / f"{suite}-{runtime.name}.json"
    if not only:
        kept.write_text(json.dumps([[case.name, case.outcome, case.output] for case in cases]))
    return cases


def baseline(suite: str, folder: Path) -> list[Case]:
    """What the original does on this host; run once for a folder."""
    original = Path(shutil.which(suite) or sys.exit(f"{suite} is not installed"))
    kept = folder / f"{suite}-{original.name}.json"
    if kept.exists():
        return [
            Case(name, Outcome(outcome), output)
            for name, outcome, output in json.loads(kept.read_text())
        ]
    return run(suite, folder, original, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=["crun", "runc"], action="append")
    parser.add_argument("--original", action="store_true", help="the originals alone")
    parser.add_argument("--only", default="", help="files whose name contains this")
    parser.add_argument("--runtime", type=Path, default=CLONE / "build/bin/dockyard-runtime")
    parser.add_argument("--verbose", action="store_true", help="print what failed cases wrote")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("conformance needs root")
    folder = Path(
        os.environ.get("CONFORMANCE_DIR") or tempfile.mkdtemp(prefix="dockyard-conformance-")
    )
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    sources.fetch(folder)
    print(f"conformance: working in {folder}", flush=True)
    worse = 0
    for suite in options.suite or ["crun", "runc"]:
        if options.original:
            print(f"{suite}: original: {summary(baseline(suite, folder))}", flush=True)
            continue
        cases = run(suite, folder, options.runtime.resolve(), options.only)
        passed = set()
        if not options.only:
            original = baseline(suite, folder)
            print(f"{suite}: original: {summary(original)}", flush=True)
            passed = {case.name for case in original if case.outcome is Outcome.PASSED}
        print(f"{suite}: ours: {summary(cases)}", flush=True)
        for case in cases:
            if case.outcome is Outcome.FAILED:
                mark = " (the original passes)" if case.name in passed else ""
                worse += bool(mark)
                print(f"  failed: {case.name}{mark}")
                if options.verbose:
                    print("    " + "\n    ".join(case.output.splitlines()))
    sys.exit(1 if worse else 0)


main()
