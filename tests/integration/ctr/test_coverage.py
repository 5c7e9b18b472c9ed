"""Every known flaw of containerd, of its shim, and of others in unpacking archives has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[2]
# What each of them let happen.
KNOWN = {
    "2020-10696": "names in an archive that climb out of the root",
    "2020-15157": "credentials sent to a foreign layer's URL",
    "2020-15257": "the shim's abstract socket reached from containers in the host's network",
    "2021-21334": "environments of containers that are made side by side mix",
    "2021-29136": "an archive that makes its own root a symbolic link",
    "2021-32760": "modes of files outside changed through links in a layer",
    "2021-41089": "permissions of existing files changed by a copy",
    "2021-41103": "bundles that other users of the host can enter",
    "2021-41190": "one document that is a manifest and an index",
    "2022-23471": "something left behind by each resize of a failed exec",
    "2022-24769": "inheritable capabilities by default",
    "2022-31030": "output of an exec kept without bound",
    "2023-25153": "an index in an archive read without bound",
    "2023-25173": "the first group missing among the supplementary ones",
    "2024-25621": "data and state that other users of the host can read",
    "2024-40635": "numbers of users that wrap to root",
    "2025-11395": "a loaded image that writes through links of its own",
    "2025-47290": "a path of a layer that changes between look and use",
    "2025-62725": "odd names that lead out of the place for output",
    "2025-64329": "something left behind by each client that stalls while attached",
    "2026-15788": "whiteouts that climb (15788 to 15793)",
    "2026-46680": "spellings of root that do not look like it",
    "2026-47262": "a list of groups read without bound",
    "2026-53493": "indexes below indexes fetched without bound",
    "2026-95838": "opaque whiteouts that cost more than they are",
    "2026-95839": "a malformed digest that ends the daemon",
}
# Of parts of the CRI plugin that have no like here: no pods, no SELinux labels of theirs, no restart monitor, no such import.
ABSENT = """2021-43816 2022-23648 2025-47291 2026-50195 2026-53488 2026-53489 2026-53492 2026-95837""".split()


@pytest.mark.parametrize("number", KNOWN)
def test_known_flaws_are_tested(number: str) -> None:
    wanted = re.compile(rf"def test_(cve_\d+_\d+_)*cve_{number.replace('-', '_')}_")
    files = [each for each in _TESTS.rglob("test_*.py") if each != Path(__file__)]
    assert any(wanted.search(each.read_text()) for each in files)


def test_what_is_absent_is_absent() -> None:
    """The day CRI comes, these need their tests."""
    assert not KNOWN.keys() & set(ABSENT)
    services = _TESTS.parent / "services/containerd/containerd/services"
    assert not any(
        "runtime.v1.RuntimeService" in each.read_text() for each in services.glob("*.py")
    )
