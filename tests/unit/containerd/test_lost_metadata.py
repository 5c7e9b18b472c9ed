"""The metadata file is gone or damaged: nothing is swept away for want of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from containerd.metadata.db import Database
from wire.errors import DataLoss


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    folder = tmp_path / "content" / "blobs"
    (folder / "sha256").mkdir(parents=True)
    (folder / "sha256" / "abc").write_text("data")
    return folder


def test_a_first_start(tmp_path: Path) -> None:
    path = str(tmp_path / "root" / "metadata.db")
    Database(path, (str(tmp_path / "root" / "content"),)).close()
    (tmp_path / "root" / "content" / "a").mkdir(parents=True)
    Database(path, (str(tmp_path / "root" / "content"),)).close()


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_file_is_not_a_first_start(tmp_path: Path, blobs: Path, left: bytes | None) -> None:
    path = tmp_path / "metadata.db"
    if left is not None:
        path.write_bytes(left)
    for _ in range(2):
        # Also the second time: the first must not have made a file.
        with pytest.raises(DataLoss, match=r"metadata\.db is missing or empty"):
            Database(str(path), (str(blobs),))


def test_a_damaged_file_without_a_journal_is_named(tmp_path: Path, blobs: Path) -> None:
    path = tmp_path / "metadata.db"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(DataLoss, match=r"metadata\.db: the database was damaged.*missing, too"):
        Database(str(path), (str(blobs),))
