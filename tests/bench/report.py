"""The table: medians with the range over rounds, ratios taken within rounds, and whether a wanted limit holds."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.bench.figures import Case, Figure, Sample


@dataclass(slots=True)
class Samples:
    """The samples of one case: by engine one a round; ``failures``: why an engine has none."""

    case: Case
    taken: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def values(self, figure: Figure, label: str) -> list[float]:
        """An engine's values of one figure, by round."""
        return [each[figure.name] for each in self.taken.get(label, []) if figure.name in each]


def missed(samples: Samples, labels: Sequence[str]) -> list[str]:
    """The names of figures with a limit that does not hold, or that could not be measured."""
    return [
        figure.name
        for figure in samples.case.figures
        if not _holds(figure.limit, _ratios(figure, samples, labels))
        or not _holds(figure.bound, samples.values(figure, labels[0]))
    ]


def header(labels: Sequence[str]) -> list[str]:
    """The head of the table."""
    ours, theirs = labels
    return [
        f"| | unit | {ours} | {theirs} | ratio | wanted |",
        "|---|---|---|---|---|---|",
    ]


def rows(samples: Samples, labels: Sequence[str]) -> list[str]:
    """The lines of one case."""
    lines = [_row(figure, samples, labels) for figure in samples.case.figures]
    for label, reason in samples.failures.items():
        words = " ".join(reason.replace("|", "/").split())[-300:]
        lines.append(f"| `{samples.case.name}` | | {label} unsupported: {words} | | | |")
    return [line for line in lines if line]


def _row(figure: Figure, samples: Samples, labels: Sequence[str]) -> str:
    ours, theirs = (samples.values(figure, label) for label in labels)
    if not ours and not theirs:
        return ""
    ratios = _ratios(figure, samples, labels)
    cells = [figure.label, figure.unit, _spread(ours), _spread(theirs), _spread(ratios)]
    return f"| {' | '.join(cells)} | {_verdict(figure, ratios, ours)} |"


def _ratios(figure: Figure, samples: Samples, labels: Sequence[str]) -> list[float]:
    rounds = zip(*(samples.values(figure, label) for label in labels), strict=False)
    ratios = (figure.ratio(ours, theirs) for ours, theirs in rounds)
    return [ratio for ratio in ratios if ratio is not None]


def _holds(limit: float | None, values: list[float]) -> bool:
    """Whether the median keeps to a limit; without a value it does not."""
    return limit is None or (bool(values) and median(values) <= limit)


def _verdict(figure: Figure, ratios: list[float], ours: list[float]) -> str:
    words = []
    for limit, values, unit in (
        (figure.limit, ratios, ""),
        (figure.bound, ours, f" {figure.unit}"),
    ):
        if limit is None:
            continue
        verdict = "met" if _holds(limit, values) else "**not met**"
        words.append(f"≤ {limit}{unit}: {verdict if values else 'not measured'}")
    return ", ".join(words)


def _spread(values: list[float]) -> str:
    """Median (min–max)."""
    if not values:
        return "–"
    middle, low, high = (
        f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
        for value in (median(values), min(values), max(values))
    )
    return f"{middle} ({low}–{high})"


def circumstances(versions: dict[str, str], command: str, rounds: int) -> list[str]:
    """What a reader needs to judge or repeat the figures."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    when = datetime.now(UTC)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        f"- {when:%Y-%m-%d %H:%M} UTC, `{command}`, {rounds} rounds (heavy cases half of them)",
        f"- {os.cpu_count()} CPUs ({model}), {memory:.0f} GiB, Linux {platform.release()}",
        *(f"- {label}: {version}" for label, version in versions.items()),
        f"- load of the machine when the run began: {load}",
    ]
