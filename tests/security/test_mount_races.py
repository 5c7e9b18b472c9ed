"""K2: another container shares a volume and exchanges its names while the runtime works."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.runtime.conftest import Box, mount
from tests.security.conftest import Canary, attempt

TRIES = int(os.environ.get("RACE_TRIES", "2000"))
_AT_FDCWD, _EXCHANGE = -100, 2


def exchange(first: Path, second: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    assert libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0, (
        ctypes.get_errno()
    )


@contextmanager
def attacker(folder: Path, pairs: list[tuple[str, str]]) -> Iterator[threading.Event]:
    """A process that exchanges pairs of names in the volume without pause, until the block ends."""
    script = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
pairs = [(os.fsencode(a), os.fsencode(b)) for a, b in zip(sys.argv[2::2], sys.argv[3::2])]
print("ready", flush=True)
count = 0
while True:
    for a, b in pairs:
        libc.renameat2(-100, a, -100, b, 2)
"""
    words = [word for pair in pairs for word in pair]
    command = ["python3", "-c", script, str(folder), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield threading.Event()
            assert process.poll() is None, "the attacker ended early"
        finally:
            process.kill()


def racing_volume(box: Box, canary: Canary) -> list[tuple[str, str]]:
    """A volume with what an attacker would exchange: folders and files of the mounts for links to the host."""
    volume = box.directory / "shared"
    (volume / "dir/inner").mkdir(parents=True)
    (volume / "deep/inner").mkdir(parents=True)
    (volume / "file").touch()
    (volume / "dev").mkdir()
    outside = "../" * 30 + str(canary.root).lstrip("/")
    (volume / "dir-link").symlink_to(canary.root / "dir")
    (volume / "deep-link").symlink_to(outside)
    (volume / "file-link").symlink_to(canary.root / "passwd")
    (volume / "dev-link").symlink_to(outside)
    (box.directory / "mine").mkdir()
    (box.directory / "mine/data").write_text("data\n")
    box.mounts.extend(
        [
            mount("bind", "/shared", "rbind", source=str(volume)),
            mount("tmpfs", "/shared/dir/inner", "mode=700"),
            mount("bind", "/shared/deep/inner", "rbind", source=str(box.directory / "mine")),
            mount("bind", "/shared/deep/new/er", "rbind", source=str(box.directory / "mine")),
            mount("bind", "/shared/file", "bind", source=str(box.directory / "mine/data")),
        ]
    )
    box.linux["devices"] = [
        {"path": "/shared/dev/fuse", "type": "c", "major": 10, "minor": 229, "uid": 5, "gid": 5}
    ]
    box.linux["maskedPaths"] += ["/shared/dir", "/shared/file"]
    box.process["cwd"] = "/shared/dir/inner/work"
    return [("dir", "dir-link"), ("deep", "deep-link"), ("file", "file-link"), ("dev", "dev-link")]


def assert_all_inside(mountinfo: str) -> None:
    """Every mount of `racing_volume` is there: one that was attached outside went away with the old root."""
    fields = [line.split() for line in mountinfo.splitlines()]
    roots = [field[3] for field in fields]
    assert len([root for root in roots if root.endswith("/mine")]) == 2, mountinfo
    assert len([root for root in roots if root.endswith("/mine/data")]) == 1, mountinfo
    assert len([field for field in fields if field[-1].endswith("mode=700")]) == 1, mountinfo


@pytest.mark.timeout(900)
def test_cve_2021_30465_cve_2019_19921_cve_2024_45310_exchanged_names_never_lead_out(
    box: Box, canary: Canary
) -> None:
    """runc mounted on, created directories behind, or labelled through, a name that had been exchanged for a link.

    2,000 creations beside an attacker who exchanges every name of the volume: each may fail or succeed, but nothing is made
    in the canary, or even opened there; and every mount of a container that came to be lies inside of its root.
    """
    pairs = racing_volume(box, canary)
    ends = {"made": 0, "refused": 0}
    box.process["args"] = ["cat", "/proc/self/mountinfo"]
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    with attacker(box.directory / "shared", pairs):
        for _ in range(TRIES):
            done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
            if done.returncode == 0:
                ends["made"] += 1
                assert_all_inside(done.stdout.decode())
            else:
                ends["refused"] += 1
            canary.assert_untouched(done.stderr)
            made = box.rootfs / str(canary.root).lstrip("/")
            if made.exists():
                shutil.rmtree(made)
    assert ends["made"] > 0, ends
    assert ends["refused"] + ends["made"] == TRIES
    assert str(box.directory) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.timeout(900)
def test_cve_2019_19921_proc_is_exchanged_for_a_link(box: Box, canary: Canary) -> None:
    """runc wrote the labels to wherever /proc led when a volume in the root changed it meanwhile. Here procfs is on /proc, or
    there is no container; what lies behind the link stays as it is."""
    evil = box.rootfs / "tmp/evil/self/attr"
    evil.mkdir(parents=True)
    (evil / "exec").write_text("")
    (box.rootfs / "proc-link").symlink_to("/tmp/evil")
    box.linux["sysctl"] = {"kernel.domainname": "written"}
    box.linux["maskedPaths"] += ["/proc/version"]
    box.process["args"] = [
        "sh",
        "-c",
        "cat /proc/self/mountinfo /proc/sys/kernel/domainname /proc/version",
    ]
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    made = 0
    with attacker(box.rootfs, [("proc", "proc-link")]):
        for _ in range(TRIES // 20):
            done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
            if done.returncode == 0:
                made += 1
                # Masked, and nothing of procfs at the place behind the link.
                lines = done.stdout.decode().splitlines()
                assert lines[-1] == "written", done
                assert [line for line in lines if "/version" in line and "/null" in line], done
                assert not [line for line in lines if "/tmp/evil" in line], done
            assert [each.name for each in (box.rootfs / "tmp/evil").iterdir()] == ["self"]
    assert made > 0
    assert (evil / "exec").read_text() == ""
    canary.assert_untouched()


@pytest.mark.timeout(900)
def test_cve_2024_45310_copy_up_of_a_shared_folder_reads_nothing_of_the_host(
    box: Box, canary: Canary
) -> None:
    """The content of a folder is copied while its names are exchanged for links to the host."""
    data = box.rootfs / "data"
    (data / "dir").mkdir(parents=True)
    (data / "dir/file").write_text("mine\n")
    (data / "file").write_text("mine\n")
    (data / "dir-link").symlink_to(canary.root / "dir")
    (data / "file-link").symlink_to(canary.root / "passwd")
    box.mounts.append(mount("tmpfs", "/data", "tmpcopyup"))
    box.process["args"] = [
        "sh",
        "-c",
        "cat /data/file /data/file-link /data/dir/* /data/dir-link/* 2>/dev/null; true",
    ]
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    with attacker(data, [("dir", "dir-link"), ("file", "file-link")]):
        for _ in range(TRIES // 20):
            done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
            assert b"canary" not in done.stdout
            canary.assert_untouched(done.stderr)


IMPOSTORS = ("link-to-proc", "link-to-host", "file", "other-device", "fifo", "directory", "absent")


def impostor(at: Path, kind: str, canary: Canary) -> None:
    match kind:
        case "link-to-proc":
            at.symlink_to("/proc/sys/kernel/core_pattern")
        case "link-to-host":
            at.symlink_to(canary.root / "core_pattern")
        case "file":
            at.write_text("")
        case "other-device":
            os.mknod(at, 0o666 | 0o020000, os.makedev(1, 5))
        case "fifo":
            os.mkfifo(at)
        case "directory":
            at.mkdir()
        case _:
            pass


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_cve_2025_31133_cve_2025_62161_masks_are_the_null_device_or_nothing(
    box: Box, canary: Canary, kind: str
) -> None:
    """runc and youki mounted whatever lay at the container's /dev/null over the paths to be hidden: a link to
    /proc/sys/kernel/core_pattern made that file writable."""
    box.config["mounts"] = [
        each for each in box.mounts if not each["destination"].startswith("/dev")
    ]
    impostor(box.rootfs / "dev/null", kind, canary)
    (box.rootfs / "etc/secret").write_text("secret\n")
    box.linux["maskedPaths"] = ["/etc/secret", "/proc/timer_list"]
    code, said = attempt(
        box,
        "for each in /etc/secret /proc/timer_list; do stat -c '%t:%T %F' $each; done; cat /etc/secret",
    )
    if code == 0:
        assert said.splitlines() == ["1:3 character special file"] * 2
    else:
        assert code == 1, said
        assert "/dev/null" in said
    if kind in {"file", "absent"}:
        assert code == 0, said
    canary.assert_untouched(said)


@pytest.mark.timeout(900)
def test_cve_2025_31133_cve_2025_62161_the_null_device_is_exchanged_while_masking(
    box: Box, canary: Canary
) -> None:
    """The same as a race: /dev is a shared volume, its null is exchanged for a link all the time."""
    shared = box.directory / "dev"
    shared.mkdir()
    os.mknod(shared / "null", 0o666 | 0o020000, os.makedev(1, 3))
    (shared / "evil").symlink_to("/proc/sys/kernel/core_pattern")
    box.config["mounts"] = [
        each for each in box.mounts if not each["destination"].startswith("/dev")
    ]
    box.mounts.append(mount("bind", "/dev", "rbind", source=str(shared)))
    box.linux["maskedPaths"] = ["/proc/timer_list", "/proc/kcore", "/proc/keys", "/etc/secret"]
    (box.rootfs / "etc/secret").write_text("secret\n")
    box.process["args"] = ["stat", "-c", "%t:%T", "/proc/timer_list", "/etc/secret"]
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    made = 0
    with attacker(shared, [("null", "evil")]):
        for _ in range(TRIES // 10):
            done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
            if done.returncode == 0:
                made += 1
                assert done.stdout.split() == [b"1:3", b"1:3"]
    assert made > 0
    canary.assert_untouched()


@pytest.mark.parametrize("kind", ["link-to-proc", "link-to-host", "link-to-sysrq"])
@pytest.mark.parametrize("own_dev", [True, False])
def test_cve_2025_52565_the_console_is_the_terminal_and_nothing_else(
    box: Box, canary: Canary, kind: str, own_dev: bool
) -> None:
    """runc bound /dev/pts/N, a name that can be exchanged, on /dev/console, before the masks were in place."""
    import array
    import socket

    if not own_dev:
        box.config["mounts"] = [each for each in box.mounts if each["destination"] != "/dev"]
    goal = {"link-to-proc": "/proc/sys/kernel/core_pattern", "link-to-sysrq": "/proc/sysrq-trigger"}
    (box.rootfs / "dev/console").symlink_to(goal.get(kind, str(canary.root / "null")))
    (box.rootfs / "dev/pts").mkdir()
    (box.rootfs / "dev/pts/0").symlink_to("/proc/sysrq-trigger")
    box.process["terminal"] = True
    path = box.directory / "console.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(10)
        box.process["args"] = ["sh", "-c", "stat -c '%t:%T' /dev/console; cat /proc/self/mountinfo"]
        box.write()
        result = box.call(
            "create", "--console-socket", str(path), "--bundle", str(box.bundle), box.name
        )
        if not own_dev:
            assert result.code == 1, result
            assert "/dev/console is a link in the container" in result.err
            canary.assert_untouched(result)
            return
        assert result.code == 0, result
        connection, _ = listener.accept()
        with connection:
            _, control, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(4))
            (master,) = array.array("i", control[0][2])
    box.ok("start", box.name)
    said = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        said += chunk
    os.close(master)
    assert said.startswith(b"88:"), said
    assert b" /dev/console rw" in said
    canary.assert_untouched(said)


@pytest.mark.parametrize("kind", ["link-to-host", "file", "fifo", "other-device"])
def test_cve_2025_52565_a_fake_devpts_gives_no_terminal(
    box: Box, canary: Canary, kind: str
) -> None:
    """Without a devpts in the configuration the image's own /dev/pts/ptmx is what the runtime would open."""
    import socket

    box.config["mounts"] = [
        each for each in box.mounts if not each["destination"].startswith("/dev")
    ]
    (box.rootfs / "dev/pts").mkdir()
    impostor(box.rootfs / "dev/pts/ptmx", kind, canary)
    box.process["terminal"] = True
    box.write()
    path = box.directory / "console.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        result = box.call(
            "create", "--console-socket", str(path), "--bundle", str(box.bundle), box.name
        )
    assert result.code == 1
    assert "/dev/pts" in result.err
    canary.assert_untouched(json.dumps(result.err))
