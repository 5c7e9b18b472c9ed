"""K1: root file systems whose names lead out. Whatever the runtime makes or mounts, it stays inside, or refuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.runtime.conftest import Box, mount
from tests.security.conftest import Canary, attempt

KINDS = ("absolute", "relative", "magic", "magic-descriptor", "dangling", "chained")
TARGETS = (
    "dev",
    "dev/pts",
    "dev/shm",
    "dev/null",
    "dev/console",
    "dev/ptmx",
    "proc",
    "sys",
    "sys/fs/cgroup",
    "etc/passwd",
    "etc/group",
    "etc/mtab",
    "etc/hosts",
    "work",
    "volume",
    "volume/deep/er",
    "log/file",
)


def plant(rootfs: Path, name: str, kind: str, canary: Path) -> None:
    """Put a link that leads to the canary, or to a place beside it, where the runtime will look for ``name``."""
    at = rootfs / name
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    at.unlink(missing_ok=True)
    at.parent.mkdir(parents=True, exist_ok=True)
    goal = canary / "dir"
    match kind:
        case "absolute":
            at.symlink_to(goal)
        case "relative":
            at.symlink_to("../" * 40 + str(goal).lstrip("/"))
        case "magic":
            at.symlink_to(f"/proc/1/root{goal}")
        case "magic-descriptor":
            at.symlink_to("/proc/self/fd/7")
        case "dangling":
            at.symlink_to(canary / "made-by-the-runtime")
        case _:
            (rootfs / "hop").unlink(missing_ok=True)
            (rootfs / "hop").symlink_to(goal)
            at.symlink_to("/hop" if at.parent == rootfs else "../" * 10 + "hop")


def with_everything(box: Box) -> None:
    """All that the runtime makes in a root: devices, mounts, files, the working directory, masks."""
    volume = box.directory / "source"
    volume.mkdir()
    (box.directory / "file").write_text("from the host\n")
    box.process["cwd"] = "/work"
    box.mounts.extend(
        [
            mount("bind", "/volume", "rbind", source=str(volume)),
            mount("bind", "/volume/deep/er", "rbind", source=str(volume)),
            mount("bind", "/log/file", "bind", source=str(box.directory / "file")),
        ]
    )
    for name in ("passwd", "group", "hosts", "mtab"):
        if name != "passwd":
            box.mounts.append(
                mount("bind", f"/etc/{name}", "bind", source=str(box.directory / "file"))
            )
    box.linux["devices"] = [
        {
            "path": "/dev/fuse",
            "type": "c",
            "major": 10,
            "minor": 229,
            "fileMode": 0o4666,
            "uid": 7,
            "gid": 7,
        }
    ]
    box.linux["maskedPaths"] += ["/etc/mtab", "/work", "/volume"]
    box.linux["readonlyPaths"] += ["/home", "/dev/shm"]


@pytest.mark.parametrize(
    ("target", "own_dev"),
    [(target, True) for target in TARGETS]
    + [(target, False) for target in TARGETS if target.startswith("dev")],
)
@pytest.mark.parametrize("kind", KINDS)
def test_cve_2019_18837_cve_2025_24965_links_in_the_image_lead_nowhere(
    box: Box, canary: Canary, target: str, kind: str, own_dev: bool
) -> None:
    """crun followed a mount target's link; crun's krun handler wrote a file through one."""
    if not own_dev:
        box.config["mounts"] = [
            each for each in box.mounts if not each["destination"].startswith("/dev")
        ]
    with_everything(box)
    plant(box.rootfs, target, kind, canary.root)
    code, said = attempt(box, "cat /proc/self/mountinfo")
    canary.assert_untouched((code, said))
    if code == 0:
        # A mount that was attached outside went away with the old root.
        roots = [line.split()[3] for line in said.splitlines()]
        assert (
            len([root for root in roots if root.endswith(f"{box.directory.name}/source")]) == 2
        ), said
        assert len([root for root in roots if root.endswith(f"{box.directory.name}/file")]) == 4, (
            said
        )


@pytest.mark.parametrize("target", ["/volume", "/log/file", "/work"])
def test_cve_2019_18837_mount_stays_inside_of_the_root(
    box: Box, canary: Canary, target: str
) -> None:
    """A link to a place of the host becomes the same place of the container: the mount is there, and works."""
    with_everything(box)
    plant(box.rootfs, target.lstrip("/"), "absolute", canary.root)
    box.linux["maskedPaths"] = []
    box.linux["readonlyPaths"] = []
    code, said = attempt(box, f"cat /proc/self/mountinfo; ls -d {canary.root}/dir")
    assert code == 0, said
    if target != "/work":
        assert f" {canary.root}/dir " in said
    canary.assert_untouched(said)


@pytest.mark.parametrize(
    "name", [".krun_config.json", ".krun_vm.json", "config.json", "state.json", "exec.fifo"]
)
def test_cve_2025_24965_no_file_is_written_into_the_root(
    box: Box, canary: Canary, name: str
) -> None:
    (box.rootfs / name).symlink_to(canary.root / "core_pattern")
    before = {path for path in box.rootfs.rglob("*") if not path.is_dir()}
    code, said = attempt(box)
    assert code == 0, said
    assert {path for path in box.rootfs.rglob("*") if not path.is_dir()} == before
    canary.assert_untouched()


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("goal", ["/tmp/other", "/tmp", "tmp/../tmp", "/proc2"])
def test_cve_2023_27561_cve_2025_54867_proc_and_sys_must_be_ordinary_directories(
    box: Box, name: str, goal: str
) -> None:
    """Through a link, procfs would be mounted where the image wants it, and its masks would miss it."""
    (box.rootfs / name).rmdir()
    (box.rootfs / name).symlink_to(goal)
    (box.rootfs / "tmp/other").mkdir()
    code, said = attempt(box)
    assert code == 1
    assert "must be mounted on" in said
    assert "ordinary directory" in said


def test_cve_2023_27561_a_link_above_proc_is_seen(box: Box) -> None:
    """The same with a destination below a link."""
    (box.rootfs / "tmp/real").mkdir()
    (box.rootfs / "alias").symlink_to("/tmp/real")
    box.mounts.append(mount("proc", "/alias/proc"))
    code, said = attempt(box)
    assert code == 1
    assert "ordinary directory" in said


@pytest.mark.parametrize("kind", [*KINDS, "volume"])
def test_cve_2026_41579_cve_2026_47766_a_linked_dev_is_not_followed(
    box: Box, canary: Canary, kind: str
) -> None:
    """Nodes would be made, and an existing ptmx removed, wherever the link leads: on a volume, here."""
    volume = box.directory / "source"
    volume.mkdir()
    (volume / "ptmx").write_text("of the host\n")
    box.config["mounts"] = [
        each for each in box.mounts if not each["destination"].startswith("/dev")
    ]
    box.mounts.append(mount("bind", "/volume", "rbind", source=str(volume)))
    plant(box.rootfs, "dev", kind if kind != "volume" else "absolute", canary.root)
    if kind == "volume":
        (box.rootfs / "dev").unlink()
        (box.rootfs / "dev").symlink_to("/volume")
    code, said = attempt(box)
    assert code == 1, said
    assert os.listdir(volume) == ["ptmx"]
    assert (volume / "ptmx").read_text() == "of the host\n"
    canary.assert_untouched(said)


def test_cve_2026_47766_a_device_is_not_made_through_a_link(box: Box, canary: Canary) -> None:
    """/dev is real, but the name of a device in it is a link."""
    box.config["mounts"] = [
        each for each in box.mounts if not each["destination"].startswith("/dev")
    ]
    (box.rootfs / "dev/fuse").symlink_to(canary.root / "null")
    box.linux["devices"] = [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "uid": 7, "gid": 7}
    ]
    code, said = attempt(box)
    assert code == 1, said
    assert "/dev/fuse" in said
    canary.assert_untouched(said)


def test_copy_up_takes_links_as_links(box: Box, canary: Canary) -> None:
    """A tmpfs that begins with the image's content holds the image's links, not what they lead to on the host."""
    (box.rootfs / "data").mkdir()
    (box.rootfs / "data/leak").symlink_to(canary.root / "passwd")
    (box.rootfs / "data/folder").symlink_to(canary.root / "dir")
    (box.rootfs / "data/plain").write_text("mine\n")
    (box.rootfs / "data/plain").chmod(0o640)
    box.mounts.append(mount("tmpfs", "/data", "tmpcopyup"))
    lines = box.sh(
        "cat /data/plain; stat -c '%a %F' /data/plain /data/leak /data/folder; cat /data/leak || true"
    )
    assert lines == ["mine", "640 regular file", "777 symbolic link", "777 symbolic link"]
    canary.assert_untouched()
