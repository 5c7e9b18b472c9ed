"""From samples to the section "Runtime" of BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.bench.runtime.bundles import VARIANTS, Variant
from tests.bench.runtime.commands import Sample

OURS: Final = "ours"
OTHERS: Final = ("crun", "runc")
FIGURES: Final = ("create", "start", "delete", "cycle", "run", "exec", "run_KiB", "exec_KiB")


@dataclass(slots=True)
class Measured:
    """What one variant gave: a list of samples, one a round, for each runtime; or why there is none."""

    variant: Variant
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def figure(self, runtime: str, name: str) -> list[float]:
        return [sample[name] for sample in self.samples.get(runtime, [])]

    def ratio(self, other: str, name: str) -> float | None:
        """The median over the rounds of our figure over the other's in the same round."""
        pairs = zip(self.figure(OURS, name), self.figure(other, name), strict=False)
        ratios = [ours / theirs for ours, theirs in pairs if theirs]
        return median(ratios) if ratios else None


def missed(measured: Sequence[Measured]) -> list[str]:
    """A sentence for every limit that was not kept; a figure that is missing keeps none."""
    found = []
    for each in measured:
        for (name, other), limit in each.variant.limits.items():
            ratio = each.ratio(other, name)
            if ratio is None or ratio > limit:
                found.append(
                    f"{each.variant.name} {name}: {_ratio(ratio)} of {other}, wanted at most {limit}"
                )
    return found


def markdown(measured: Sequence[Measured], surroundings: Mapping[str, str]) -> str:
    """The whole section but for its heading."""
    lines = [
        "`make bench-runtime`: OCI runtimes by their command lines, taking turns; medians over all rounds, ratios",
        "within one round (below 1 ours is better). Times in ms, the start of the command included; `cycle` is create,",
        "start and delete together, `run` and `exec` are of a program that ends at once; `KiB` is the largest peak RSS",
        "among a command's processes. Bold: a limit is set for the ratio (in brackets).",
        "",
        *(f"- {name}: {value}" for name, value in surroundings.items()),
        *(f"- {each.name}: {each.text}" for each in VARIANTS),
        "",
        f"| figure | {OURS} | "
        + " | ".join(OTHERS)
        + " | "
        + " | ".join(f"{OURS} : {other}" for other in OTHERS)
        + " |",
        "| --- |" + " ---: |" * (1 + 2 * len(OTHERS)),
    ]
    for each in measured:
        for name in FIGURES:
            cells = [_value(each.figure(runtime, name)) for runtime in (OURS, *OTHERS)]
            cells += [_cell(each, other, name) for other in OTHERS]
            lines.append(f"| {each.variant.name} {name} | " + " | ".join(cells) + " |")
        lines += [
            f"| {each.variant.name} | {who} refused: {why} |" for who, why in each.refused.items()
        ]
    broken = missed(measured)
    lines += ["", "Every limit is kept." if not broken else "Not kept: " + "; ".join(broken) + "."]
    return "\n".join(lines)


def _cell(measured: Measured, other: str, name: str) -> str:
    ratio = measured.ratio(other, name)
    limit = measured.variant.limits.get((name, other))
    return _ratio(ratio) if limit is None else f"**{_ratio(ratio)}** (≤ {limit})"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _value(values: list[float]) -> str:
    return (
        f"{median(values):.3g}"
        if values and median(values) < 1000
        else f"{median(values):.0f}"
        if values
        else "–"
    )
