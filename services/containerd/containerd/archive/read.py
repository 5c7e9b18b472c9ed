"""Reading a tar stream: ustar, pax, and GNU's long names, large numbers and sparse files.

The standard library's reader costs more for a small file than the kernel does for making it. This one reads forward only,
and keeps nothing but the block at hand. The archive is hostile: each header is bounded and checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from wire.errors import InvalidArgument

REGULAR: Final = b"0"
HARD_LINK: Final = b"1"
SYMBOLIC_LINK: Final = b"2"
CHARACTER: Final = b"3"
BLOCK_DEVICE: Final = b"4"
DIRECTORY: Final = b"5"
FIFO: Final = b"6"
_REGULAR: Final = frozenset({b"0", b"\0", b"7", b"S"})
_PAX: Final = b"x"
_PAX_GLOBAL: Final = b"g"
_LONG_NAME: Final = b"L"
_LONG_LINK: Final = b"K"
_GNU_SPARSE: Final = b"S"

_BLOCK: Final = 512
_CHUNK: Final = 1 << 20
_END: Final = bytes(_BLOCK)
# Names and attributes of one entry; Linux allows 4 KiB for a path and 64 KiB for an attribute.
_LARGEST_EXTENSION: Final = 1 << 20
_MOST_EXTENTS: Final = 1 << 16
_LARGEST_FILE: Final = 1 << 60
_NOBODY: Final = (1 << 32) - 1
_LARGEST_DEVICE: Final = 1 << 20
_LATEST: Final = (1 << 34) * 1_000_000_000
_XATTR: Final = "SCHILY.xattr."


class Source(Protocol):
    """Where the archive's bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, none at the end."""


@dataclass(slots=True)
class Member:
    """One entry. ``mtime`` in nanoseconds; ``size`` of the file, ``stored`` of its bytes in the archive."""

    name: str
    kind: bytes
    link: str
    mode: int
    uid: int
    gid: int
    size: int
    stored: int
    mtime: int
    device: tuple[int, int]
    xattrs: dict[str, bytes] = field(default_factory=dict)
    # Offset and length of what is not a hole; None for a file without holes.
    extents: Sequence[tuple[int, int]] | None = None


class TarReader:
    """The entries of a stream, once, in order; the bytes of one may be copied before the next is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = memoryview(b"")
        # Of the current entry: bytes that were not taken, and the padding behind them.
        self._left = 0
        self._padding = 0
        self._globals: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[Member]:
        """Raises InvalidArgument for what is no archive."""
        extension: dict[str, bytes] = {}
        sparse: list[tuple[int, int]] = []
        while True:
            self._skip()
            header = self._take(_BLOCK)
            # Some archives end without their end mark.
            if not header or header == _END:
                return
            kind, size = self._check(header), _number(header[124:136])
            if not 0 <= size < _LARGEST_FILE:
                raise _bad(f"an entry of {size} bytes")
            self._left, self._padding = size, -size % _BLOCK
            if kind in {_PAX, _PAX_GLOBAL}:
                records, sparse = _records(self._extension(size))
                (extension if kind == _PAX else self._globals).update(records)
            elif kind in {_LONG_NAME, _LONG_LINK}:
                text = bytes(self._extension(size)).partition(b"\0")[0]
                extension["path" if kind == _LONG_NAME else "linkpath"] = text
            else:
                yield self._member(header, kind, {**self._globals, **extension}, sparse)
                extension, sparse = {}, []

    def copy(self, member: Member, descriptor: int) -> None:
        """Write the bytes of the current entry into an empty file."""
        if member.extents is None:
            self._copy(descriptor, self._left)
            return
        for offset, length in member.extents:
            if length > self._left or offset + length > member.size:
                raise _bad(f"a map of holes that does not fit {member.name!r}")
            os.lseek(descriptor, offset, os.SEEK_SET)
            self._copy(descriptor, length)
        os.ftruncate(descriptor, member.size)

    # -- bytes

    def _copy(self, descriptor: int, length: int) -> None:
        self._left -= length
        while length:
            part = self._some(length)
            length -= len(part)
            while part:
                part = part[os.write(descriptor, part) :]

    def _some(self, limit: int) -> memoryview:
        """At most that many bytes, at least one."""
        if not self._buffer:
            self._buffer = memoryview(self._source.read(_CHUNK))
            if not self._buffer:
                raise _bad("unexpected end")
        part, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return part

    def _take(self, size: int) -> bytes:
        """Exactly that many bytes, or none at the end of the stream."""
        if len(self._buffer) >= size:
            part, self._buffer = self._buffer[:size], self._buffer[size:]
            return bytes(part)
        found = bytearray()
        while len(found) < size:
            if not self._buffer:
                self._buffer = memoryview(self._source.read(_CHUNK))
                if not self._buffer:
                    break
            found += self._some(size - len(found))
        if found and len(found) < size:
            raise _bad("unexpected end")
        return bytes(found)

    def _skip(self) -> None:
        left = self._left + self._padding
        self._left = self._padding = 0
        while left:
            left -= len(self._some(left))

    def _extension(self, size: int) -> bytes:
        if size > _LARGEST_EXTENSION:
            raise _bad(f"an extended header of {size} bytes")
        self._left = 0
        data = self._take(size)
        if len(data) < size:
            raise _bad("unexpected end")
        return data

    # -- headers

    @staticmethod
    def _check(header: bytes) -> bytes:
        given = _number(header[148:156])
        if given != sum(header) - sum(header[148:156]) + 8 * ord(" "):
            raise _bad("a header with a wrong checksum")
        return header[156:157]

    def _member(
        self,
        header: bytes,
        kind: bytes,
        extension: dict[str, bytes],
        sparse: list[tuple[int, int]],
    ) -> Member:
        name = _text(header[:100])
        if header[257:263] == b"ustar\0" and header[345]:
            name = f"{_text(header[345:500])}/{name}"
        size = self._left
        member = Member(
            name=name,
            kind=REGULAR if kind in _REGULAR else kind,
            link=_text(header[157:257]),
            mode=_number(header[100:108]),
            uid=_number(header[108:116]),
            gid=_number(header[116:124]),
            size=size,
            stored=size,
            mtime=_number(header[136:148]) * 1_000_000_000,
            device=(_number(header[329:337]), _number(header[337:345])),
        )
        if extension:
            self._extend(member, extension)
        if kind == b"\0" and name.endswith("/"):
            member.kind = DIRECTORY
        _check_values(member)
        if member.kind != REGULAR:
            # A length here means nothing: only files have bytes.
            member.size = member.stored = self._left = self._padding = 0
        elif kind == _GNU_SPARSE:
            self._read_old_map(header, member)
        elif extension:
            self._read_pax_map(member, extension, sparse)
        return member

    def _extend(self, member: Member, records: dict[str, bytes]) -> None:
        for key, value in records.items():
            match key:
                case "path":
                    member.name = _decoded(value)
                case "linkpath":
                    member.link = _decoded(value)
                case "size":
                    member.size = member.stored = self._left = _decimal(value)
                    self._padding = -self._left % _BLOCK
                case "uid":
                    member.uid = _decimal(value)
                case "gid":
                    member.gid = _decimal(value)
                case "mtime":
                    member.mtime = _moment(value)
                case _:
                    if key.startswith(_XATTR):
                        member.xattrs[key.removeprefix(_XATTR)] = value

    def _read_old_map(self, header: bytes, member: Member) -> None:
        """GNU's first form: the map begins in the header, and goes on in blocks behind it."""
        extents = _extents(header[386:482], 4)
        member.size = _number(header[483:495])
        more = header[482]
        while more:
            block = self._take(_BLOCK)
            if len(block) < _BLOCK or len(extents) > _MOST_EXTENTS:
                raise _bad("a map of holes without an end")
            extents += _extents(block[:504], 21)
            more = block[504]
        member.extents = extents

    def _read_pax_map(
        self, member: Member, records: dict[str, bytes], sparse: list[tuple[int, int]]
    ) -> None:
        """The three forms of pax: a record for each extent, one record with all, or a map before the bytes."""
        if "GNU.sparse.name" in records:
            member.name = _decoded(records["GNU.sparse.name"])
        if records.get("GNU.sparse.major") == b"1" and records.get("GNU.sparse.minor") == b"0":
            member.size = _decimal(records.get("GNU.sparse.realsize", b"0"))
            member.extents = self._map_before_bytes()
            return
        text = records.get("GNU.sparse.map")
        if text is not None:
            numbers = [_decimal(each) for each in text.split(b",")]
            sparse = list(zip(numbers[::2], numbers[1::2], strict=False))
        if "GNU.sparse.size" in records:
            member.size = _decimal(records["GNU.sparse.size"])
            member.extents = sparse

    def _map_before_bytes(self) -> Sequence[tuple[int, int]]:
        numbers: list[int] = []
        rest = b""
        while not numbers or len(numbers) < 1 + 2 * numbers[0]:
            if self._left < _BLOCK or len(numbers) > 2 * _MOST_EXTENTS:
                raise _bad("a map of holes without an end")
            self._left -= _BLOCK
            *lines, rest = (rest + self._take(_BLOCK)).split(b"\n")
            numbers += [_decimal(line) for line in lines if line.strip(b"\0")]
        count = numbers[0]
        if count > _MOST_EXTENTS:
            raise _bad("a map of too many holes")
        return list(zip(numbers[1 : 2 * count : 2], numbers[2 : 2 * count + 1 : 2], strict=True))


def _bad(what: str) -> InvalidArgument:
    return InvalidArgument(f"layer is not a tar archive: {what}")


def _check_values(member: Member) -> None:
    """What the kernel would refuse, or take for something else: an owner of -1 means to leave it as it is."""
    for what, value, limit in (
        ("owner", member.uid, _NOBODY),
        ("group", member.gid, _NOBODY),
        ("device", max(member.device), _LARGEST_DEVICE),
        ("device", -min(member.device), 1),
        ("time", abs(member.mtime), _LATEST),
    ):
        if not 0 <= value < limit and not (what == "device" and value < 0):
            raise _bad(f"an entry {member.name!r} with the {what} {value}")


def _number(value: bytes) -> int:
    """Octal digits, or for larger ones GNU's binary form."""
    if value[0] & 0x80:
        number = int.from_bytes(value, "big", signed=False) & ((1 << (len(value) * 8 - 1)) - 1)
        # All bits set mean a negative number.
        return number - (1 << (len(value) * 8 - 1)) if value[0] == 0xFF else number
    digits = value.partition(b"\0")[0].strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise _bad(f"a number of {digits!r}") from None


def _decimal(value: bytes) -> int:
    try:
        number = int(value)
    except ValueError:
        raise _bad(f"a number of {value[:32]!r}") from None
    if not 0 <= number < _LARGEST_FILE:
        raise _bad(f"a number of {number}")
    return number


def _moment(value: bytes) -> int:
    """Seconds with a fraction as nanoseconds."""
    whole, _, fraction = value.partition(b".")
    try:
        seconds, nanos = int(whole), int(fraction[:9].ljust(9, b"0"))
    except ValueError:
        raise _bad(f"a time of {value[:32]!r}") from None
    return seconds * 1_000_000_000 + (-nanos if whole.startswith(b"-") else nanos)


def _text(value: bytes) -> str:
    return _decoded(value.partition(b"\0")[0])


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _extents(value: bytes, count: int) -> list[tuple[int, int]]:
    return [
        (_number(value[at : at + 12]), _number(value[at + 12 : at + 24]))
        for at in range(0, count * 24, 24)
        if value[at]
    ]


def _records(data: bytes) -> tuple[dict[str, bytes], list[tuple[int, int]]]:
    """pax's ``length key=value`` lines; the extents of the oldest form of sparse files repeat their keys."""
    found: dict[str, bytes] = {}
    extents: list[tuple[int, int]] = []
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        length = _decimal(data[at:space]) if space > 0 else 0
        record = data[space + 1 : at + length]
        fits = 5 <= length <= len(data) - at
        if not fits or not record.endswith(b"\n") or b"=" not in record:
            raise _bad("an extended header that is malformed")
        key, _, value = record[:-1].partition(b"=")
        if key == b"GNU.sparse.offset":
            extents.append((_decimal(value), 0))
        elif key == b"GNU.sparse.numbytes" and extents:
            extents[-1] = (extents[-1][0], _decimal(value))
        found[_decoded(key)] = value
        at += length
    return found, extents
