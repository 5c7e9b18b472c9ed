"""What every test of networks leaves to others: nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockerd.networks.dns import Resolver
from wire.addresses import short_dir


@pytest.fixture(autouse=True)
def resolver_ends(tmp_path: Path) -> Iterator[None]:
    """A resolver outlives the controller that started it, as it outlives dockerd; the stack's end ends it."""
    yield
    root = str(tmp_path / "exec")
    Resolver(root).end()
    shutil.rmtree(short_dir(root), ignore_errors=True)
