"""`mounts`: every option, every kind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.runtime.conftest import Box, mount

# Option, and what mountinfo then shows; a word with ! must not be there.
ATTRIBUTES = [
    ("ro", "ro"), ("rw", "rw"), ("nosuid", "nosuid"), ("suid", "!nosuid"), ("nodev", "nodev"), ("dev", "!nodev"),
    ("noexec", "noexec"), ("exec", "!noexec"), ("nodiratime", "nodiratime"), ("diratime", "!nodiratime"),
    ("noatime", "noatime"), ("atime", "!noatime"), ("relatime", "relatime"), ("norelatime", "!relatime"),
    ("strictatime", "!relatime"), ("nostrictatime", "relatime"), ("nosymfollow", "nosymfollow"),
    ("symfollow", "!nosymfollow"),
]  # fmt: skip
# What comes last holds; so a word that asks for what is the default anyway must undo another one.
UNDONE = {
    "rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "diratime": "nodiratime", "atime": "noatime",
    "relatime": "strictatime", "nostrictatime": "strictatime", "symfollow": "nosymfollow", "private": "shared",
    "slave": "shared", "async": "sync", "noiversion": "iversion",
}  # fmt: skip
PLAIN = ["async", "defaults", "loud", "noiversion", "nolazytime", "nomand", "silent"]
SUPERBLOCK = ["sync", "dirsync", "lazytime"]
PROPAGATION = ["private", "rprivate", "slave", "rslave", "unbindable", "runbindable"]


def line(box: Box, place: str = "/m") -> list[str]:
    """The mount at a place, as the container sees it."""
    found = [each for each in box.sh("cat /proc/self/mountinfo") if each.split()[4] == place]
    assert found, place
    return found[-1].split()


def undone(option: str) -> list[str]:
    """An option behind the one that it takes back."""
    recursive = "r" if option.startswith("r") and option not in {"rw", "ro", "relatime"} else ""
    plain = option.removeprefix(recursive)
    return [*(recursive + each for each in [UNDONE.get(plain)] if each), option]


def check(words: list[str], expected: str) -> None:
    flags = words[5].split(",")
    if expected.startswith("!"):
        assert expected[1:] not in flags, words
    else:
        assert expected in flags, words


@pytest.mark.parametrize(("option", "expected"), ATTRIBUTES)
def test_attributes_of_a_new_mount(box: Box, option: str, expected: str) -> None:
    box.mounts.append(mount("tmpfs", "/m", *undone(option)))
    check(line(box), expected)


@pytest.mark.parametrize(("option", "expected"), ATTRIBUTES)
def test_attributes_of_a_bind(box: Box, option: str, expected: str) -> None:
    folder = box.directory / "source"
    folder.mkdir()
    box.mounts.append(mount("none", "/m", "bind", *undone(option), source=str(folder)))
    check(line(box), expected)


@pytest.mark.parametrize(("option", "expected"), ATTRIBUTES)
def test_attributes_of_a_tree(box: Box, option: str, expected: str) -> None:
    """The words with r hold for the mounts below, too."""
    folder = box.directory / "source"
    (folder / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder / "below"], check=True)
    try:
        box.mounts.append(mount("none", "/m", "rbind", *undone(f"r{option}"), source=str(folder)))
        check(line(box, "/m/below"), expected)
    finally:
        subprocess.run(["umount", folder / "below"], check=True)


@pytest.mark.parametrize("option", PLAIN)
def test_words_that_change_nothing(box: Box, option: str) -> None:
    box.mounts.append(mount("tmpfs", "/m", *undone(option)))
    words = line(box)
    assert words[5].startswith("rw")
    assert "sync" not in words[-1].split(",")


@pytest.mark.parametrize("option", SUPERBLOCK)
def test_words_of_the_file_system(box: Box, option: str) -> None:
    box.mounts.append(mount("tmpfs", "/m", option, "size=64k", "mode=700"))
    words = line(box)
    assert {"size=64k", "mode=700"} <= set(words[-1].split(",")), words
    if option != "lazytime":
        assert option in words[-1].split(","), words


@pytest.mark.parametrize("option", ["mand", "iversion"])
def test_words_that_this_file_system_may_refuse(box: Box, option: str) -> None:
    box.mounts.append(mount("tmpfs", "/m", option))
    result = box.run("true")
    assert result.code == 0 or "/m" in result.err


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("option", ["mand", "nomand", "iversion", "lazytime", "nolazytime"])
def test_words_that_are_passed_on(box: Box, option: str) -> None:
    box.mounts.append(mount("tmpfs", "/m", option))
    box.process["args"] = ["true"]
    box.write()
    trace = box.directory / "trace"
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fsconfig", *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=40,
        check=False,
    )
    assert f'FSCONFIG_SET_FLAG, "{option}"' in trace.read_text()


@pytest.mark.parametrize("option", ["shared", "rshared", *PROPAGATION])
def test_propagation(box: Box, option: str) -> None:
    box.mounts.append(mount("tmpfs", "/m", *undone(option)))
    words = line(box)
    fields = words[6 : words.index("-")]
    expected = {"shared": "shared:", "unbindable": "unbindable"}.get(option.removeprefix("r"))
    if option in {"shared", "rshared", "unbindable", "runbindable"}:
        assert any(each.startswith(str(expected)) for each in fields), words
    else:
        assert not any(each.startswith("shared") for each in fields), words


@pytest.mark.parametrize("propagation", ["private", "slave", "shared", "unbindable"])
def test_propagation_of_the_root(box: Box, propagation: str) -> None:
    box.linux["rootfsPropagation"] = propagation
    words = line(box, "/")
    fields = " ".join(words[6 : words.index("-")])
    assert ("shared" in fields) == (propagation == "shared")
    assert ("unbindable" in fields) == (propagation == "unbindable")


def test_a_remount_changes_what_is_there(box: Box) -> None:
    box.mounts.append(mount("tmpfs", "/m", "size=64k"))
    box.mounts.append(mount("tmpfs", "/m", "remount", "size=128k", "ro", "noexec", "sync"))
    words = line(box)
    assert "sync" in words[-1].split(",")
    box.mounts.append(mount("tmpfs", "/m", "remount", "async"))
    words = line(box)
    assert "sync" not in words[-1].split(",")
    assert "size=128k" in words[-1].split(",")
    assert {"ro", "noexec"} <= set(words[5].split(","))


def test_copy_up(box: Box) -> None:
    folder = box.rootfs / "filled"
    folder.mkdir()
    (folder / "file").write_text("text")
    os.chown(folder / "file", 12, 34)
    box.mounts.append(mount("tmpfs", "/filled", "tmpcopyup"))
    assert box.sh("cat /filled/file; stat -c %u:%g /filled/file; touch /filled/new") == [
        "text12:34"
    ]
    assert not (folder / "new").exists()


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_mapped_ids(box: Box, option: str) -> None:
    """What is mounted below is mapped by the second word alone."""
    folder = box.directory / "source"
    (folder / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder / "below"], check=True)
    try:
        for each in (folder, folder / "below"):
            os.chown(each, 10, 10)
        words = ["ridmap", "idmap"] if option == "idmap" else ["ridmap"]
        box.mounts.append(
            {
                **mount("none", "/m", "rbind", *words, source=str(folder)),
                "uidMappings": [{"containerID": 5, "hostID": 1000, "size": 100}],
                "gidMappings": [{"containerID": 7, "hostID": 2000, "size": 100}],
            }
        )
        result = box.run("stat", "-c", "%u:%g", "/m", "/m/below")
    finally:
        subprocess.run(["umount", folder / "below"], check=True)
    if result.code != 0:
        assert "map the ids" in result.err
        pytest.skip("this file system has no mapped mounts")
    assert result.lines == ["1005:2003", "10:10" if option == "idmap" else "1005:2003"]


def test_a_read_only_dev_is_filled_first(box: Box) -> None:
    dev = next(each for each in box.mounts if each["destination"] == "/dev")
    dev["options"].append("ro")
    assert box.sh("ls /dev/pts/ptmx /dev/shm -d; touch /dev/x 2>/dev/null || echo protected") == [
        "/dev/pts/ptmx",
        "/dev/shm",
        "protected",
    ]


def test_a_file_a_relative_source_and_a_missing_target(box: Box) -> None:
    (box.bundle / "plain").write_text("bound\n")
    box.mounts.append(mount("bind", "/new/dir/file", "ro", source="plain"))
    assert box.sh("cat /new/dir/file") == ["bound"]


def test_masked_and_read_only_paths(box: Box) -> None:
    (box.rootfs / "secret").write_text("secret")
    (box.rootfs / "folder").mkdir()
    (box.rootfs / "folder/x").write_text("secret")
    (box.rootfs / "kept").mkdir()
    box.linux["maskedPaths"] = ["/secret", "/folder", "/absent"]
    box.linux["readonlyPaths"] = ["/kept", "/absent"]
    assert box.sh("cat /secret; ls /folder; touch /kept/x 2>/dev/null || echo no") == ["no"]


def test_a_read_only_root(box: Box) -> None:
    box.config["root"]["readonly"] = True
    assert box.sh("touch /x 2>/dev/null || echo no; touch /dev/x && echo yes") == ["no", "yes"]


def test_every_kind_of_namespace_and_names(box: Box) -> None:
    box.config.update(hostname="here", domainname="there")
    box.linux["namespaces"] += [{"type": "cgroup"}, {"type": "time"}]
    box.linux["timeOffsets"] = {
        "boottime": {"secs": 100_000, "nanosecs": 1},
        "monotonic": {"secs": 5, "nanosecs": 70},
    }
    box.linux["sysctl"] = {
        "net.ipv4.ip_forward": "1",
        "kernel.shmmax": "12345",
        "fs.mqueue.msg_max": "11",
    }
    found = box.sh(
        "hostname; cat /proc/sys/kernel/domainname; cut -d. -f1 /proc/uptime; cat /proc/sys/net/ipv4/ip_forward "
        "/proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max; for each in /proc/self/ns/*; do readlink $each; done"
    )
    assert found[:2] == ["here", "there"]
    assert int(found[2]) >= 100_000
    assert found[3:6] == ["1", "12345", "11"]
    own = {os.readlink(each) for each in Path("/proc/self/ns").iterdir()}
    shared = [each for each in found[6:] if each in own]
    assert [each.split(":")[0] for each in shared] == ["user"]
    offsets = box.sh("cat /proc/self/timens_offsets")
    assert [line.split() for line in offsets] == [
        ["monotonic", "5", "70"],
        ["boottime", "100000", "1"],
    ]


def test_joined_namespaces(box: Box) -> None:
    with subprocess.Popen(["unshare", "--net", "--uts", "--ipc", "sleep", "100"]) as holder:
        try:
            unshared = Path(f"/proc/{holder.pid}/ns/net")
            while os.readlink(unshared) == os.readlink("/proc/self/ns/net"):
                pass
            base = f"/proc/{holder.pid}/ns"
            kinds = {"network": "net", "uts": "uts", "ipc": "ipc"}
            del box.config["hostname"]
            box.linux["namespaces"] = [{"type": "mount"}, {"type": "pid"}] + [
                {"type": kind, "path": f"{base}/{name}"} for kind, name in kinds.items()
            ]
            found = box.sh("for each in net uts ipc; do readlink /proc/self/ns/$each; done")
            assert found == [os.readlink(f"{base}/{name}") for name in ("net", "uts", "ipc")]
        finally:
            holder.kill()


def test_network_devices_move_with_their_addresses(box: Box) -> None:
    """In a network namespace of the test: no device of the host is named."""
    box.process["args"] = ["sh", "-c", "cat /proc/net/dev; cat /proc/net/fib_trie"]
    box.linux["netDevices"] = {"moved0": {"name": "inside0"}, "moved1": {}}
    box.write()
    script = (
        "ip link add moved0 type veth peer name moved1 && ip addr add 10.9.8.7/24 dev moved0 && "
        'ip link set moved0 up && ip link set moved1 up && exec "$@"'
    )
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", script, "sh", *argv],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done
    assert "inside0:" in done.stdout
    assert "moved1:" in done.stdout
    assert "moved0:" not in done.stdout
    assert "10.9.8.7" in done.stdout


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ({"no-such-device": {}}, "no such device"),
        ({"a/b": {}}, "not the name"),
        ({"lo": {"name": "way-too-long-for-linux"}}, "not the name"),
    ],
)
def test_network_devices_that_cannot_move(box: Box, devices: dict[str, object], words: str) -> None:
    box.linux["netDevices"] = devices
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert words in result.err
    assert not box.root.exists() or list(box.root.iterdir()) == []


@pytest.mark.parametrize("user_namespace", [False, True])
def test_devices(box: Box, user_namespace: bool) -> None:
    devices = [
        {
            "path": "/dev/made",
            "type": "c",
            "major": 1,
            "minor": 5,
            "fileMode": 0o640,
            "uid": 3,
            "gid": 4,
        },
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o600},
        {"path": "/dev/block", "type": "b", "major": 7, "minor": 0},
    ]
    box.linux["devices"] = devices
    if user_namespace:
        ids = [{"containerID": 0, "hostID": 100_000, "size": 1000}]
        box.linux["namespaces"].append({"type": "user"})
        box.linux.update(uidMappings=ids, gidMappings=ids)
        subprocess.run(["chown", "-hR", "100000:100000", box.rootfs], check=True)
        for parent in box.directory.parents:
            if str(parent).startswith("/tmp/"):
                parent.chmod(0o755)
    found = box.sh("stat -c '%F %a %u:%g %t,%T' /dev/made /dev/pipe /dev/block")
    assert found == [
        "character special file 640 3:4 1,5",
        "fifo 600 0:0 0,0",
        "block special file 666 0:0 7,0",
    ]
    names = box.sh("ls -d /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx /dev/fd /dev/stdin "
                   "/dev/stdout /dev/stderr")  # fmt: skip
    assert len(names) == 11


def test_default_devices_and_links(box: Box) -> None:
    names = "/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty"
    assert box.sh(f"stat -c '%n %F %t:%T %a %u:%g' {names}") == [
        f"/dev/{name} character special file {numbers} 666 0:0"
        for name, numbers in (
            ("null", "1:3"),
            ("zero", "1:5"),
            ("full", "1:7"),
            ("random", "1:8"),
            ("urandom", "1:9"),
            ("tty", "5:0"),
        )
    ]
    links = box.sh("for each in ptmx fd stdin stdout stderr; do readlink /dev/$each; done")
    assert links == ["pts/ptmx", "/proc/self/fd", *(f"/proc/self/fd/{each}" for each in range(3))]


def test_device_rules_in_the_kernel(box: Box) -> None:
    if not Path("/sys/fs/cgroup/devices").exists():
        pytest.skip("reads the list of cgroup v1; tests/cgroup2 has the programs of v2")
    box.linux["resources"]["devices"] += [
        {"allow": True, "type": "b", "major": 7, "minor": 3, "access": "rm"},
        {"allow": True, "type": "c", "major": 10, "access": "w"},
        {"allow": True, "type": "c", "major": 4, "minor": 64, "access": "rw"},
        {"allow": False, "type": "c", "major": 4, "minor": 64, "access": "w"},
    ]
    box.create("true")
    found = (box.cgroup("devices") / "devices.list").read_text().splitlines()
    assert {"b 7:3 rm", "c 10:* w", "c 4:64 r", "c 1:3 rwm"} <= set(found)
    assert not [line for line in found if line.startswith("a ")]


def test_device_rules(box: Box) -> None:
    box.linux["devices"] = [{"path": "/dev/mem0", "type": "c", "major": 1, "minor": 1}]
    box.process["capabilities"]["bounding"].append("CAP_SYS_RAWIO")
    assert box.sh(
        "head -c 1 /dev/mem0 2>&1 | grep -o 'not permitted'; head -c 1 /dev/zero | wc -c"
    ) == [
        "not permitted",
        "1",
    ]
