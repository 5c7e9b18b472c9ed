"""The driver `local`: what moby's reader finds, checked with a protobuf library, whatever the disk does."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tests.support.children import reaped

from shim.stdio.lines import LONGEST
from shim.stdio.localfile import LocalFile

_FIELDS = {
    "LogAttr": [("key", 1, "STRING", ""), ("value", 2, "STRING", "")],
    "Metadata": [("last", 1, "BOOL", ""), ("id", 2, "STRING", ""), ("ordinal", 3, "INT32", "")],
    "LogEntry": [
        ("source", 1, "STRING", ""), ("time_nano", 2, "INT64", ""), ("line", 3, "BYTES", ""), ("partial", 4, "BOOL", ""),
        ("partial_log_metadata", 5, "MESSAGE", ".t.Metadata"), ("attrs", 6, "MESSAGE", ".t.LogAttr"),
    ],
}  # fmt: skip


def _entry_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="entry.proto", package="t", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, other in fields:
            message.field.add(
                name=field,
                number=number,
                type=getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind}"),
                label=3 if field == "attrs" else 1,
                **({"type_name": other} if other else {}),
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.LogEntry"))


ENTRY = _entry_class()


def entries(data: bytes) -> list[Any]:
    """Every entry; fails for what is none."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        assert data[4 + size : 8 + size] == data[:4]
        found.append(ENTRY.FromString(data[4 : 4 + size]))
        data = data[8 + size :]
    return found


def test_entries_are_mobys(tmp_path: Path) -> None:
    path = tmp_path / "logs/container.log"
    before = time.time_ns()
    log = LocalFile(str(path), 0, 1, attributes={"b": "2", "a": "1"})
    log.write("stdout", b"one\n\nt\xffwo\n")
    log.write("stderr", b"err\n")
    log.write("stdout", b"no end")
    log.finish("stdout")
    first, empty, odd, error, last = entries(path.read_bytes())
    assert (first.source, first.line, first.partial) == ("stdout", b"one", False)
    assert before <= first.time_nano <= time.time_ns()
    assert [(each.key, each.value) for each in first.attrs] == [("a", "1"), ("b", "2")]
    assert (empty.line, odd.line) == (b"", b"t\xffwo")
    assert (error.source, error.line) == ("stderr", b"err")
    assert (last.line, last.partial, last.partial_log_metadata.last) == (b"no end", True, False)


def test_pieces_of_a_long_line(tmp_path: Path) -> None:
    log = LocalFile(str(tmp_path / "log"), 0, 1)
    log.write("stdout", b"x" * (2 * LONGEST) + b"end\nnext\n")
    found = entries((tmp_path / "log").read_bytes())
    pieces = [each.partial_log_metadata for each in found[:-1]]
    assert [each.ordinal for each in pieces] == [1, 2, 3]
    assert [each.last for each in pieces] == [False, False, True]
    assert len({each.id for each in pieces}) == 1
    assert len(pieces[0].id) == 64
    assert len({each.time_nano for each in found[:-1]}) == 1
    assert not found[-1].partial
    replayed: list[bytes] = []
    log.replay(lambda _, text: replayed.append(text))
    assert b"".join(replayed) == b"x" * (2 * LONGEST) + b"end\nnext\n"


@pytest.mark.parametrize("room", range(0, 260, 9))
def test_a_full_disk_leaves_whole_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "log"
    log = LocalFile(str(path), 0, 1)
    write, left = os.write, [room]

    def limited(descriptor: int, data: bytes) -> int:
        if descriptor <= 2:
            return len(data)
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        taken = write(descriptor, bytes(data[: left[0]]))
        left[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", limited)
    for number in range(3):
        log.write("stdout", b"line %d\nagain %d\n" % (number, number))
    left[0] = 1 << 20
    log.write("stdout", b"last\n")
    lines = [each.line for each in entries(path.read_bytes())]
    assert lines[-1] == b"last"
    everything = [b"%s %d" % (word, n) for n in range(3) for word in (b"line", b"again")]
    assert lines[:-1] == everything[: len(lines) - 1]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_what_an_earlier_writer_left_torn_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log"
    log = LocalFile(str(path), 0, 1)
    log.write("stdout", b"one\ntwo\n")
    log.close()
    os.truncate(path, path.stat().st_size - cut)
    LocalFile(str(path), 0, 1).write("stdout", b"three\n")
    assert [each.line for each in entries(path.read_bytes())] == [b"one", b"three"]


def test_rotation_and_compression(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LocalFile(str(path), 4000, 3, compress=True)
    with reaped():
        for number in range(400):
            log.write("stdout", b"line %d\n" % number)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1.gz", "log.2.gz"]
    lines = []
    for name in ("log.2.gz", "log.1.gz", "log"):
        data = (tmp_path / name).read_bytes()
        lines += entries(zlib.decompress(data, 31) if name.endswith("gz") else data)
    numbers = [int(each.line.split()[1]) for each in lines]
    assert numbers == list(range(400 - len(numbers), 400))
    assert len(numbers) > 200
    replayed: list[bytes] = []
    log.replay(lambda _, text: replayed.append(text))
    assert replayed == [b"line %d\n" % number for number in numbers]
