"""Unpacking layers: what must come out, and what hostile archives must not do. One test for each advisory of the class."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerd.archive.extract import extract, inherit
from wire.errors import InvalidArgument

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for owners and devices")


class Layer:
    """A tar archive in the making."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._archive = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)

    def file(self, name: str, data: bytes = b"x", mode: int = 0o644, **pax: str) -> Layer:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.pax_headers = len(data), mode, pax
        self._archive.addfile(member, io.BytesIO(data))
        return self

    def other(
        self, name: str, kind: bytes, link: str = "", mode: int = 0o755, **values: int
    ) -> Layer:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.mode = kind, link, mode
        for key, value in values.items():
            setattr(member, key, value)
        self._archive.addfile(member)
        return self

    def folder(self, name: str, mode: int = 0o755) -> Layer:
        return self.other(name, tarfile.DIRTYPE, mode=mode)

    def link(self, name: str, target: str) -> Layer:
        return self.other(name, tarfile.SYMTYPE, target)

    def hard(self, name: str, target: str) -> Layer:
        return self.other(name, tarfile.LNKTYPE, target)

    def into(self, directory: Path, *below: Path, overlay: bool | None = None) -> None:
        self._archive.close()
        stream = io.BytesIO(self._buffer.getvalue())
        white = bool(below) if overlay is None else overlay
        implied = extract(stream, str(directory), overlay=white)
        inherit(str(directory), implied, [str(each) for each in below])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a layer is unpacked."""
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def canary(tmp_path: Path) -> Iterator[Path]:
    """A directory beside the root that nobody may touch."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_text("secret")
    (path / "folder").mkdir(mode=0o700)
    os.chmod(path / "secret", 0o600)
    before = _fingerprint(path)
    yield path
    assert _fingerprint(path) == before


def _fingerprint(path: Path) -> str:
    lines = []
    for each in sorted([path, *path.rglob("*")]):
        status = each.lstat()
        data = each.read_bytes() if each.is_file() else b""
        lines.append(
            f"{each} {status.st_mode} {status.st_uid} {status.st_nlink} {status.st_mtime_ns} {data!r}"
        )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _attempt(layer: Layer, root: Path) -> None:
    """Refused or harmless: the canary tells."""
    try:
        layer.into(root)
    except InvalidArgument:
        return


# -- hostile archives


def test_cve_2020_10696_names_that_climb(root: Path, canary: Path) -> None:
    _attempt(Layer().file("../outside/planted").file("a/../../outside/planted2"), root)
    assert {path.name for path in canary.iterdir()} == {"secret", "folder"}
    assert not (root.parent / "planted").exists()


def test_cve_2020_10696_absolute_names_stay_inside(root: Path, canary: Path) -> None:
    Layer().file(f"{canary}/planted").into(root)
    assert (root / str(canary).lstrip("/") / "planted").exists()


def test_cve_2021_29136_link_in_place_of_the_root(root: Path, canary: Path) -> None:
    """An entry for the root itself that is a symbolic link, then files below it."""
    _attempt(Layer().link(".", str(canary)).file("./secret", b"overwritten"), root)
    _attempt(Layer().link("/", str(canary)).file("secret", b"overwritten"), root)


@pytest.mark.parametrize("target", ["{canary}", "../outside", "/proc/self/cwd", "/proc/self/root"])
def test_cve_2021_29136_link_then_write_through_it(root: Path, canary: Path, target: str) -> None:
    place = target.format(canary=canary)
    _attempt(Layer().link("out", place).file("out/secret", b"overwritten"), root)
    _attempt(Layer().link("out2", place).folder("out2/sub").file("out2/sub/new"), root)


def test_cve_2021_32760_mode_of_a_file_outside(root: Path, canary: Path) -> None:
    """The mode of a hard link's entry must not reach a symbolic link's target."""
    layer = Layer().link("l", f"{canary}/secret").hard("h", "l")
    member_mode = layer.other("l2", tarfile.LNKTYPE, "h", mode=0o777)
    _attempt(member_mode, root)
    _attempt(
        Layer()
        .link("s", f"{canary}/secret")
        .other("s", tarfile.SYMTYPE, f"{canary}/secret", 0o777),
        root,
    )


def test_cve_2021_32760_hard_link_to_a_file_outside(root: Path, canary: Path) -> None:
    with pytest.raises(InvalidArgument):
        Layer().hard("h", f"{canary}/secret").into(root)
    with pytest.raises(InvalidArgument):
        Layer().hard("h", "../outside/secret").into(root)
    with pytest.raises(InvalidArgument):
        Layer().link("out", str(canary)).hard("h", "out/secret").into(root)


def test_cve_2021_41089_permissions_of_existing_directories(root: Path, canary: Path) -> None:
    _attempt(Layer().link("d", f"{canary}/folder").folder("d", 0o777), root)
    assert stat.S_IMODE((canary / "folder").stat().st_mode) == 0o700
    assert (root / "d").is_dir()
    assert not (root / "d").is_symlink()


def test_cve_2025_11395_crafted_chain_of_links(root: Path, canary: Path) -> None:
    layer = Layer().folder("a").link("a/b", "..").link("c", "a/b/a/b/..").link("d", "c/outside")
    _attempt(layer.file("d/secret", b"overwritten"), root)
    loop = Layer().link("x", "y").link("y", "x").file("x/file")
    with pytest.raises(InvalidArgument):
        loop.into(root)


def test_cve_2025_47290_path_swapped_after_a_look(root: Path, canary: Path) -> None:
    """The same name as directory, link and directory again: a remembered directory must not be the link's target."""
    layer = (
        Layer().folder("d").file("d/one").link("d", str(canary)).file("d/secret", b"overwritten")
    )
    _attempt(layer, root)
    layer = Layer().folder("e/f").file("e/f/one").link("e", str(canary)).folder("e/folder", 0o777)
    _attempt(layer.file("e/folder/new"), root)


def test_cve_2025_62725_names_with_odd_bytes(root: Path) -> None:
    _attempt(Layer().file("a/./../../b").file("..").file("").file("c/"), root)
    with pytest.raises(InvalidArgument):
        Layer().file("n" * 300).into(root)


def test_cve_2026_15788_whiteouts_cannot_climb(root: Path, canary: Path) -> None:
    for name in (".wh...", "a/.wh...", ".wh..", "../outside/.wh.secret"):
        _attempt(Layer().folder("a").file(name, b""), root)
    _attempt(Layer().link("out", str(canary)).file("out/.wh.secret", b""), root)


@pytest.mark.parametrize("merged", [True, False])
def test_cve_2026_95838_opaque_whiteouts_cost_no_more_than_they_are(
    root: Path, monkeypatch: pytest.MonkeyPatch, merged: bool
) -> None:
    """The same one many times, and one at each depth from the deepest up: each directory is gone through once."""
    depth, files, times = 30, 10, 50
    nested = ["/".join(["d"] * number) for number in range(1, depth + 1)]
    if merged:
        (root / nested[-1]).mkdir(parents=True)
        for path in nested:
            (root / path / "old").touch()
    layer = Layer()
    for path in reversed(nested):
        layer.file(f"{path}/.wh..wh..opq", b"")
        for number in range(files):
            layer.file(f"{path}/new{number}")
    for _ in range(times):
        layer.file("d/.wh..wh..opq", b"").file(".wh..wh..opq", b"")
    looks = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: [looks.append(path), listdir(path)][1])
    layer.into(root, overlay=not merged)
    monkeypatch.undo()
    # One for each directory, the root among them, and the look whether there is anything.
    assert len(looks) <= depth + 2
    assert sorted(path.name for path in root.rglob("old")) == []
    assert len(list(root.rglob("new*"))) == depth * files


def test_no_depth_is_too_deep(root: Path) -> None:
    """Deeper than a stack of calls may be; gone again by a whiteout, a file in its place, and an opaque directory."""
    deep = "a/" * 1200
    for end in (Layer().file("a"), Layer().file(".wh..wh..opq", b"")):
        Layer().file(f"{deep}f").into(root)
        end.into(root)
        assert [path.name for path in root.iterdir()] in ([], ["a"])
        assert not (root / "a").is_dir()
        for path in root.iterdir():
            path.unlink()
    with pytest.raises(InvalidArgument):
        Layer().file(f"{'a/' * 3000}f").into(root)
    Layer().file(".wh.a", b"").into(root)


def test_overlay_attributes_of_an_image_are_dropped(root: Path) -> None:
    Layer().file("f", **{"SCHILY.xattr.trusted.overlay.opaque": "y"}).into(root)
    assert "trusted.overlay.opaque" not in os.listxattr(root / "f")


def test_garbage_is_refused(root: Path) -> None:
    with pytest.raises(InvalidArgument, match="not a tar archive"):
        extract(io.BytesIO(b"garbage" * 1000), str(root), overlay=False)


def test_truncated_archive_is_refused(root: Path) -> None:
    layer = Layer().file("big", b"x" * 100_000)
    layer._archive.close()
    data = layer._buffer.getvalue()[:50_000]
    with pytest.raises(InvalidArgument):
        extract(io.BytesIO(data), str(root), overlay=False)


# -- honest ones


def test_kinds_owners_modes_and_times(root: Path) -> None:
    layer = (
        Layer().folder("d", 0o1777).file("d/f", b"data", 0o4755).link("l", "/d/f").hard("h", "d/f")
    )
    layer.other("p", tarfile.FIFOTYPE, mode=0o600)
    layer.other("c", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3)
    layer.other("o", tarfile.DIRTYPE, mode=0o750, uid=1234, gid=5678, mtime=1_000_000_000)
    layer.into(root)
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "d/f").stat().st_mode) == 0o4755
    assert os.readlink(root / "l") == "/d/f"
    assert (root / "h").stat().st_ino == (root / "d/f").stat().st_ino
    assert stat.S_ISFIFO((root / "p").stat().st_mode)
    assert (root / "c").stat().st_rdev == os.makedev(1, 3)
    status = (root / "o").stat()
    assert (status.st_uid, status.st_gid, status.st_mtime) == (1234, 5678, 1_000_000_000)


def test_long_names_and_attributes(root: Path) -> None:
    name = "/".join(["d" * 100] * 5) + "/" + "f" * 200
    Layer().file(name, b"1", **{"SCHILY.xattr.user.mine": "v\xe4lue"}).into(root)
    assert (root / name).read_bytes() == b"1"


def test_sparse_files_of_gnu_tar(root: Path, tmp_path: Path) -> None:
    import subprocess

    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"middle")
    for form in ("pax", "gnu"):
        archive = tmp_path / f"{form}.tar"
        words = ["tar", "--sparse", f"--format={form}", "-cf", archive, "-C", tmp_path, "sparse"]
        subprocess.run(words, check=True)
        target = root / form
        target.mkdir()
        with open(archive, "rb") as file:
            extract(file, str(target), overlay=False)
        assert (target / "sparse").read_bytes() == (tmp_path / "sparse").read_bytes()


def test_later_entries_replace_earlier_ones(root: Path) -> None:
    layer = Layer().file("a", b"1").folder("b").file("b/x").file("a", b"2").file("b", b"now a file")
    layer.into(root)
    assert (root / "a").read_bytes() == b"2"
    assert (root / "b").read_bytes() == b"now a file"


def test_whiteouts_for_an_overlay(root: Path, tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    Layer().folder("d").file("d/.wh.gone", b"").file("d/.wh..wh..opq", b"").into(root, below)
    status = (root / "d/gone").lstat()
    assert stat.S_ISCHR(status.st_mode)
    assert status.st_rdev == 0
    assert os.getxattr(root / "d", "trusted.overlay.opaque") == b"y"


def test_whiteouts_in_the_lowest_layer_only_remove(root: Path) -> None:
    Layer().file("gone").file(".wh.gone", b"").file(".wh.never", b"").file(
        ".wh..wh.plnk", b""
    ).into(root)
    assert list(root.iterdir()) == []


def test_opaque_directories_of_a_copy_lose_what_is_from_below(root: Path) -> None:
    for path in ("d/old", "d/sub/old", "d/gone/old", "e/kept"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    layer = Layer().file("d/new").file("d/sub/new").file("d/.wh..wh..opq", b"").file("d/later")
    layer.into(root, overlay=False)
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert found == {"d", "d/new", "d/sub", "d/sub/new", "d/later", "e", "e/kept"}
    Layer().folder("e").file("e/.wh..wh..opq", b"").into(root, overlay=False)
    assert list((root / "e").iterdir()) == []


def test_directories_that_are_only_implied_look_as_below(root: Path, tmp_path: Path) -> None:
    below = tmp_path / "below"
    (below / "t/u").mkdir(parents=True)
    os.chmod(below / "t", 0o1777)
    os.chown(below / "t/u", 7, 8)
    Layer().file("t/u/v/new").into(root, below)
    assert stat.S_IMODE((root / "t").stat().st_mode) == 0o1777
    assert ((root / "t/u").stat().st_uid, (root / "t/u").stat().st_gid) == (7, 8)
    assert stat.S_IMODE((root / "t/u/v").stat().st_mode) == 0o755
