"""Tests that need cgroup v2 with its controllers; `make test-cgroup2` boots a kernel that has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime import conftest as runtime
from tests.runtime.conftest import PARENT, Box

box = runtime.box
ROOT = Path("/sys/fs/cgroup")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    runtime.skip_without_needs(items, folder)
    if not (ROOT / "cgroup.controllers").exists():
        for item in items:
            if folder in item.path.parents:
                item.add_marker(
                    pytest.mark.skip(
                        reason="this host has no cgroup v2; make test-cgroup2 boots one"
                    )
                )


class Group:
    """The container's directory, read as the kernel tells it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __getitem__(self, name: str) -> str:
        return (self.path / name).read_text().strip()

    def pairs(self, name: str) -> dict[str, int]:
        """A file of lines `key number`."""
        return {
            key: int(value) for key, value in (line.split() for line in self[name].splitlines())
        }

    def has(self, name: str) -> bool:
        return (self.path / name).exists()


@pytest.fixture
def group(box: Box) -> Group:
    return Group(box.cgroup(""))


@pytest.fixture(scope="session", autouse=True)
def _test_cgroup() -> Iterator[None]:
    """Remove the parent of the tests' containers."""
    yield
    parent = ROOT / PARENT
    if parent.exists():
        parent.rmdir()
