"""The json-file log: what Docker's reader finds, whatever the disk does."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from shim.stdio import jsonfile
from shim.stdio.jsonfile import LONGEST, JsonFile


def records(*paths: Path) -> list[str]:
    """The text of every record; fails for a line that is none."""
    return [
        json.loads(line)["log"] for path in paths for line in path.read_bytes().splitlines() if line
    ]


def files_of(path: Path) -> list[Path]:
    """A log's files, oldest first."""
    older = sorted(path.parent.glob(f"{path.name}.*"), key=lambda each: -int(each.suffix[1:]))
    return [*older, path]


class Disk:
    """Stands for os.write on a disk that has room for some bytes only."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, room: int, error: int = errno.ENOSPC
    ) -> None:
        self.room = room
        self._error = error
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if descriptor <= 2:
            return len(data)
        if self.room <= 0:
            raise OSError(self._error, os.strerror(self._error))
        taken = self._write(descriptor, bytes(data[: self.room]))
        self.room -= taken
        return taken


def test_lines_come_out_as_they_went_in(tmp_path: Path) -> None:
    log = JsonFile(str(tmp_path / "log"), 0, 1)
    log.write("stdout", b"one\ntw")
    log.write("stderr", b"err\n")
    log.write("stdout", b"o\n\n<&>\xff\xe2\x80\xa8\n")
    log.write("stdout", b"no end")
    assert records(tmp_path / "log") == ["one\n", "err\n", "two\n", "\n", "<&>\ufffd\u2028\n"]
    log.finish("stdout")
    assert records(tmp_path / "log")[-1] == "no end"
    raw = (tmp_path / "log").read_bytes()
    assert rb"\u003c\u0026\u003e" in raw
    entry = json.loads(raw.splitlines()[1])
    assert entry["stream"] == "stderr"
    assert entry["time"].endswith("Z")


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST, 100_000])
@pytest.mark.parametrize("chunk", [1000, 65536])
def test_long_lines_are_split_where_docker_splits_them(
    tmp_path: Path, length: int, chunk: int
) -> None:
    log = JsonFile(str(tmp_path / "log"), 0, 1)
    line = b"x" * length + b"\n"
    for at in range(0, len(line), chunk):
        log.write("stdout", line[at : at + chunk])
    found = records(tmp_path / "log")
    assert "".join(found).encode() == line
    assert [len(each) for each in found[:-1]] == [LONGEST] * (length // LONGEST)
    assert found[-1].endswith("\n")


def test_a_split_tears_no_character(tmp_path: Path) -> None:
    log = JsonFile(str(tmp_path / "log"), 0, 1)
    line = "é€😀" * 9000 + "\n"
    log.write("stdout", line.encode())
    found = records(tmp_path / "log")
    assert "".join(found) == line
    assert all(len(each.encode()) > LONGEST - 4 for each in found[:-1])


@pytest.mark.parametrize("most", [1, 2, 3])
def test_rotation_keeps_to_its_limits_and_the_newest_lines(tmp_path: Path, most: int) -> None:
    path = tmp_path / "log"
    log = JsonFile(str(path), 2000, most)
    number = 0
    for size in (1, 7, 50, 200):
        for _ in range(20):
            lines = range(number, number + size)
            number += size
            log.write("stdout", b"".join(b"line %d\n" % each for each in lines))
    files = files_of(path)
    assert len(files) == most
    assert all(each.stat().st_size <= 2000 for each in files)
    found = [int(each.split()[1]) for each in records(*files)]
    assert found == list(range(number - len(found), number))


def test_a_full_disk_loses_whole_records_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    log = JsonFile(str(path), 0, 1)
    log.write("stdout", b"before\n")
    disk = Disk(monkeypatch, 30)
    log.write("stdout", b"torn\nlost\n")
    log.write("stdout", b"lost too\n")
    assert log.dropped > 0
    disk.room = 1 << 20
    log.write("stdout", b"after\n")
    assert records(path) == ["before\n", "torn\n", "after\n"]


@pytest.mark.parametrize("room", range(0, 400, 7))
def test_whatever_room_there_was_every_line_is_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "log"
    # Of one length, whatever the time is.
    monkeypatch.setattr(jsonfile, "timestamp", lambda: "2026-01-01T00:00:00Z")
    log = JsonFile(str(path), 0, 1)
    disk = Disk(monkeypatch, room)
    for number in range(6):
        log.write("stdout", b"line %d\n" % number)
    disk.room = 1 << 20
    log.write("stdout", b"line 9\n")
    found = records(path)
    assert found[-1] == "line 9\n"
    kept = found[:-1]
    assert kept == [f"line {number}\n" for number in range(len(kept))]
    size = len(path.read_bytes().splitlines(keepends=True)[-1])
    assert log.dropped == (6 - len(kept)) * size


def test_rotation_frees_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    log = JsonFile(str(path), 300, 2)
    disk = Disk(monkeypatch, 320)
    for number in range(8):
        log.write("stdout", b"line %d\n" % number)
        # What rotation removes, the disk has again.
        disk.room = 620 - sum(each.stat().st_size for each in tmp_path.iterdir())
    assert records(path)[-1] == "line 7\n"


@pytest.mark.parametrize("error", [errno.EIO, errno.EPERM, errno.EDQUOT])
def test_other_errors_are_survived_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    log = JsonFile(str(tmp_path / "log"), 0, 1)
    disk = Disk(monkeypatch, 0, error)
    log.write("stdout", b"lost\n")
    disk.room = 1000
    log.write("stdout", b"kept\n")
    assert records(tmp_path / "log") == ["kept\n"]


def test_a_torn_last_line_of_an_earlier_writer_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"log":"whole\\n","stream":"stdout","time":"t"}\n{"log":"to')
    JsonFile(str(path), 0, 1).write("stdout", b"next\n")
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[0])["log"] == "whole\n"
    assert json.loads(lines[-1])["log"] == "next\n"


def test_replay_hands_over_every_file(tmp_path: Path) -> None:
    log = JsonFile(str(tmp_path / "log"), 200, 3)
    for number in range(6):
        log.write("stdout", b"line %d\n" % number)
    found: list[bytes] = []
    log.replay(lambda _stream, text: found.append(text))
    assert found == [b"line %d\n" % number for number in range(6 - len(found), 6)]
