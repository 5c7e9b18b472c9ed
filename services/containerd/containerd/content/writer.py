"""One blob's file while it is written: appended to and hashed, resumed, synced."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Final

from wire import digest as digests

_CHUNK: Final = 1 << 20


class Writer:
    """One blob on its way in. Not shared between threads."""

    def __init__(self, path: str, *, resume: bool = False) -> None:
        """With ``resume``, what the file holds already is read and hashed."""
        self.path = path
        # Buffered by nobody: what was written survives the death of this process.
        self._file = open(path, "r+b" if resume and os.path.exists(path) else "w+b", buffering=0)  # noqa: SIM115
        os.set_inheritable(self._file.fileno(), False)
        self._hash = hashlib.sha256()
        self.size = 0
        if resume:
            while data := self._file.read(_CHUNK):
                self._hash.update(data)
                self.size += len(data)

    def write(self, data: bytes) -> None:
        """Append."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]
        self._hash.update(data)
        self.size += len(data)

    def truncate(self, size: int = 0) -> None:
        """Forget what was written behind ``size`` bytes."""
        self._file.truncate(size)
        self._file.seek(0)
        self._hash = hashlib.sha256()
        self.size = 0
        while data := self._file.read(_CHUNK):
            self._hash.update(data)
            self.size += len(data)

    @property
    def digest(self) -> str:
        """The sha256 digest of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def digest_like(self, expected: str) -> str:
        """The digest in the algorithm of another one; another algorithm than sha256 means reading the file again."""
        algorithm, _ = digests.parse(expected)
        if algorithm == "sha256":
            return self.digest
        hasher = digests.Hasher(algorithm)
        self._file.seek(0)
        while data := self._file.read(_CHUNK):
            hasher.update(data)
        return hasher.digest

    def sync(self) -> None:
        """Make the bytes durable."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let the file go; it stays where it is."""
        self._file.close()

    def abort(self) -> None:
        """Forget it."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
