"""Every known flaw of runc, crun and youki of the classes that concern a runtime has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

KNOWN = """2016-9962 2019-5736 2019-16884 2019-18837 2019-19921 2021-30465 2021-43784 2022-27650 2022-29162 2023-25809 2023-27561
2023-28642 2024-21626 2024-45310 2025-24965 2025-27612 2025-31133 2025-52565 2025-52881 2025-54867 2025-62161 2025-62596
2026-30892 2026-41579 2026-47766 2026-31431 2026-112917 2026-123876""".split()


@pytest.mark.parametrize("number", KNOWN)
def test_known_flaws_are_tested(number: str) -> None:
    wanted = re.compile(rf"def test_(cve_\d+_\d+_)*cve_{number.replace('-', '_')}_")
    files = [each for each in Path(__file__).parent.glob("test_*.py") if each != Path(__file__)]
    assert any(wanted.search(each.read_text()) for each in files)
