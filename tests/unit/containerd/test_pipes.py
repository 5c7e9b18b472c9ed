"""The FIFO beside a stream: what it refuses, and that nobody waits at it for ever."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from containerd.transfer.pipes import Pipe
from wire.errors import Cancelled, InvalidArgument


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_bytes_go_through_to_the_end(fifo: Path) -> None:
    client = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    with Pipe(str(fifo), writes=False) as pipe:
        os.write(client, b"hello")
        os.close(client)
        assert pipe.read(100) == b"hello"
        assert pipe.read(100) == b""


@pytest.mark.parametrize("writes", [False, True])
def test_only_a_fifo_is_opened(tmp_path: Path, fifo: Path, writes: bool) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(fifo)
    for name in ("file", "link", "missing"):
        with pytest.raises(InvalidArgument, match="pipe"):
            Pipe(str(tmp_path / name), writes=writes)


def test_writing_to_nobody_is_refused(fifo: Path) -> None:
    with pytest.raises(InvalidArgument):
        Pipe(str(fifo), writes=True)


def test_a_reader_that_leaves_cancels(fifo: Path) -> None:
    client = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with Pipe(str(fifo), writes=True) as pipe:
        os.close(client)
        with pytest.raises(Cancelled):
            pipe.write(b"x")


def test_cancel_ends_a_thread_that_waits(fifo: Path) -> None:
    client = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    seen: list[type[BaseException]] = []
    with Pipe(str(fifo), writes=False) as pipe:

        def read() -> None:
            try:
                pipe.read(1)
            except Cancelled as error:
                seen.append(type(error))

        thread = threading.Thread(target=read)
        thread.start()
        pipe.cancel()
        thread.join(10)
    os.close(client)
    assert seen == [Cancelled]
