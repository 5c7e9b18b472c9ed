"""What one service's image installs is what the whole repository was tested with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[3]
MEMBERS = ("proto", "services/dockerd", "services/containerd", "services/shim")


def _pins(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Each package's version and hashes."""
    entries = re.split(r"^(?=[a-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
    found = {}
    for entry in entries:
        name, version = re.match(r"([\w.-]+)==([\w.]+)", entry).groups()
        found[name] = (version, frozenset(re.findall(r"sha256:[0-9a-f]{64}", entry)))
    return found


@pytest.mark.parametrize("member", MEMBERS)
def test_pins_of_a_member_are_the_workspaces(member: str) -> None:
    everything = _pins(CLONE / "requirements-dev.txt")
    mine = _pins(CLONE / member / "requirements.txt")
    # The shim needs nothing but Python.
    assert bool(mine) == (member != "services/shim")
    assert {name: everything.get(name) for name in mine} == mine
    assert all(hashes for _, hashes in mine.values())


@pytest.mark.parametrize(
    "path", ["requirements-dev.txt", *(f"{m}/requirements.txt" for m in MEMBERS)]
)
def test_no_address_of_a_registry_is_recorded(path: str) -> None:
    assert "://" not in (CLONE / path).read_text()
