"""Compressed data of strangers, and archives in it."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
import zstandard

from wire import bounded_tar
from wire.decompression import Decompressor, Reader
from wire.errors import InvalidArgument

_PACK: list[Callable[[bytes], bytes]] = [
    bytes,
    gzip.compress,
    bz2.compress,
    lzma.compress,
    lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
]
_MEBI = 1 << 20


@contextlib.contextmanager
def _little_memory(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def _read(data: bytes) -> bytes:
    reader, found = Reader(io.BytesIO(data)), b""
    while part := reader.read(100_000):
        found += part
    return found


@pytest.mark.parametrize("pack", _PACK)
@pytest.mark.parametrize("size", [0, 1, 5, 6, 1 << 18, (1 << 18) + 1, 3 << 18])
def test_what_was_packed_comes_out(pack: Callable[[bytes], bytes], size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    for plain in (data[:size], bytes(size)):
        assert _read(pack(plain)) == plain
        decompressor = Decompressor()
        pieces = (
            [each for byte in pack(plain) for each in decompressor.pieces(bytes([byte]))]
            if size < 10
            else []
        )
        if pieces:
            assert b"".join([*pieces, *decompressor.end()]) == plain


@pytest.mark.parametrize("pack", _PACK[1:])
def test_streams_one_after_the_other_are_one(pack: Callable[[bytes], bytes]) -> None:
    assert _read(pack(b"one") + pack(b"two")) == b"onetwo"


@pytest.mark.parametrize("pack", _PACK[1:])
def test_what_is_cut_off_or_damaged_is_refused(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(bytes(range(256)) * 100)
    for data in (
        packed[:-1],
        packed[:20],
        packed + b"garbage",
        packed[:20] + b"xxxxxx" + packed[26:],
    ):
        with pytest.raises(InvalidArgument):
            _read(data)


@pytest.mark.parametrize("pack", _PACK[1:])
def test_a_bomb_is_read_piece_by_piece(pack: Callable[[bytes], bytes]) -> None:
    reader = Reader(io.BytesIO(pack(bytes(64 * _MEBI))))
    with _little_memory(32 * _MEBI):
        while reader.read(_MEBI):
            pass


def test_a_dictionary_without_a_limit_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
    with pytest.raises(InvalidArgument, match=r"[Mm]emory"):
        _read(lzma.compress(b"x" * 1000, filters=filters))
    assert _read(lzma.compress(b"x" * 1000, preset=9)) == b"x" * 1000


def _header(kind: bytes, size: int, name: str = "name") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def _entries(data: bytes) -> list[tuple[str, bytes]]:
    found = []
    with bounded_tar.opened(io.BytesIO(data)) as archive:
        for member in bounded_tar.members(archive):
            file = archive.extractfile(member) if member.isreg() else None
            found.append((member.name, file.read() if file else b""))
    return found


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_an_archive(form: int) -> None:
    buffer = io.BytesIO()
    names = [
        "short",
        "d" * 90 + "/" + "n" * 90,
        *(["x" * 3000] if form != tarfile.USTAR_FORMAT else []),
    ]
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    for pack in _PACK:
        assert _entries(pack(buffer.getvalue())) == [(name, name.encode()) for name in names]


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_an_extended_header_without_an_end_is_not_read(kind: bytes) -> None:
    first = _header(tarfile.REGTYPE, 0, "first")
    bomb = _header(kind, 64 * _MEBI) + bytes(64 * _MEBI)
    for data in (gzip.compress(bomb, 1), gzip.compress(first + bomb, 1)):
        with (
            _little_memory(8 * _MEBI),
            pytest.raises(tarfile.TarError, match="an extended header of"),
        ):
            _entries(data)


def test_globals_do_not_pile_up() -> None:
    data = b""
    for number in range(8):
        record = f"{number}={'x' * 500_000}\n"
        text = f"{len(record) + 7} {record}".encode()
        data += _header(tarfile.XGLTYPE, len(text)) + text + bytes(-len(text) % 512)
    with pytest.raises(tarfile.TarError, match="an extended header of"):
        _entries(data)


def test_a_map_of_holes_without_an_end_is_not_read() -> None:
    block = bytearray(_header(tarfile.GNUTYPE_SPARSE, 0))
    block[482] = 1  # its map goes on
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    more = bytearray(512)
    more[504] = 1
    with pytest.raises(tarfile.TarError, match="without an end"):
        _entries(bytes(block) + bytes(more) * 10_000)


@pytest.mark.parametrize(
    "records",
    [b"GNU.sparse.major=1\n", b"GNU.sparse.map=x,y\n", b"size=x\n", b"size=-5\n", b"mtime=x\n", b"path=\xff\n"],
)  # fmt: skip
def test_a_malformed_header_is_an_error_of_the_archive(records: bytes) -> None:
    text = b"%d " % (len(records) + 3 + (len(records) > 6)) + records
    data = _header(tarfile.XHDTYPE, len(text)) + text + bytes(-len(text) % 512)
    data += _header(tarfile.REGTYPE, 3) + b"abc" + bytes(509)
    for whole in (data, data + data, data[:700], _header(tarfile.XHDTYPE, 0) * 3000):
        try:
            assert len(_entries(whole + bytes(1024))) < 3
        except (tarfile.TarError, EOFError):
            continue


def test_many_entries_are_not_remembered() -> None:
    data = gzip.compress(_header(tarfile.DIRTYPE, 0) * 6_000, 1)
    with _little_memory(3 * _MEBI), bounded_tar.opened(io.BytesIO(data)) as archive:
        assert sum(1 for _ in bounded_tar.members(archive)) == 6_000
