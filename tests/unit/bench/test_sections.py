"""A section is replaced alone."""

from __future__ import annotations

from pathlib import Path

from tests.bench.sections import replace_section


def test_sections_come_in_the_order_of_their_first_run(tmp_path: Path) -> None:
    path = tmp_path / "BENCHMARKS.md"
    replace_section(path, "Engine", "first")
    replace_section(path, "Runtime", "second\n\n### Part\n\nmore")
    assert path.read_text().startswith("# Benchmarks\n")
    assert path.read_text().endswith(
        "\n## Engine\n\nfirst\n\n## Runtime\n\nsecond\n\n### Part\n\nmore\n"
    )


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "BENCHMARKS.md"
    path.write_text("# Head\n\n## Engine\n\nold\n\n### Part\n\nold\n\n## Engine room\n\nstays\n")
    replace_section(path, "Engine", "new")
    assert path.read_text() == "# Head\n\n## Engine\n\nnew\n\n## Engine room\n\nstays\n"
    replace_section(path, "Engine room", "new, too")
    assert path.read_text() == "# Head\n\n## Engine\n\nnew\n\n## Engine room\n\nnew, too\n"
