"""A kernel before 5.12, or a filter around us that says so: the same mounts by mount(2)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.runtime import conftest as runtime
from tests.runtime.conftest import Box, mount

# open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr: "function not implemented".
WRAPPER = """#!{python}
import ctypes, os, struct, sys
numbers = [428, 429, 430, 431, 432, 433, 442]
code = [(0x20, 0, 0, 0)]
code += [(0x15, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
code += [(6, 0, 0, 0x7FFF0000), (6, 0, 0, 0x50000 | 38)]
data = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(data))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


@pytest.fixture
def old(box: Box, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A container whose runtime finds none of the newer calls."""
    wrapper = box.directory / "old-kernel"
    wrapper.write_text(WRAPPER.format(python=sys.executable, program=runtime.PROGRAM))
    wrapper.chmod(0o755)
    monkeypatch.setattr(runtime, "PROGRAM", str(wrapper))
    return box


def mounts(lines: list[str]) -> dict[str, set[str]]:
    """Flags by mount point; of several at one place the last one."""
    return {line.split()[4]: set(line.split()[5].split(",")) for line in lines}


def test_the_default_container(old: Box) -> None:
    found = mounts(old.sh("cat /proc/self/mountinfo; echo >/dev/null"))
    assert {
        "/",
        "/proc",
        "/dev",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/sys",
        "/sys/fs/cgroup",
    } <= set(found)
    assert {"ro", "nosuid", "noexec", "nodev"} <= found["/sys"]
    assert "ro" in found["/proc/sys"]
    assert "ro" in found["/sys/firmware"]
    assert "noexec" in found["/dev/shm"]
    assert not [place for place in found if str(old.root) in place]


def test_read_only_root_and_masks(old: Box) -> None:
    old.config["root"]["readonly"] = True
    (old.rootfs / "etc/secret").write_text("secret\n")
    old.linux["maskedPaths"] += ["/etc/secret", "/home"]
    lines = old.sh(
        "cat /etc/secret; ls /home; touch /x 2>/dev/null || echo read-only; touch /dev/shm/x && echo yes"
    )
    assert lines == ["read-only", "yes"]


def test_binds_keep_their_words(old: Box) -> None:
    source = old.directory / "source"
    (source / "below").mkdir(parents=True)
    (source / "file").write_text("data\n")
    old.mounts.extend(
        [
            mount("bind", "/a", "rbind", "ro", "nosuid", "rprivate", source=str(source)),
            mount("bind", "/b", "bind", source=str(source)),
            mount("bind", "/c/file", "bind", "ro", "noexec", source=str(source / "file")),
        ]
    )
    lines = old.sh(
        "cat /c/file; touch /b/below/x; touch /a/y 2>/dev/null || echo read-only; cat /proc/self/mountinfo"
    )
    assert lines[:2] == ["data", "read-only"]
    found = mounts(lines[2:])
    assert {"ro", "nosuid"} <= found["/a"]
    assert "rw" in found["/b"]
    assert {"ro", "noexec"} <= found["/c/file"]
    assert (source / "below/x").exists()


def test_a_whole_tree_is_read_only(old: Box) -> None:
    old.mounts.extend(
        [
            mount("tmpfs", "/outer", "mode=755"),
            mount("bind", "/tree", "rbind", "rro", source="/dev"),
        ]
    )
    found = mounts(old.sh("cat /proc/self/mountinfo"))
    below = [
        flags for place, flags in found.items() if place == "/tree" or place.startswith("/tree/")
    ]
    assert len(below) > 1
    assert all("ro" in flags for flags in below)


def test_a_tmpfs_with_the_content_below(old: Box) -> None:
    (old.rootfs / "data").mkdir()
    (old.rootfs / "data/file").write_text("mine\n")
    old.mounts.append(mount("tmpfs", "/data", "tmpcopyup", "noexec", "ro"))
    lines = old.sh("cat /data/file; grep ' /data ' /proc/self/mountinfo")
    assert lines[0] == "mine"
    assert "ro,noexec" in lines[1]


def test_id_mappings_are_refused_by_name(old: Box) -> None:
    ids = [{"containerID": 0, "hostID": 1000, "size": 10}]
    old.mounts.append(
        mount("bind", "/a", "bind", "idmap", source="/srv")
        | {"uidMappings": ids, "gidMappings": ids}
    )
    old.write()
    result = old.call("create", "--bundle", str(old.bundle), old.name)
    assert result.code == 1
    assert "not implemented" in result.err
    assert list(old.root.iterdir()) == []


def test_an_option_that_only_the_older_call_takes(box: Box) -> None:
    """Values beyond 255 bytes, on any kernel: an overlay of many folders."""
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no overlayfs")
    folders = []
    for number in range(6):
        folder = box.directory / f"layer-{number}-{'x' * 40}"
        folder.mkdir()
        (folder / f"file{number}").touch()
        folders.append(str(folder))
    box.mounts.append(mount("overlay", "/merged", "lowerdir=" + ":".join(folders), "ro"))
    assert len(":".join(folders)) > 255
    assert box.sh("ls /merged") == [f"file{number}" for number in range(6)]
    assert Path("/proc/self/mountinfo").read_text().count(box.name) == 0
