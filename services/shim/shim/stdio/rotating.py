"""A log file that is rotated by size, and compressed behind the newest; whole records only, whatever the disk does."""

from __future__ import annotations

import contextlib
import fcntl
import os

from shim import log
from shim.stdio.lines import LineLog
from shim.succession import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


class RotatingLog(LineLog):
    """The files of a log: ``path`` is the newest, ``path.1`` the one before, and so on, those with ``.gz`` behind if wanted.

    A failing write never stops the container: records that do not fit are counted as dropped, and the next are tried
    again. A record of which a part was written is finished first, so that no reader finds a torn one.
    """

    def __init__(self, path: str, max_size: int, max_file: int, *, compress: bool = False) -> None:
        super().__init__()
        self._path = path
        self._max_size = max_size
        self._max_file = max(1, max_file)
        self._compress = compress and max_file > 1
        self._descriptor = -1
        self._size = 0
        self._torn = b""
        self._failing = False
        self._open()
        self._mend()

    # -- the format, by subclasses

    def split(self, data: bytes) -> list[bytes]:
        """Encoded records, one by one."""
        raise NotImplementedError

    def _mend(self) -> None:
        """End a record that a writer before us left torn."""
        raise NotImplementedError

    # -- writing

    def held(self) -> dict[str, str]:
        """What waits for its line's end; raises Refusal if a record is torn."""
        if self._torn:
            raise Refusal
        return super().held()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self.dropped:
            log.warning("log incomplete", path=self._path, dropped=self.dropped)

    def store(self, encoded: bytes) -> None:
        """Write encoded records, into the next file where this one is full."""
        if 0 < self._max_size < self._size + len(self._torn) + len(encoded):
            # Record-wise only near the limit, so that no file exceeds it by more than one record.
            for record in self.split(encoded):
                size = self._size + len(self._torn)
                if size > 0 and size + len(record) > self._max_size:
                    self._rotate()
                self._put(record)
        else:
            self._put(encoded)

    def _put(self, data: bytes) -> None:
        if self._flush(data) and self._failing:
            self._failing = False
            log.warning("log writes work again", path=self._path, dropped=self.dropped)

    def _flush(self, data: bytes) -> bool:
        """Write what is left of a torn record, then ``data``; whether all of it was written."""
        pending = self._torn + data
        done = 0
        try:
            if self._descriptor < 0:
                self._open()
            while done < len(pending):
                written = os.write(self._descriptor, memoryview(pending)[done:])
                if written <= 0:
                    break
                done += written
                self._size += written
        except OSError as error:
            if not self._failing:
                self._failing = True
                log.warning("log write failed", path=self._path, error=error.strerror)
        if done == len(pending):
            self._torn = b""
            return True
        # The record in which the write stopped is completed later; those behind it are lost.
        end = 0
        if done or self._torn:
            ends = [len(self._torn)] if self._torn else []
            for record in self.split(data):
                ends.append((ends[-1] if ends else 0) + len(record))
            end = next(each for each in ends if each >= done)
        self._torn = pending[done:end]
        self.dropped += len(pending) - end
        return False

    def _open(self) -> None:
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640
        )
        self._size = os.fstat(self._descriptor).st_size

    def contents(self) -> Iterator[bytes]:
        """The content of each file, oldest first."""
        for number in range(self._max_file - 1, -1, -1):
            path = f"{self._path}.{number}" if number else self._path
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                yield file.read()
                continue
            with contextlib.suppress(FileNotFoundError), open(f"{path}.gz", "rb") as file:
                import zlib

                yield zlib.decompress(file.read(), zlib.MAX_WBITS | 16)

    # -- rotation

    def _rotate(self) -> None:
        if not self._flush(b""):
            # Rotating may free the space that is missing; the torn record stays the old file's last, and is skipped.
            self.dropped += len(self._torn)
            self._torn = b""
        try:
            if self._compress:
                self._wait_for_compression()
            os.close(self._descriptor)
            self._descriptor = -1
            if self._max_file > 1:
                self._shift()
            else:
                # Not emptied: who reads it shall come to its end.
                os.unlink(self._path)
            self._open()
            if self._compress:
                self._begin_compression()
        except OSError as error:
            log.warning("log rotation failed", path=self._path, error=error.strerror)

    def _shift(self) -> None:
        for number in range(self._max_file - 1, 0, -1):
            source = self._path if number == 1 else f"{self._path}.{number - 1}"
            for end in ("", ".gz"):
                # What compression was cut short of has both; the plain one is whole.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self._path}.{number}{end}")
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{source}{end}", f"{self._path}.{number}{end}")

    def _wait_for_compression(self) -> None:
        """The child that compresses, of ours or of a shim that is no more, has the file's lock."""
        with contextlib.suppress(FileNotFoundError), open(f"{self._path}.1", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)

    def _begin_compression(self) -> None:
        """In a child, because it takes long and the container's output must go on."""
        with open(f"{self._path}.1", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fork() == 0:
                # The lock is the open file's, and held until the last of us two has closed it.
                status = 1
                try:
                    _compress(file, f"{self._path}.1")
                    status = 0
                finally:
                    os._exit(status)


def _compress(file: BinaryIO, path: str) -> None:
    descriptor = file.fileno()
    # Nobody shall wait for the end of a stream because we have it open, too.
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
    os.nice(10)
    import zlib

    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    temporary = f"{path}.gz.tmp"
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o640)) as packed:
        while data := file.read(1 << 20):
            packed.write(packer.compress(data))
        packed.write(packer.flush())
    # By its time a reader that had the plain one open knows it again.
    status = os.fstat(descriptor)
    os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.rename(temporary, f"{path}.gz")
    os.unlink(path)
