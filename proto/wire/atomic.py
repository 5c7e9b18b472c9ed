"""Files that two processes read: replaced whole and durable, or locked."""

from __future__ import annotations

import fcntl
import os

from wire.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make renames and creations in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ensure_directory(path: str | os.PathLike[str], mode: int = 0o700) -> None:
    """Make a directory and those above it unless they exist; what was made is durable when this returns."""
    text = os.fspath(path)
    try:
        os.mkdir(text, mode)
    except FileExistsError:
        return
    except FileNotFoundError:
        ensure_directory(os.path.dirname(text), mode)
        ensure_directory(text, mode)
        return
    sync_directory(os.path.dirname(text) or ".")


def write_atomic(
    path: str | os.PathLike[str], data: bytes, mode: int = 0o600, *, durable: bool = True
) -> None:
    """Replace ``path`` with ``data``: a reader, or a crash, sees the old content or the new, never a mixture.

    Without ``durable`` only the crash of a process is meant: for what does not outlive the machine's power anyway.
    """
    target = os.fspath(path)
    # The pid keeps two processes apart; two threads of one process do not write the same record.
    temporary = f"{target}.{os.getpid()}.tmp"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode
    )
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, mode)
        if durable:
            os.fsync(descriptor)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)
    os.rename(temporary, target)
    if durable:
        sync_directory(os.path.dirname(target) or ".")


class FileLock:
    """An exclusive flock held for the life of a process or a block; the kernel drops it when the process dies."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._descriptor: int | None = None

    def acquire(self, *, wait: bool = False) -> None:
        """Take the lock; raises Unavailable if another process holds it and ``wait`` is false."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            raise Unavailable(f"{self._path} is locked by another process") from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; harmless if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> FileLock:
        self.acquire(wait=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
