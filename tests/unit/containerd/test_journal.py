"""The file of the metadata's journal by itself: what it holds after failures, and what it says of damage."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from containerd.metadata import journal
from containerd.metadata.journal import Journal
from wire.errors import Internal, ResourceExhausted

_ROWS = [b't\t["a"]\t[1]', b't\t["b"]\t[2]']


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "metadata.journal")


@pytest.fixture
def kept(path: str) -> Journal:
    return Journal.write(path, _ROWS, 7, {"t": 2}, {"version": 1})


def _refuse(number: int) -> Any:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def _read(path: str) -> tuple[int, bool, set[bytes]]:
    found = journal.read(path)
    assert found is not None
    return (
        found.number,
        found.damaged,
        {line.rpartition(b"\t")[2] for line in journal.lines(path, found)},
    )


def test_what_was_undone_leaves_no_hole(path: str, kept: Journal) -> None:
    kept.append([b't\t["c"]\t[3]'], {"t": 3})
    kept.append([b't\t["d"]\t[4]'], {"t": 4})
    kept.undo()
    assert (kept.number, *_read(path)) == (8, 8, False, {b"[1]", b"[2]", b"[3]"})
    kept.append([b't\t["a"]\tnull'], {"t": 4})
    assert _read(path) == (9, False, {b"[2]", b"[3]"})


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, ResourceExhausted), (errno.EIO, Internal)]
)
def test_a_transaction_that_cannot_be_synced_was_never_there(
    path: str, kept: Journal, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _refuse(number))
        with pytest.raises(kind):
            kept.append([b't\t["c"]\t[3]'], {})
    assert (kept.broken, *_read(path)) == (False, 7, False, {b"[1]", b"[2]"})
    assert kept.append([b't\t["d"]\t[4]'], {}) == 8
    assert _read(path) == (8, False, {b"[1]", b"[2]", b"[4]"})


@pytest.mark.parametrize("name", ["ftruncate", "fsync"])
def test_what_cannot_be_taken_back_is_told(
    kept: Journal, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The daemon then writes the file anew before anything else is put into it."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _refuse(errno.EIO))
        patch.setattr(os, name, _refuse(errno.EIO))
        with pytest.raises(Internal):
            kept.append([b't\t["c"]\t[3]'], {})
    assert kept.broken


def test_numbers_that_were_given_are_not_given_again(path: str, kept: Journal) -> None:
    kept.append([b't\t["c"]\t[9]'], {"t": 9})
    kept.append([b't\t["c"]\tnull'], {"t": 2})
    found = journal.read(path)
    assert found is not None
    assert found.sequences == {"t": 9}


def test_a_checksum_that_is_no_number_is_damage(path: str, kept: Journal) -> None:
    kept.append([b't\t["c"]\t[3]'], {})
    data = Path(path).read_bytes().rstrip(b"\0")
    at = data.index(b't\t["c"]') - 9
    Path(path).write_bytes(data[:at] + b"nonsense" + data[at + 8 :])
    assert _read(path) == (7, True, {b"[1]", b"[2]"})


def test_a_file_that_cannot_be_written_leaves_nothing_beside(
    path: str, kept: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path(path).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _refuse(errno.ENOSPC))
        with pytest.raises(OSError, match="No space"):
            Journal.write(path, _ROWS, 8, {}, {})
        # It goes on with the old one, and does not try again at each transaction.
        kept._first = 0
        assert journal.compacted(kept) is kept
        assert kept._first == kept._size
    assert not Path(f"{path}.new").exists()
    assert Path(path).read_bytes() == before
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("what", ["gone", "damaged", "behind"])
def test_a_file_that_is_not_what_was_written_is_not_compacted(
    path: str, kept: Journal, what: str
) -> None:
    kept.append([b't\t["c"]\t[3]'], {})
    kept.append([b't\t["d"]\t[4]'], {})
    data = Path(path).read_bytes().rstrip(b"\0")
    if what == "gone":
        os.unlink(path)
    elif what == "damaged":
        at = data.index(b't\t["c"]')
        Path(path).write_bytes(data[:at] + b"T" + data[at + 1 :])
    else:
        os.truncate(path, len(data) - 3)
    assert journal.compacted(kept) is kept
    assert kept.broken


def test_what_was_cut_short_does_not_show_behind_what_follows(path: str, kept: Journal) -> None:
    kept.append([b't\t["c"]\t[3]', *(b't\t["x%d"]\t[5]' % number for number in range(50))], {})
    kept.close()
    os.truncate(path, len(Path(path).read_bytes().rstrip(b"\0")) - 3)
    found = journal.read(path)
    assert found is not None
    again = Journal(path, found)
    again.append([b't\t["d"]\t[4]'], {})
    assert _read(path) == (8, False, {b"[1]", b"[2]", b"[4]"})
    again.close()
    assert b'"x7"' not in Path(path).read_bytes()
