"""Every known flaw of Docker's daemon that concerns what exists here has a test that names it.

Builders, and the programs of users (CLI, Compose, Desktop), are subjects of their own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUARDED = {
    # Capabilities, groups
    "CVE-2022-24769": "no process has an inheritable capability that it did not ask for",
    "CVE-2022-36109": "the primary group is among the supplementary ones",
    # Archives, paths, mounts
    "CVE-2021-41089": "cp changes no mode of a file of the host",
    "CVE-2026-41568": "what is made for a mount is not made through a link that appears meanwhile",
    "CVE-2026-42306": "what is mounted on is what was looked at",
    # Input without an end
    "CVE-2026-78659": "headers and trailers have a limit",
    "CVE-2026-78663": "no frame of HTTP/2 is kept",
    "CVE-2026-78669": "no window of HTTP/2 is counted",
    # What an authorization plugin sees is what is done
    "CVE-2024-41110": "a body is shown, whatever its headers say of its length",
    "CVE-2026-33997": "no list of privileges installs a plugin",
    "CVE-2026-34040": "a body that is too large to be shown is refused",
    # Files of the daemon
    "CVE-2021-21284": "nobody but root owns what the daemon believes",
    "CVE-2021-41091": "the data root is closed to users of the host",
    # Networks
    "CVE-2020-13401": "no router's advertisement is believed",
    "CVE-2023-28840": "there are no overlay networks",
    "CVE-2023-28841": "there are no overlay networks",
    "CVE-2023-28842": "there are no overlay networks",
    "CVE-2024-29018": "nothing of an internal network is forwarded by the resolver",
    "CVE-2024-32473": "no IPv6 where a network has none",
    "CVE-2025-54388": "ports of the loopback stay private after a reload of the firewall",
    "CVE-2025-54410": "networks stay apart after a reload of the firewall",
    # Credentials, TLS, digests
    "CVE-2019-13509": "secrets are in no log and no trace",
    "CVE-2021-41190": "a document is a manifest or an index",
    "CVE-2026-92543": "a registry is insecure only if all of its addresses are",
    # The builder's cache
    "CVE-2024-24557": "there is no cache that a foreign image could be taken from",
    # Malformed input
    "CVE-2021-21285": "a malformed manifest of a registry is an error of that pull",
    "CVE-2024-36620": "every question about a crafted image has an answer",
    "CVE-2026-97032": "no table of HTTP/2 is kept",
    # The host executes files of guests
    "CVE-2019-14271": "cp loads no library of a container",
    "CVE-2026-41567": "cp runs no program of a container",
    # States that mix
    "CVE-2024-36621": "creations side by side do not mix",
    "CVE-2024-36623": "progress of several layers stays lines of JSON",
}
_TESTS = Path(__file__).parents[2]
_NAMED = re.compile(r"def test_((?:cve_\d+_\d+_)+)")


@pytest.fixture(scope="module")
def named() -> set[str]:
    """The numbers in the names of all tests that `make test` runs."""
    folders = (_TESTS / "e2e", _TESTS / "integration", _TESTS / "unit/dockerd")
    return {
        f"CVE-{number.replace('_', '-')}"
        for folder in folders
        for path in folder.rglob("test_*.py")
        for name in _NAMED.findall(path.read_text())
        for number in re.findall(r"cve_(\d+_\d+)", name)
    }


@pytest.mark.parametrize("number", GUARDED)
def test_a_known_flaw_is_tested(number: str, named: set[str]) -> None:
    assert number in named, GUARDED[number]


def test_what_is_not_tested_is_seen(named: set[str]) -> None:
    assert "CVE-2019-5736" not in named
    assert len(named) >= len(GUARDED)
