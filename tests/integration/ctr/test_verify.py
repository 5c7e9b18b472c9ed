"""`containerd verify`: damage to blobs and layers is named and mended, and every byte on disk is accounted for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ctr.test_mirrors import _pull
from tests.support.containerd import OURS, Containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry
from tests.support.stack import BIN


def verify(daemon: Containerd, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and what was found but for the sums."""
    done = subprocess.run(
        [BIN / "containerd", "--root", daemon.root / "data", "verify", *flags],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["subject"] for each in found if each["level"] == "ok"] == [
        "content", "snapshot", "disk",
    ]  # fmt: skip
    assert found[-1]["text"].endswith("unaccounted 0"), found[-1]
    return done.returncode, [each for each in found if each["level"] != "ok"]


def compared(daemon: Containerd) -> int:
    """How many snapshots are held against a layer."""
    done = subprocess.run(
        [BIN / "containerd", "--root", daemon.root / "data", "verify"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if '"snapshot"' in line)
    return int(json.loads(line)["text"].split()[0])


def _change(path: Path) -> None:
    times = path.stat()
    path.write_bytes(b"?" * times.st_size)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


DAMAGE = {
    "other bytes": (_change, "has other bytes"),
    "shorter": (lambda path: os.truncate(path, 10), "has 10 bytes, not 5000"),
    "missing": (lambda path: path.unlink(), "is missing"),
    "mode": (lambda path: path.chmod(0o4777), "has mode 4777, not 755"),
    "owner": (lambda path: os.chown(path, 5, 6), "belongs to 5:6, not 0:0"),
    "type": (lambda path: (path.unlink(), path.mkdir()), "is of another type"),
    "xattr": (lambda path: os.setxattr(path, "user.x", b"y"), "has other extended attributes"),
}


@pytest.fixture
def name(containerd: Containerd, registry: Registry) -> str:
    """An image of three layers, pulled from a registry and unpacked."""
    files = {f"data/{each}": b"1" * 5000 for each in ("one", *DAMAGE)}
    files |= {"data/two": b"2", "etc/motd": b"hello"}
    layers = [busybox_layer(), layer(files), layer({"data/.wh.two": b"", "three": b"3"})]
    found = registry.push(docker_archive("docker.io/library/verified:1", layers), "verified:1")
    _pull(containerd, found)
    containerd.collect()
    return found


def _blobs(daemon: Containerd) -> list[Path]:
    return sorted((daemon.root / "data/content/blobs").glob("*/*"))


def _holding(daemon: Containerd, inside: str) -> Path:
    """The snapshot directory that has a file."""
    (found,) = (daemon.root / "data/overlayfs/snapshots").glob(f"*/fs/{inside}")
    return found


def test_all_is_well(containerd: Containerd, name: str) -> None:
    assert verify(containerd) == (0, [])
    assert compared(containerd) == 3


def test_every_blob(containerd: Containerd, name: str) -> None:
    """Manifest, config and layers: named with the image, fetched again, and nothing else is."""
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in _blobs(containerd)}
    assert len(before) == 5
    for damaged in (_blobs(containerd)[:3], _blobs(containerd)[3:]):
        inodes = {path: path.stat().st_ino for path in before}
        for number, path in enumerate(damaged):
            if number == 2:
                path.unlink()
            else:
                path.write_bytes(before[path][1][:-1] + b"?" * number)
        code, found = verify(containerd)
        assert code == 1
        told = [each for each in found if each["subject"] == "content"]
        assert [(each["images"], each["digest"], each["path"]) for each in told] == [
            ([name], f"sha256:{path.name}", str(path)) for path in damaged
        ]
        code, found = verify(containerd, "--repair")
        assert code == 0
        assert [each["path"] for each in found if each["repaired"]] == list(map(str, damaged))
        assert all("fetched again from localhost" in each["text"] for each in found)
        assert verify(containerd) == (0, [])
        for path, (_, data) in before.items():
            assert path.read_bytes() == data
            assert (path.stat().st_ino == inodes[path]) == (path not in damaged)
    assert _runs(containerd, name)


def _runs(daemon: Containerd, image: str) -> bool:
    name = f"verify-{os.urandom(4).hex()}"
    out = daemon.ctr("run", "--rm", "--runtime", OURS, image, name, "cat", "/data/one", "/three")
    return out == "1" * 5000 + "3"


def test_the_files_of_a_layer(containerd: Containerd, name: str) -> None:
    folder = _holding(containerd, "data/one").parent
    inode = (folder / "two").stat().st_ino
    for damage, (work, _) in DAMAGE.items():
        work(folder / damage)
    code, found = verify(containerd)
    assert code == 1
    assert [(each["images"], each["path"]) for each in found] == [
        ([name], str(folder / damage)) for damage in sorted(DAMAGE)
    ]
    for each in found:
        assert DAMAGE[Path(each["path"]).name][1] in each["text"]
    (digest,) = {each["digest"] for each in found}
    assert digest in {f"sha256:{each.name}" for each in _blobs(containerd)}
    code, found = verify(containerd, "--repair")
    assert (code, [each["repaired"] for each in found]) == (0, [True] * len(DAMAGE))
    assert verify(containerd) == (0, [])
    assert (folder / "two").stat().st_ino == inode
    assert _runs(containerd, name)


def test_what_else_can_happen_to_a_layer(containerd: Containerd, name: str) -> None:
    """A whiteout lost, a file too much, a folder lost, the layer's own directory lost."""
    folder = _holding(containerd, "three").parent
    (folder / "data/two").unlink()
    (folder / "extra").mkdir()
    (folder / "extra/file").write_text("x")
    shutil.rmtree(_holding(containerd, "etc/motd").parent)
    code, found = verify(containerd)
    assert code == 1
    told = {each["path"].rpartition("/fs/")[2]: each["text"] for each in found}
    assert sorted(told) == ["data/two", "etc", "extra"]
    assert verify(containerd, "--repair")[0] == 0
    assert verify(containerd) == (0, [])
    shutil.rmtree(folder.parent)
    code, found = verify(containerd)
    assert code == 1
    assert [each["path"] for each in found] == [str(folder.parent)]
    assert verify(containerd, "--repair")[0] == 0
    assert verify(containerd) == (0, [])
    assert _runs(containerd, name)


def test_a_blob_and_its_layer_at_once(containerd: Containerd, name: str) -> None:
    """The layer is compared with what was fetched again."""
    path = _holding(containerd, "data/one")
    for blob in _blobs(containerd):
        blob.write_bytes(b"gone")
    path.write_bytes(b"gone")
    code, found = verify(containerd, "--repair")
    assert code == 0
    assert [each["subject"] for each in found] == ["content"] * 5 + ["snapshot"]
    assert verify(containerd) == (0, [])
    assert _runs(containerd, name)


def test_what_cannot_be_repaired_says_why(containerd: Containerd, image: str) -> None:
    """An imported image came from no registry."""
    blob = _blobs(containerd)[0]
    blob.write_bytes(b"gone")
    code, found = verify(containerd, "--repair")
    assert code == 1
    told = [each for each in found if each["subject"] == "content"]
    assert [each["images"] for each in told] == [[image]]
    assert "not repaired: it came from no registry" in told[0]["text"]
    assert not told[0]["repaired"]


def test_what_a_registry_has_is_checked(
    containerd: Containerd, name: str, registry: Registry
) -> None:
    """A registry that gives other bytes, or none, repairs nothing."""
    blob = max(_blobs(containerd), key=lambda each: each.stat().st_size)
    good = blob.read_bytes()
    blob.write_bytes(b"gone")
    (kept,) = registry.directory.rglob(f"sha256/*/{blob.name}/data")
    kept.write_bytes(good[:-1] + b"?")
    try:
        code, found = verify(containerd, "--repair")
        assert code == 1
        assert "not repaired: what the registry has is sha256:" in found[0]["text"]
        assert blob.read_bytes() == b"gone"
        kept.unlink()
        code, found = verify(containerd, "--repair")
        assert code == 1
        assert "not repaired" in found[0]["text"]
    finally:
        kept.write_bytes(good)
    assert verify(containerd, "--repair")[0] == 0


def test_every_byte_is_accounted_for(containerd: Containerd, name: str) -> None:
    """What no record explains is named with its size."""
    data = containerd.root / "data"
    strays = [
        data / "content/blobs/sha256" / ("0" * 64),
        data / "content/ingest/4711",
        data / "content/trash/x",
        data / "overlayfs/snapshots/99999",
        data / "overlayfs/drafts/abc",
        data / "overlayfs/snapshots" / "1x",
        data / "stray",
        _holding(containerd, "three").parents[1] / "stray",
    ]
    for path in strays:
        path.write_bytes(b"x" * 5000)
    try:
        done = subprocess.run(
            [BIN / "containerd", "--root", data, "verify"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = [json.loads(line) for line in done.stdout.splitlines()]
        told = {each["path"] for each in found if each["level"] == "warning"}
        assert told == {str(path) for path in strays}
        assert found[-1]["text"].endswith(f"unaccounted {8192 * len(strays)}")
    finally:
        for path in strays:
            path.unlink()
    assert verify(containerd) == (0, [])
