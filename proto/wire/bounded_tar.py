"""tarfile for archives of strangers: it reads extended headers of any size into memory, and remembers every entry."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from typing import Any, Final

from wire.decompression import Reader, Source

# Names and attributes of one entry: Linux allows 4 KiB for a path and 64 KiB for an attribute.
_LARGEST: Final = 1 << 20
_EXTENSIONS: Final = frozenset(
    {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
)  # fmt: skip
_BLOCKS: Final = 1 << 16


@contextlib.contextmanager
def opened(source: Source) -> Iterator[tarfile.TarFile]:
    """An archive, compressed or not, that is read once from its beginning; use ``members`` for its entries.

    Raises tarfile.TarError and EOFError as tarfile does, InvalidArgument for what cannot be decompressed.
    """
    plain: Any = Reader(source)
    with _translated():
        archive = tarfile.open(  # noqa: SIM115 - closed below
            fileobj=plain, mode="r|", errorlevel=2, tarinfo=_Entry, bufsize=_BLOCKS
        )
    with archive:
        yield archive


def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Its entries, each once, none of them remembered."""
    while True:
        with _translated():
            found = archive.next()
        if found is None:
            return
        archive.members.clear()  # type: ignore[attr-defined]
        yield found


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Of headers that are malformed tarfile tells in several ways."""
    try:
        yield
    except (ValueError, OverflowError, RecursionError) as error:
        raise tarfile.ReadError(f"a malformed header: {error}") from error


class _Entry(tarfile.TarInfo):
    """Reads no extended header without an end. The methods are tarfile's own, pinned by tests."""

    def _proc_member(self, archive: Any) -> Any:
        if self.type in _EXTENSIONS:
            known = sum(map(len, archive.pax_headers.values()))
            if self.size > _LARGEST or (self.type == tarfile.XGLTYPE and known > _LARGEST):
                raise tarfile.ReadError(f"an extended header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]

    def _proc_sparse(self, archive: Any) -> Any:
        with _bounded(archive):
            return super()._proc_sparse(archive)  # type: ignore[misc]

    def _proc_gnusparse_10(self, following: Any, headers: Any, archive: Any) -> Any:
        with _bounded(archive):
            return super()._proc_gnusparse_10(following, headers, archive)  # type: ignore[misc]


@contextlib.contextmanager
def _bounded(archive: Any) -> Iterator[None]:
    """A map of the holes of a file has no length of its own."""
    source = archive.fileobj
    archive.fileobj = _Bounded(source)
    try:
        yield
    finally:
        archive.fileobj = source


class _Bounded:
    def __init__(self, source: Any) -> None:
        self._source = source
        self._left = _LARGEST

    def read(self, size: int) -> Any:
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError("a map of holes without an end")
        return self._source.read(size)

    def tell(self) -> Any:
        return self._source.tell()
