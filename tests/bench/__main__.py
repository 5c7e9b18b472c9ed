"""`python -m tests.bench [--only CASE,…] [--rounds N]`: measure both engines and write BENCHMARKS.md's section "Engine"."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench import material, report
from tests.bench.cases import CASES
from tests.bench.engines import DebianDocker, Dockyard, Engine, missing_programs
from tests.bench.figures import Case
from tests.bench.sections import replace_section
from tests.bench.surroundings import run_inside

_REPORT: Final = Path(__file__).parents[2] / "BENCHMARKS.md"
_NOTES: Final = """\
Both engines run at the same time in one set of namespaces made for this run, with data on the same disk, and take turns: a
round is one sample from each, and who goes first alternates. A cell is the median (lowest–highest) over rounds; a ratio is
ours over theirs within a round. PSS counts pages among the engine's own processes only, so that other programs of
the machine have no part in it.
"""


def main(arguments: list[str]) -> int:
    """Parse, check, and run inside surroundings of our own; the exit status, 1 if a wanted ratio is not reached."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help=f"of {', '.join(names)}; prints, writes no file")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    only = [name for name in options.only.replace(",", " ").split() if name]
    unknown = sorted(set(only) - set(names))
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; there are {', '.join(names)}")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if os.geteuid() != 0:
        parser.error("needs root")
    missing = missing_programs()
    if missing:
        parser.error(f"not installed: {', '.join(missing)}; `make test-deps` installs them")
    return run_inside("tests.bench", arguments, partial(_measure, only, options.rounds))


def _measure(only: list[str], rounds: int, work: Path) -> int:
    ours, theirs = Dockyard(work / "dockyard"), DebianDocker(work / "debian")
    engines: tuple[Engine, Engine] = (ours, theirs)
    labels = [engine.label for engine in engines]
    base = material.archive(work, "base")
    cases = [case for case in CASES if not only or case.name in only]
    with ExitStack() as undo:
        for engine in engines:
            engine.start()
            undo.callback(engine.stop)
            engine.cli("load", "-q", "-i", str(base))
            undo.callback(engine.sweep)
        versions = {engine.label: engine.versions() for engine in engines}
        command = "make bench" + (f" ONLY={','.join(only)}" if only else "")
        about = report.circumstances(versions, command, rounds)
        table = report.header(labels)
        _say(*about, "", *table)
        missed: list[str] = []
        for case in cases:
            samples = _samples(case, engines, rounds)
            missed += report.missed(samples, labels)
            lines = report.rows(samples, labels)
            _say(*lines)
            table += lines
        load = " ".join(f"{value:.2f}" for value in os.getloadavg())
        about.append(f"- load when it ended: {load} (the run itself makes some of it)")
    if only:
        _say("", "A part of the cases: BENCHMARKS.md stays as it is.")
    else:
        replace_section(_REPORT, "Engine", "\n".join([*about, "", _NOTES, *table]))
    return 1 if missed else 0


def _samples(case: Case, engines: Sequence[Engine], rounds: int) -> report.Samples:
    """Take turns; light cases have one round before that is not counted."""
    samples = report.Samples(case)
    turns = -(-rounds // 2) if case.heavy else rounds + 1
    for turn in range(turns):
        for engine in engines if turn % 2 == 0 else reversed(engines):
            if engine.label in samples.failures:
                continue
            engine.http.forget()  # an idle connection may have been closed
            try:
                sample = case.sample(engine)
            except (
                Exception
            ) as error:  # what an engine does wrong is a result, not the end of the run
                samples.failures[engine.label] = f"{type(error).__name__}: {error}"
                engine.http.forget()
                engine.sweep()
                continue
            if case.heavy or turn:
                samples.taken.setdefault(engine.label, []).append(sample)
    return samples


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
