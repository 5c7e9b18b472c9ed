"""Reading logs that a shim writes, has written, rotates and compresses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.children import reaped

from dockerd.linux.inotify import Directories
from dockerd.logdrivers import jsonfile, localfile, reading
from dockerd.logdrivers.entry import Entry, Format, details, nanoseconds, shown
from shim.stdio.jsonfile import JsonFile
from shim.stdio.localfile import LocalFile

KINDS: list[tuple[Any, type[Format]]] = [
    (JsonFile, jsonfile.JsonFile),
    (LocalFile, localfile.LocalFile),
]


@pytest.fixture(params=KINDS, ids=["json-file", "local"])
def kind(request: pytest.FixtureRequest) -> tuple[Any, Format]:
    """A writer's class, and a reader's format."""
    writer, form = request.param
    return writer, form()


def everything(path: Path, form: Format, tail: int | None = None) -> list[Entry]:
    async def run() -> list[Entry]:
        return [entry async for batch in reading.read(str(path), form, tail) for entry in batch]

    return asyncio.run(run())


def texts(entries: list[Entry]) -> list[bytes]:
    return [text for _, text, _, _ in entries]


def test_what_was_written(tmp_path: Path, kind: tuple[Any, Format]) -> None:
    writer, form = kind
    log = writer(str(tmp_path / "log"), 0, 1)
    awkward = [
        b'"quoted","stream":"stderr"\n',
        b"back\\slash\\n\n",
        b"<&>\n",
        "é\u2028\n".encode(),
        b"\n",
        b"\t\x01\n",
    ]
    log.write("stdout", b"".join(awkward))
    log.write("stderr", b"x" * 40000 + b"\nno end")
    log.finish("stderr")
    found = everything(tmp_path / "log", form)
    assert texts(found)[:6] == awkward
    assert b"".join(texts(found)[6:]) == b"x" * 40000 + b"\nno end"
    assert [stream for stream, *_ in found] == ["stdout"] * 6 + ["stderr"] * 4
    assert all(nanoseconds(moment) > 1_700_000_000 * 10**9 for _, _, moment, _ in found)


def test_attributes(tmp_path: Path) -> None:
    json_log = JsonFile(str(tmp_path / "j"), 0, 1, attributes='{"a<b":"1 2","c":"é"}')
    local_log = LocalFile(str(tmp_path / "l"), 0, 1, attributes={"a<b": "1 2", "c": "é"})
    for log in (json_log, local_log):
        log.write("stdout", b"plain\nesc\\aped\n")
    for path, form in (
        (tmp_path / "j", jsonfile.JsonFile()),
        (tmp_path / "l", localfile.LocalFile()),
    ):
        found = everything(path, form)
        assert texts(found) == [b"plain\n", b"esc\\aped\n"]
        assert [details(each[3]) for each in found] == ["a%3Cb=1+2,c=%C3%A9"] * 2


@pytest.mark.parametrize("tail", [0, 1, 7, 150, 399, 400, 5000])
def test_tail_over_files(tmp_path: Path, kind: tuple[Any, Format], tail: int) -> None:
    writer, form = kind
    log = writer(str(tmp_path / "log"), 9000, 9)
    for number in range(400):
        log.write("stdout", b"line %d %s\n" % (number, b"y" * (number % 50)))
    assert len(list(tmp_path.iterdir())) >= 3
    wanted = [b"line %d %s\n" % (n, b"y" * (n % 50)) for n in range(max(0, 400 - tail), 400)]
    assert texts(everything(tmp_path / "log", form, tail)) == wanted
    # What a writer has not finished is no record.
    with (tmp_path / "log").open("ab") as file:
        file.write(b"\0\0\0\x20torn" if writer is LocalFile else b'{"log":"torn')
    assert texts(everything(tmp_path / "log", form, tail)) == wanted


def test_tail_of_large_records(tmp_path: Path, kind: tuple[Any, Format]) -> None:
    writer, form = kind
    log = writer(str(tmp_path / "log"), 0, 1)
    lines = [b"%05d" % number + b"z" * 16000 + b"\n" for number in range(60)]
    log.write("stdout", b"".join(lines))
    assert texts(everything(tmp_path / "log", form, 9)) == lines[-9:]


def test_compressed_files(tmp_path: Path, kind: tuple[Any, Format]) -> None:
    writer, form = kind
    log = writer(str(tmp_path / "log"), 5000, 8, compress=True)
    with reaped():
        for number in range(300):
            log.write("stdout", b"line %d\n" % number)
    assert list(tmp_path.glob("*.gz"))
    assert texts(everything(tmp_path / "log", form)) == [b"line %d\n" % n for n in range(300)]
    assert texts(everything(tmp_path / "log", form, 123)) == [
        b"line %d\n" % n for n in range(177, 300)
    ]
    # A compression that was cut short leaves both, and the plain one counts.
    newest = min(tmp_path.glob("*.gz"))
    (tmp_path / newest.stem).write_bytes(b"")
    assert len(everything(tmp_path / "log", form)) < 300


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("files", [1, 3])
def test_following(tmp_path: Path, kind: tuple[Any, Format], files: int, compress: bool) -> None:
    """Every line comes once, in order, while the log rotates under the reader."""
    writer, form = kind
    path = tmp_path / "log"
    ended = False

    async def scenario() -> list[bytes]:
        nonlocal ended
        found: list[bytes] = []

        async def read() -> None:
            with directories.watched(str(tmp_path)) as changed:
                async for batch in reading.follow(str(path), form, None, lambda: ended, changed):
                    found.extend(texts(batch))

        directories = Directories()

        reader = asyncio.create_task(read())
        log = writer(str(path), 2000, files, compress=compress)
        for number in range(120):
            log.write("stdout", b"line %d\n" % number)
            if number % 10 == 9:
                # The reader keeps up: it has a turn before so much is written that a file is gone.
                while not found or found[-1] != b"line %d\n" % number:
                    await asyncio.sleep(0.01)
        ended = True
        (tmp_path / "state").write_text("ended")
        await reader
        directories.close()
        return found

    with reaped():
        found = asyncio.run(asyncio.wait_for(scenario(), 30))
    assert found == [b"line %d\n" % n for n in range(120)]


def test_following_from_the_end(tmp_path: Path, kind: tuple[Any, Format]) -> None:
    writer, form = kind
    log = writer(str(tmp_path / "log"), 0, 1)
    log.write("stdout", b"one\ntwo\nthree\n")

    async def scenario(tail: int) -> list[bytes]:
        found: list[bytes] = []
        rounds = 0

        def ended() -> bool:
            nonlocal rounds
            rounds += 1
            if rounds == 1:
                log.write("stdout", b"late %d\n" % tail)
            return rounds > 2

        directories = Directories()
        with directories.watched(str(tmp_path)) as changed:
            async for batch in reading.follow(str(tmp_path / "log"), form, tail, ended, changed):
                found += texts(batch)
        directories.close()
        return found

    assert asyncio.run(scenario(0)) == [b"late 0\n"]
    assert asyncio.run(scenario(2)) == [b"three\n", b"late 0\n", b"late 2\n"]


def test_following_from_the_middle_of_a_record(tmp_path: Path, kind: tuple[Any, Format]) -> None:
    """Whoever begins to follow while a record is being written gets that record."""
    writer, form = kind
    path = tmp_path / "log"
    log = writer(str(path), 0, 1)
    log.write("stdout", b"before\n")
    before = path.stat().st_size
    log.write("stdout", b"under way\n")
    record = path.read_bytes()[before:]
    os.truncate(path, before + 20)

    async def scenario() -> list[bytes]:
        found: list[bytes] = []
        rounds = 0

        def ended() -> bool:
            nonlocal rounds
            rounds += 1
            if rounds == 1:
                with path.open("ab") as file:
                    file.write(record[20:])
            return rounds > 1

        async for batch in reading.follow(str(path), form, 0, ended, asyncio.Event()):
            found += texts(batch)
        return found

    assert asyncio.run(scenario()) == [b"under way\n"]


def test_times() -> None:
    assert shown(b"2026-01-02T03:04:05.6Z") == "2026-01-02T03:04:05.600000000Z"
    moment = 1_767_323_045_600_000_000
    assert shown(moment) == "2026-01-02T03:04:05.600000000Z"
    assert nanoseconds(b"2026-01-02T03:04:05.6Z") == nanoseconds(moment) == moment
    assert nanoseconds(b"yesterday") == 0
