"""The tar reader beside the standard library's, and with what no program would write."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from containerd.archive.read import DIRECTORY, REGULAR, Member, TarReader
from wire.errors import InvalidArgument


class Trickle(io.BytesIO):
    """A stream that gives less than it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 1, 700) if size and size > 0 else 700)


def read(data: bytes, stream: type[io.BytesIO] = io.BytesIO) -> list[tuple[Member, bytes]]:
    reader = TarReader(stream(data))
    found = []
    for member in reader:
        content = b""
        if member.kind == REGULAR:
            descriptor = os.memfd_create("content")
            reader.copy(member, descriptor)
            content = os.pread(descriptor, member.size + 1, 0)
            os.close(descriptor)
        found.append((member, content))
    return found


def write(form: int, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _info(name: str, kind: bytes = tarfile.REGTYPE, **values: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for key, value in values.items():
        setattr(member, key, value)
    return member


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("stream", [io.BytesIO, Trickle])
def test_agrees_with_the_standard_library(form: int, stream: type[io.BytesIO]) -> None:
    numbers = random.Random(form)
    members = []
    for count in range(60):
        size = numbers.choice([0, 1, 511, 512, 513, 5000])
        name = "/".join(["part"] * numbers.randint(1, 12)) + f"/file{count}"
        members.append(
            (
                _info(name, mode=numbers.randrange(0o10000), uid=count, mtime=count),
                numbers.randbytes(size),
            )
        )
    members.append((_info("link", tarfile.SYMTYPE, linkname="to/something"), b""))
    members.append((_info("hard", tarfile.LNKTYPE, linkname="link"), b""))
    members.append((_info("dir/", tarfile.DIRTYPE), b""))
    members.append((_info("dev", tarfile.CHRTYPE, devmajor=10, devminor=229), b""))
    data = write(form, *members)
    found = read(data, stream)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = archive.getmembers()
        assert len(found) == len(expected)
        for (ours, content), theirs in zip(found, expected, strict=True):
            assert (ours.name.rstrip("/"), ours.link, ours.mode, ours.uid, ours.gid) == (
                theirs.name,
                theirs.linkname,
                theirs.mode,
                theirs.uid,
                theirs.gid,
            )
            assert ours.mtime == theirs.mtime * 1_000_000_000
            assert ours.device == (theirs.devmajor, theirs.devminor)
            if theirs.isreg():
                source = archive.extractfile(theirs)
                assert source is not None
                assert content == source.read()


def test_long_names_and_links() -> None:
    name, link = "n" * 3000, "l" * 3000
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        ((member, _),) = read(write(form, (_info(name, tarfile.SYMTYPE, linkname=link), b"")))
        assert (member.name, member.link) == (name, link)


def test_large_numbers_and_fractions_of_times() -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        ((member, _),) = read(write(form, (_info("f", uid=3_000_000_000, gid=1 << 31), b"")))
        assert (member.uid, member.gid) == (3_000_000_000, 1 << 31)
    ((member, _),) = read(write(tarfile.PAX_FORMAT, (_info("f", mtime=1.25), b"")))
    assert member.mtime == 1_250_000_000
    ((member, _),) = read(write(tarfile.PAX_FORMAT, (_info("f", mtime=-1.5), b"")))
    assert member.mtime == -1_500_000_000


def test_attributes_are_bytes() -> None:
    info = _info("f", pax_headers={"SCHILY.xattr.user.a": "v\udcff"})
    ((member, _),) = read(write(tarfile.PAX_FORMAT, (info, b"")))
    assert member.xattrs == {"user.a": b"v\xff"}


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0", "gnu"])
def test_sparse_files(tmp_path: Path, version: str) -> None:
    if shutil.which("tar") is None:
        pytest.skip("needs GNU tar")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(4 << 20)
        for number in range(30):
            file.seek(number * 100_000 + 7)
            file.write(f"extent {number}".encode())
    form = ["--format=gnu"] if version == "gnu" else ["--format=pax", f"--sparse-version={version}"]
    words = ["tar", "--sparse", *form, "-cf", "-", "-C", str(tmp_path), "sparse"]
    data = subprocess.run(words, capture_output=True, check=True).stdout
    assert len(data) < 2 << 20
    ((member, content),) = read(data)
    assert (member.name, member.size) == ("sparse", 4 << 20)
    assert content == (tmp_path / "sparse").read_bytes()


def test_old_directories_end_in_a_slash() -> None:
    data = bytearray(write(tarfile.USTAR_FORMAT, (_info("dir/"), b"")))
    data[156:157] = b"\0"
    _sum(data)
    assert read(bytes(data))[0][0].kind == DIRECTORY


def test_archives_without_an_end_mark_are_read() -> None:
    data = write(tarfile.USTAR_FORMAT, (_info("f"), b"x"))
    assert len(read(data[:1024])) == 1
    assert read(b"") == []


def _sum(data: bytearray) -> None:
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()


def _header(**fields: bytes) -> bytes:
    data = bytearray(write(tarfile.USTAR_FORMAT, (_info("f"), b"")))
    places = {"mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "kind": 156}
    for key, value in fields.items():
        data[places[key] : places[key] + len(value)] = value
    _sum(data)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 512, "a number of"),
        (_header()[:300], "unexpected end"),
        (b"y" + _header()[1:], "wrong checksum"),
        (_header(size=b"00000000777\0")[:800], "unexpected end"),
        (_header(size=b"\xff" * 12), "an entry of -"),
        (_header(size=b"\x80" + b"\xff" * 11), "an entry of"),
        (_header(uid=b"99999999"), "a number of"),
        (_header(uid=b"\x80\0\0\0\xff\xff\xff\xff"), "owner 4294967295"),
        (_header(gid=b"\xff" * 8), "group -1"),
        (_header(mtime=b"\x80" + b"\x7f" * 11), "time"),
        (_header(kind=b"x", size=b"00010000000\0"), "an extended header of"),
        (_header(kind=b"L", size=b"77777777777\0"), "an extended header of"),
    ],
)
def test_malformed_headers(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match="layer is not a tar archive: ") as raised:
        read(data)
    assert message in raised.value.message


def _pax(text: bytes) -> bytes:
    """An extended header with these records before a file."""
    size = f"{len(text):011o}\0".encode()
    header = _header(kind=b"x", size=size)[:512]
    return header + text.ljust(-(-len(text) // 512) * 512, b"\0") + _header()


@pytest.mark.parametrize(
    "text",
    [
        b"no length\n",
        b"99 path=x\n",
        b"3 =\n",
        b"11 size=-5\n\n",
        b"12 size=9e9\n",
        b"-5 path=x\n",
        b"99999999999999999999 path=x\n",
        b"15 mtime=never\n",
        b"22 GNU.sparse.size=10\n31 GNU.sparse.map=0,5,100,9999\n",
        b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n",
    ],
)
def test_malformed_extended_headers(text: bytes) -> None:
    with pytest.raises(InvalidArgument):
        read(_pax(text))


def test_garbage_never_does_more_than_raise() -> None:
    numbers = random.Random(7)
    base = bytearray(
        write(tarfile.PAX_FORMAT, (_info("n" * 200, mtime=1.5), b"data" * 300), (_info("b"), b"1"))
    )
    for _ in range(2000):
        data = bytearray(base)
        for _ in range(numbers.randint(1, 6)):
            data[numbers.randrange(len(data))] = numbers.randrange(256)
        if numbers.random() < 0.7:
            _sum(data)
        try:
            read(bytes(data[: numbers.randrange(len(data))]))
        except InvalidArgument:
            continue
