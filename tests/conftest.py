"""Fixtures of the tests that need the whole stack."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.stack import BIN, DOCKER, Stack, running_stack


@pytest.fixture(scope="session")
def session_stack() -> Iterator[Stack]:
    """One stack for the whole run."""
    if os.geteuid() != 0 or DOCKER is None or not (BIN / "dockyard").exists():
        pytest.skip("needs root, the docker CLI and a built stack")
    root = Path(tempfile.mkdtemp(prefix="dockyard-e2e-"))
    try:
        with running_stack(root) as stack:
            yield stack
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def stack(session_stack: Stack) -> Iterator[Stack]:
    """The stack, without containers before and after the test."""
    yield session_stack
    session_stack.remove_all()
