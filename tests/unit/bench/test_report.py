"""Ratios are taken round by round, and a limit is judged by their median."""

from __future__ import annotations

from tests.bench import report
from tests.bench.engines import Engine
from tests.bench.figures import Case, Figure, Sample

TIME = Figure("time", "a time", "ms", limit=0.5)
RATE = Figure("rate", "a rate", "MB/s")


def never(_: Engine) -> Sample:
    raise AssertionError


def taken(figure: Figure, ours: list[float], theirs: list[float]) -> report.Samples:
    samples = report.Samples(Case("case", (figure,), never))
    samples.taken = {
        "Ours": [{figure.name: value} for value in ours],
        "Theirs": [{figure.name: value} for value in theirs],
    }
    return samples


def row(figure: Figure, ours: list[float], theirs: list[float]) -> str:
    (line,) = report.rows(taken(figure, ours, theirs), ("Ours", "Theirs"))
    return line


def test_only_a_limit_can_be_missed() -> None:
    labels = ("Ours", "Theirs")
    assert report.missed(taken(TIME, [6], [10]), labels) == ["time"]
    assert report.missed(taken(TIME, [], [10]), labels) == ["time"]
    assert report.missed(taken(TIME, [5], [10]), labels) == []
    assert report.missed(taken(RATE, [1], [10]), labels) == []


def test_the_median_of_ratios_decides_not_the_ratio_of_medians() -> None:
    assert row(TIME, [1, 10, 100], [10, 100, 100]) == (
        "| a time | ms | 10 (1–100) | 100 (10–100) | 0.1 (0.1–1) | ≤ 0.5: met |"
    )


def test_a_missed_limit_is_shown() -> None:
    assert row(TIME, [6], [10]).endswith("| 0.6 (0.6–0.6) | ≤ 0.5: **not met** |")


def test_a_higher_rate_is_a_lower_cost() -> None:
    assert "| 0.5 (0.5–0.5) |" in row(RATE, [200], [100])


def test_an_engine_without_samples_leaves_its_cells_empty_and_meets_nothing() -> None:
    assert row(TIME, [], [10]).endswith("| – | 10 (10–10) | – | ≤ 0.5: not measured |")


def test_a_failure_names_engine_and_case_and_breaks_no_table() -> None:
    samples = report.Samples(Case("case", (TIME,), never), failures={"Ours": "500 a|b\nc"})
    assert report.rows(samples, ("Ours", "Theirs")) == [
        "| `case` | | Ours unsupported: 500 a/b c | | | |"
    ]
