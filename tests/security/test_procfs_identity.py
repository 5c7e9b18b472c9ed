"""K3: what is written to /proc must go to the kernel: labels and sysctls fail closed on anything else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.runtime.conftest import Box, Result, mount
from tests.security.conftest import Canary, attempt

SPELLINGS = ("/proc", "/proc/", "/./proc", "/tmp/../proc", "/alias", "/alias/")


def in_other_mounts(box: Box, preparation: str) -> Result:
    """`create` in a mount namespace where a script has changed what the host looks like."""
    box.write()
    argv = box.argv("create", "--bundle", str(box.bundle), box.name)
    script = f'set -e; {preparation}\nexec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *argv]
    with (box.directory / "said").open("w+b") as said:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=30
        )
        said.seek(0)
        return Result(done.returncode, "", said.read().decode())


def fake_proc(folder: Path, files: dict[str, Path]) -> str:
    """A script that puts a tmpfs on /proc in which everything leads to the real one, but for files of `self`."""
    real = folder / "real-proc"
    real.mkdir()
    lines = [
        f"mount --bind /proc {real}",
        "mount -t tmpfs tmpfs /proc",
        f"for each in {real}/*; do name=${{each##*/}}; ln -s $each /proc/$name; done",
        "last=$(sed 's/.* //' /proc/loadavg)",
        f"for number in $(seq $last $((last + 300))); do ln -sf {real}/$number /proc/$number 2>/dev/null || :; done",
        "rm /proc/self; mkdir /proc/self",
        f"for each in {real}/self/*; do name=${{each##*/}}; ln -s {real}/self/$name /proc/self/$name; done",
    ]
    for name, target in files.items():
        # The top of it is a link to the real one: unlinked, never descended into.
        top = "/".join(Path(name).parts[: 2 if name.startswith("self/") else 1])
        lines += [
            f"rm /proc/{top}",
            f"mkdir -p /proc/{Path(name).parent}",
            f"touch /proc/{name}; mount --bind {target} /proc/{name}",
        ]
    return "\n".join(lines)


SYSCTL = {"kernel.domainname": "written"}


def test_cve_2025_52881_a_sysctl_is_not_written_to_what_covers_its_file(
    box: Box, canary: Canary
) -> None:
    """runc's sysctl writes could be led to other files by mounts that raced with them."""
    box.linux["sysctl"] = SYSCTL
    result = in_other_mounts(
        box, f"mount --bind {canary.root}/core_pattern /proc/sys/kernel/domainname"
    )
    assert result.code == 1, result
    assert "kernel.domainname" in result.err
    canary.assert_untouched(result)
    assert box.sh("cat /proc/sys/kernel/domainname") == ["written"]


@pytest.mark.parametrize("what", ["sys/kernel", "sys"])
def test_cve_2025_52881_nor_below_what_covers_a_folder_on_the_way(box: Box, what: str) -> None:
    box.linux["sysctl"] = SYSCTL
    tree = box.directory / "tree"
    (tree / "kernel").mkdir(parents=True)
    files = [tree / "kernel/domainname", tree / "domainname"]
    for each in files:
        each.write_text("fake\n")
    result = in_other_mounts(box, f"mount --bind {tree} /proc/{what}")
    assert result.code == 1, result
    assert [each.read_text() for each in files] == ["fake\n", "fake\n"]


def test_cve_2025_52881_nor_to_a_fake_proc(box: Box, canary: Canary) -> None:
    box.linux["sysctl"] = SYSCTL
    result = in_other_mounts(
        box, fake_proc(box.directory, {"sys/kernel/domainname": canary.root / "core_pattern"})
    )
    assert result.code == 1, result
    assert "procfs" in result.err, result
    canary.assert_untouched(result)


@pytest.mark.parametrize("file", ["attr/apparmor/exec", "attr/exec"])
def test_cve_2019_16884_cve_2025_62596_cve_2025_52881_a_label_is_not_written_to_a_fake_proc(
    box: Box, canary: Canary, file: str
) -> None:
    """A profile that is written to an ordinary file is no profile, and the process would run without one."""
    box.process["apparmorProfile"] = "some-profile"
    lines = [
        "mount -t tmpfs tmpfs /sys/module; mkdir /sys/module/apparmor",
        fake_proc(box.directory, {f"self/{file}": canary.root / "core_pattern"}),
    ]
    result = in_other_mounts(box, "\n".join(lines))
    assert result.code == 1, result
    assert "procfs" in result.err, result
    canary.assert_untouched(result)


def test_cve_2023_28642_a_linked_proc_refuses_a_label(box: Box) -> None:
    """With /proc a link, runc took the label's file from the image, and did without the profile."""
    (box.rootfs / "proc").rmdir()
    (box.rootfs / "tmp/proc/self/attr/apparmor").mkdir(parents=True)
    (box.rootfs / "tmp/proc/self/attr/apparmor/exec").write_text("")
    (box.rootfs / "proc").symlink_to("/tmp/proc")
    box.process["apparmorProfile"] = "some-profile"
    result = in_other_mounts(box, "mount -t tmpfs tmpfs /sys/module; mkdir /sys/module/apparmor")
    assert result.code == 1, result
    assert (box.rootfs / "tmp/proc/self/attr/apparmor/exec").read_text() == ""


@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
@pytest.mark.parametrize("where", SPELLINGS)
@pytest.mark.parametrize("with_proc", [True, False])
def test_cve_2019_16884_nothing_else_is_mounted_on_proc(
    box: Box, where: str, kind: str, with_proc: bool
) -> None:
    """An image's volume on /proc, however it is spelled, is refused, before or after the real one."""
    volume = box.directory / "volume"
    (volume / "self/attr").mkdir(parents=True)
    (box.rootfs / "alias").symlink_to("proc")
    if not with_proc:
        box.config["mounts"] = []
        box.linux["maskedPaths"] = box.linux["readonlyPaths"] = []
    box.mounts.append(
        mount(kind, where, *(["rbind"] if kind == "bind" else []), source=str(volume))
    )
    code, said = attempt(box)
    assert code == 1
    assert "inside /proc" in said


@pytest.mark.parametrize(
    "where",
    [
        "/proc/self",
        "/proc/self/attr",
        "/proc/sys",
        "/proc/sys/kernel",
        "/alias/sys",
        "/proc/version",
    ],
)
def test_cve_2025_52881_nothing_is_mounted_inside_of_proc(box: Box, where: str) -> None:
    volume = box.directory / "volume"
    if where.endswith("version"):
        volume.touch()
    else:
        volume.mkdir()
    (box.rootfs / "alias").symlink_to("proc")
    box.mounts.append(mount("bind", where, "rbind", source=str(volume)))
    code, said = attempt(box)
    assert code == 1
    assert "inside /proc" in said


def test_single_files_may_stand_in_for_those_of_the_kernel(box: Box) -> None:
    """What lxcfs needs."""
    (box.directory / "uptime").write_text("1.00 1.00\n")
    box.mounts.append(mount("bind", "/proc/uptime", "bind", source=str(box.directory / "uptime")))
    assert box.sh("cat /proc/uptime") == ["1.00 1.00"]


def test_a_procfs_may_be_bound_on_proc(box: Box) -> None:
    """What nested containers need, which may not mount one."""
    box.config["mounts"] = [mount("bind", "/proc", "rbind", source="/proc")]
    box.linux["namespaces"] = [each for each in box.linux["namespaces"] if each["type"] != "pid"]
    assert box.sh("cat /proc/1/comm") == [Path("/proc/1/comm").read_text().strip()]
