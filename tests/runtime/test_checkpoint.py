"""`checkpoint` and `restore`: what CRIU is asked and how its answers are taken, against a stand-in that speaks its RPC, and
whole round trips where a CRIU is that works."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import conftest as runtime
from tests.runtime.conftest import Box, Result, alive, mount

PR_SET_CHILD_SUBREAPER = 36
COUNTER = (
    "x=0; while :; do x=$((x+1)); echo $x >/tmp/next; mv /tmp/next /tmp/count; sleep 0.02; done"
)
Pairs = list[list[Any]]


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    """Restored processes are ours when the runtime has ended, as they are a shim's."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class StandIn:
    """The stand-in's program, its orders and what it was asked."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.program = box.directory / "criu"
        source = (Path(__file__).parent / "programs/criu.py").read_text()
        self.program.write_text(f"#!{sys.executable} -IS\n{source}")
        self.program.chmod(0o755)
        self.plan = box.directory / "plan.json"
        self.images = box.directory / "images"
        self.order()

    def order(self, **plan: Any) -> None:
        self.plan.write_text(json.dumps(plan))

    def call(self, verb: str, *words: str, **options: Any) -> Result:
        argv = ["--criu", str(self.program), verb, "--image-path", str(self.images), *words]
        if verb == "restore":
            argv += ["--bundle", str(self.box.bundle)]
        return self.box.call(
            *argv, self.box.name, env={**os.environ, "STAND_IN": str(self.plan)}, **options
        )

    def restore(self, *words: str) -> Result:
        """Detached: a pipe would stay open with the container."""
        argv = ["--criu", str(self.program), "restore", "-d", "--image-path", str(self.images)]
        argv += ["--bundle", str(self.box.bundle), *words, self.box.name]
        return detached(self.box, argv, {**os.environ, "STAND_IN": str(self.plan)})

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.plan.read_text())
        return found

    @property
    def kinds(self) -> list[int]:
        return [dict(request)[1] for request in self.told["requests"]]

    @property
    def options(self) -> Pairs:
        """Those of the dump or the restore."""
        (options,) = (
            dict(request)[2] for request in self.told["requests"] if dict(request)[1] in (1, 2, 4)
        )
        found: Pairs = options
        return found


def detached(box: Box, argv: list[str], environment: dict[str, str] | None = None) -> Result:
    """CRIU cannot save files of the host as streams; what went wrong is in the log, too."""
    log = box.directory / "log.json"
    log.unlink(missing_ok=True)
    null = subprocess.DEVNULL
    done = subprocess.run(
        box.argv(*argv), stdin=null, stdout=null, stderr=null, env=environment, timeout=60
    )
    lines = log.read_text().splitlines() if log.exists() else []
    said = [json.loads(line) for line in lines]
    errors = [line["msg"] for line in said if line["level"] == "error"]
    return Result(done.returncode, "", "".join(f"{error}\n" for error in errors))


@pytest.fixture
def stand_in(box: Box) -> StandIn:
    return StandIn(box)


def parts(options: Pairs, field: int) -> list[dict[int, Any]]:
    return [dict(value) for each, value in options if each == field]


# What is asked.


def test_a_dump_ends_the_container(box: Box, stand_in: StandIn) -> None:
    volume = box.directory / "volume"
    volume.mkdir()
    (box.rootfs / "link").symlink_to("/tmp")
    box.mounts.append(mount("bind", "/link/volume", "bind", source=str(volume)))
    box.config["hooks"] = {
        "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", f"touch {box.directory}/stopped"]}]
    }
    box.start("sleep", "1000")
    pid, group = box.pid, box.cgroup("freezer")
    stand_in.order(notices=["pre-dump", "post-dump"])
    work = box.directory / "work"
    result = stand_in.call("checkpoint", "--work-path", str(work), "--file-locks", "--ext-unix-sk")
    assert (result.code, result.err) == (0, "")
    assert not alive(pid)
    assert "does not exist" in box.call("state", box.name).err
    assert not group.exists()
    assert (box.directory / "stopped").exists()
    assert stand_in.told["directories"] == [str(stand_in.images), str(work)]
    assert stand_in.kinds == [10, 1, 6, 6]
    asked = dict(map(tuple, stand_in.options))
    assert asked[2] == pid
    assert (asked[3], asked[4], asked[5], asked[7], asked[8]) == (0, 1, 0, 0, 1)
    assert (asked[10], asked[13], asked[44]) == ("dump.log", str(box.rootfs), str(group))
    assert (asked[34], asked[38], asked[51]) == (6, 0x40000000, "/etc/criu/runc.conf")
    outside = parts(stand_in.options, 23)
    # By its real place; hierarchies are binds unless the container has a cgroup namespace.
    assert {1: "/tmp/volume", 2: "/tmp/volume"} in outside
    assert {1: "/sys/fs/cgroup/pids", 2: "/sys/fs/cgroup/pids"} in outside
    streams = json.loads((stand_in.images / "descriptors.json").read_text())
    assert streams == ["/dev/null", *[str(box.directory / "out")] * 2]
    assert stand_in.images.stat().st_mode & 0o777 == 0o700


def test_every_flag_of_a_dump_is_passed_on(box: Box, stand_in: StandIn) -> None:
    box.linux["namespaces"] = [
        {"type": "network", "path": "/proc/self/ns/net"} if each["type"] == "network" else each
        for each in box.linux["namespaces"]
    ]
    box.config["annotations"] = {"org.criu.config": "/some/criu.conf"}
    box.start("sleep", "1000")
    parent = box.directory / "parent"
    parent.mkdir()
    stand_in.order(features=[1, 2], notices=["status-ready"])
    reading, writing = os.pipe()
    result = stand_in.call(
        "checkpoint", "--parent-path", "../parent", "--leave-running", "--tcp-established",
        "--tcp-skip-in-flight", "--link-remap", "--shell-job", "--lazy-pages", "--auto-dedup",
        "--page-server", "[::1]:99", "--status-fd", str(writing), "--network-lock", "skip",
        "--manage-cgroups-mode", "strict", "--empty-ns", "network", pass_fds=[writing],
    )  # fmt: skip
    os.close(writing)
    assert (result.code, result.err) == (0, "")
    assert os.read(reading, 9) == b"\0"
    os.close(reading)
    asked = dict(map(tuple, stand_in.options))
    for field in (3, 5, 7, 15, 16, 18, 46, 48):
        assert asked[field] == 1, field
    assert (asked[14], asked[34], asked[51], asked[64]) == ("../parent", 5, "/some/criu.conf", 3)
    assert parts(stand_in.options, 11) == [{1: "::1", 2: 99}]
    inode = os.stat("/proc/self/ns/net").st_ino
    assert asked[37] == f"net[{inode}]:extRootNetNS"
    assert box.state()["status"] == "running"


def test_a_pre_dump_leaves_the_container_running(box: Box, stand_in: StandIn) -> None:
    box.start("sleep", "1000")
    stand_in.order(features=[1])
    result = stand_in.call("checkpoint", "--pre-dump")
    assert (result.code, result.err) == (0, "")
    assert stand_in.kinds == [10, 9, 4]
    assert box.state()["status"] == "running"


def test_a_paused_container_can_be_saved(box: Box, stand_in: StandIn) -> None:
    box.start("sleep", "1000")
    box.ok("pause", box.name)
    assert stand_in.call("checkpoint", "--leave-running").code == 0
    assert box.state()["status"] == "paused"


# What is refused.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--manage-cgroups-mode", "odd"], '--manage-cgroups-mode: "odd" is not soft, full'),
        (["--network-lock", "odd"], '--network-lock: "odd" is not iptables'),
        (["--empty-ns", "pid"], '--empty-ns: namespace "pid" is not supported'),
        (["--page-server", "host"], '--page-server: "host" is not ADDRESS:PORT'),
        (["--page-server", "host:0"], '--page-server: "host:0" is not ADDRESS:PORT'),
        (["--status-fd", "99"], "invalid --status-fd argument 99: bad file descriptor"),
        (["--status-fd", "0"], "invalid --status-fd argument 0"),
        (["--parent-path", "/tmp"], "--parent-path /tmp: must be relative"),
        (["--parent-path", "none"], "--parent-path none: no such file"),
        (["--pre-dump"], "criu is missing features: this kernel does not track changes of memory"),
        (["--lazy-pages"], "--lazy-pages: criu, or this kernel, cannot load memory on demand"),
    ],
)
def test_a_dump_that_cannot_be_made_is_refused_by_name(
    box: Box, stand_in: StandIn, words: list[str], message: str
) -> None:
    box.start("sleep", "1000")
    result = stand_in.call("checkpoint", *words)
    assert result.code == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert box.state()["status"] == "running"
    assert not {1, 4} & set(stand_in.kinds if "requests" in stand_in.told else [])


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_an_old_criu_is_refused(box: Box, stand_in: StandIn, verb: str) -> None:
    stand_in.order(version=[3, 14])
    stand_in.images.mkdir()
    (stand_in.images / "descriptors.json").write_text("[]")
    box.write()
    if verb == "checkpoint":
        box.start("sleep", "1000")
    result = stand_in.call(verb)
    assert f"{verb}: criu is too old: version 31400 must be 31500 or higher" in result.err
    assert ("does not exist" in box.call("state", box.name).err) == (verb == "restore")


@pytest.mark.parametrize("state", ["created", "stopped"])
def test_only_what_runs_can_be_saved(box: Box, stand_in: StandIn, state: str) -> None:
    box.create("true")
    if state == "stopped":
        box.ok("start", box.name)
        box.wait()
    result = stand_in.call("checkpoint")
    assert f"container cannot be checkpointed in {state} state" in result.err
    assert box.kind() == "not_running"


def test_mounts_with_id_mappings_are_refused(box: Box, stand_in: StandIn) -> None:
    """CRIU would mount them again without."""
    volume = box.directory / "volume"
    volume.mkdir()
    ids = [{"containerID": 0, "hostID": 1000, "size": 10}]
    box.mounts.append(
        mount("bind", "/mnt", "bind", source=str(volume)) | {"uidMappings": ids, "gidMappings": ids}
    )
    box.start("sleep", "1000")
    assert "/mnt has id mappings, which criu does not restore" in stand_in.call("checkpoint").err
    assert box.state()["status"] == "running"
    box.ok("delete", "--force", box.name)
    stand_in.images.mkdir()
    assert "/mnt has id mappings" in stand_in.call("restore").err


# What CRIU answers.


def test_a_failed_dump_is_explained_by_its_log(box: Box, stand_in: StandIn) -> None:
    box.start("sleep", "1000")
    log = """(00.01) Error (criu/tun.c:85): tun: Unable to create tun
(00.02) Error (criu/files-reg.c:17): Can't lookup mount=27
(00.03) Error (criu/cr-dump.c:16): Dump files failed
(00.04) Error (criu/cr-dump.c:21): Dumping FAILED."""
    stand_in.order(success=False, log=log)
    result = stand_in.call("checkpoint")
    assert result.code == 1
    assert result.err == (
        "checkpoint: criu failed: type DUMP errno 17: (criu/files-reg.c:17): Can't lookup mount=27; "
        "(criu/cr-dump.c:16): Dump files failed "
        f"(all of it is in {stand_in.images}/dump.log)\n"
    )
    assert box.state()["status"] == "running"


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_a_criu_that_dies_leaves_things_as_they_were(
    box: Box, stand_in: StandIn, verb: str
) -> None:
    stand_in.images.mkdir()
    (stand_in.images / "descriptors.json").write_text("[]")
    box.write()
    if verb == "checkpoint":
        box.start("sleep", "1000")
    stand_in.order(vanish=True)
    assert f"{verb}: criu ended without an answer" in stand_in.call(verb).err
    if verb == "checkpoint":
        assert box.state()["status"] == "running"
    else:
        assert_nothing_left(box)


def assert_nothing_left(box: Box) -> None:
    assert "does not exist" in box.call("state", box.name).err
    assert not (box.root / box.name).exists()
    assert not box.cgroup("freezer").exists()
    assert str(box.directory) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def images(box: Box, stand_in: StandIn) -> Path:
    """Images to restore from."""
    stand_in.images.mkdir()
    streams = json.dumps(["/dev/null", "pipe:[111]", "pipe:[222]"])
    (stand_in.images / "descriptors.json").write_text(streams)
    box.write()
    return stand_in.images


RESTORED = ["setup-namespaces", "post-restore", "post-resume"]


def test_a_restore(box: Box, stand_in: StandIn, images: Path) -> None:
    volume = box.directory / "volume"
    volume.mkdir()
    box.mounts.extend(
        [
            mount("bind", "/srv/volume", "bind", source=str(volume)),
            mount("bind", "/srv/volume/inner", "bind", source=str(volume)),
            mount("tmpfs", "/scratch"),
            mount("bind", "/scratch/volume", "bind", source=str(volume)),
        ]
    )
    box.linux["resources"].update({"pids": {"limit": 44}})
    hook = f"cat >{box.directory}/hook"
    box.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", hook]}],
    }
    box.write()
    stand_in.order(notices=RESTORED)
    pid_file = box.directory / "pid"
    result = stand_in.restore(
        "--pid-file", str(pid_file), "--tcp-close", "--lsm-profile", "apparmor:x"
    )
    assert (result.code, result.err) == (0, "")
    state = box.state()
    assert state["status"] == "running"
    assert int(pid_file.read_text()) == state["pid"]
    hooked = json.loads((box.directory / "hook").read_text())
    assert (hooked["pid"], hooked["status"]) == (state["pid"], "creating")
    asked = dict(map(tuple, stand_in.options))
    assert (asked[6], asked[10], asked[13]) == (1, "restore.log", str(box.rootfs))
    assert (asked[26], asked[52], asked[53]) == (1, 1, "apparmor:x")
    assert parts(stand_in.options, 27) == [{1: "pipe:[111]", 2: 1}, {1: "pipe:[222]", 2: 2}]
    outside = {each[1]: each[2] for each in parts(stand_in.options, 23)}
    for place in ("/srv/volume", "/srv/volume/inner", "/scratch/volume"):
        assert outside[place] == str(volume)
    assert outside["/sys/fs/cgroup/pids"] == str(box.cgroup("pids"))
    assert outside["/dev/null"] == "/dev/null"
    # A place for each mount, where it will be looked for.
    assert (box.rootfs / "srv/volume").is_dir()
    assert (volume / "inner").is_dir()
    # CRIU is where the container will be, with its limits, and so is what it restores.
    group = str(box.linux["cgroupsPath"])
    assert f":pids:{group}\n" in stand_in.told["cgroup"]
    assert {1: "pids", 2: group} in parts(stand_in.options, 25)
    assert (box.cgroup("pids") / "pids.max").read_text() == "44\n"
    # Its root is a mount there, with nothing on it, and nowhere else.
    on_root = [line.split()[4] for line in stand_in.told["mounts"].splitlines()]
    assert [each for each in on_root if each.startswith(str(box.rootfs))] == [str(box.rootfs)]
    assert str(box.directory) not in Path("/proc/self/mountinfo").read_text()
    box.ok("kill", box.name, "KILL")
    box.wait()
    box.ok("delete", box.name)
    assert_nothing_left(box)


@pytest.fixture(params=["volume", "device"])
def confused(box: Box, request: pytest.FixtureRequest) -> str:
    """A container with a mount that a link of the image leads to the place of another, or of a device."""
    volumes = [box.directory / "first", box.directory / "second"]
    for each in volumes:
        each.mkdir() if request.param == "volume" else each.touch()
    place = "/srv/first" if request.param == "volume" else "/dev/zero"
    (box.rootfs / "link").symlink_to(place)
    if request.param == "volume":
        box.mounts.append(mount("bind", place, "bind", "ro", source=str(volumes[0])))
    box.mounts.append(mount("bind", "/link", "bind", source=str(volumes[1])))
    box.write()
    where = "/link is where another mount is: /srv/first"
    return where if request.param == "volume" else "one leads to /dev/zero, which is a device"


def test_cve_2026_115520_cve_2026_119101_mounts_that_a_link_joins_are_not_saved(
    box: Box, stand_in: StandIn, confused: str
) -> None:
    """CRIU knows mounts by their places: a restore could mount one, writable, that was another, read-only."""
    box.start("sleep", "1000")
    result = stand_in.call("checkpoint")
    assert (result.code, result.err) == (1, f"checkpoint: mounts: {confused}\n")
    assert box.state()["status"] == "running"
    box.ok("exec", box.name, "true")


def test_cve_2026_115520_cve_2026_119101_nor_restored(
    box: Box, stand_in: StandIn, images: Path, confused: str
) -> None:
    if "device" in confused:
        # Where it is not in a tmpfs, that comes back with all that is in it.
        box.mounts[:] = [each for each in box.mounts if not each["destination"].startswith("/dev")]
        box.write()
    stand_in.order(notices=RESTORED)
    result = stand_in.restore()
    assert (result.code, result.err) == (1, f"restore: mounts: {confused}\n")
    assert_nothing_left(box)


def test_a_device_may_be_mounted_from_elsewhere(box: Box, stand_in: StandIn, images: Path) -> None:
    """Where the configuration says so itself, that is what its place stands for."""
    box.mounts[:] = [each for each in box.mounts if not each["destination"].startswith("/dev")]
    box.mounts.append(mount("bind", "/dev/zero", "bind", source="/dev/null"))
    box.write()
    stand_in.order(notices=RESTORED)
    assert stand_in.restore().code == 0
    found = [each for each in parts(stand_in.options, 23) if each[1] == "/dev/zero"]
    assert found == [{1: "/dev/zero", 2: "/dev/null"}]


def test_a_read_only_root_has_a_folder_for_the_change_of_root(
    box: Box, stand_in: StandIn, images: Path
) -> None:
    """CRIU uses /tmp, or makes a folder; crun's tests have neither."""
    box.config["root"]["readonly"] = True
    (box.rootfs / "tmp").rmdir()
    box.write()
    stand_in.order(notices=RESTORED)
    assert stand_in.restore().code == 0
    assert (box.rootfs / "tmp").is_dir()


def test_a_restore_in_the_foreground(box: Box, stand_in: StandIn, images: Path) -> None:
    stand_in.order(notices=RESTORED, script="echo out; exit 7")
    result = stand_in.call("restore")
    assert (result.code, result.out) == (7, "out\n")
    assert_nothing_left(box)


def test_a_terminal_is_handed_over(box: Box, stand_in: StandIn, images: Path) -> None:
    box.process["terminal"] = True
    box.write()
    path = box.directory / "console"
    stand_in.order(notices=["orphan-pts-master", *RESTORED])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert stand_in.restore("--console-socket", str(path)).code == 0
        connection, _ = listener.accept()
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    assert os.isatty(descriptors[0])
    os.close(descriptors[0])


def test_namespaces_that_exist_are_joined(box: Box, stand_in: StandIn, images: Path) -> None:
    paths = {"network": "net", "ipc": "ipc"}
    box.linux["namespaces"] = [
        each | {"path": f"/proc/self/ns/{paths[each['type']]}"} if each["type"] in paths else each
        for each in box.linux["namespaces"]
    ]
    box.write()
    stand_in.order(notices=RESTORED)
    assert stand_in.restore().code == 0
    assert {1: "ipc", 2: "/proc/self/ns/ipc"} in parts(stand_in.options, 39)
    (network,) = [each for each in parts(stand_in.options, 27) if each[1] == "extRootNetNS"]
    assert network[2] > 2


@pytest.mark.parametrize("what", ["criu", "hook", "pid file", "no process"])
def test_after_a_failed_restore_nothing_is_left(
    box: Box, stand_in: StandIn, images: Path, what: str
) -> None:
    words: list[str] = []
    notices = RESTORED
    if what == "hook":
        box.config["hooks"] = {"prestart": [{"path": "/bin/false"}]}
        box.write()
    if what == "pid file":
        words = ["--pid-file", "/no/such/folder/pid"]
    if what == "no process":
        notices = []
    stand_in.order(notices=notices, success=what != "criu")
    result = stand_in.restore(*words)
    assert result.code == 1
    expected = {
        "criu": "restore: criu failed: type RESTORE errno 17",
        "hook": "restore: error running hook #0 of prestart (/bin/false)",
        "pid file": "restore: write pid file /no/such/folder/pid: no such file or directory",
        "no process": "restore: criu has restored no process",
    }
    assert expected[what] in result.err
    assert len(result.err.splitlines()) == 1
    if what in ("hook", "pid file"):
        # CRIU is told, and undoes its part.
        assert stand_in.told["requests"][-1] == [[1, 6], [3, 0]]
    assert_nothing_left(box)
    reap()


@pytest.mark.parametrize("notice", ["setup-namespaces", "post-restore"])
def test_a_pid_that_is_none_is_not_killed(
    box: Box, stand_in: StandIn, images: Path, notice: str
) -> None:
    """0 would be everybody in the caller's process group, -1 everybody on the host."""
    stand_in.order(notices=[notice], pid=0)
    result = stand_in.call("restore", "-d", start_new_session=True)
    assert (result.code, result.err) == (
        1,
        f"restore: criu has named no process: {notice} of pid 0\n",
    )
    assert_nothing_left(box)
    reap()


def reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (shutil.rmtree, "--image-path"),
        (lambda images: (images / "descriptors.json").unlink(), "descriptors.json: no such file"),
        (
            lambda images: (images / "descriptors.json").write_text("{}"),
            "descriptors.json: invalid type: map",
        ),
    ],
)
def test_images_that_are_none_are_refused(
    box: Box, stand_in: StandIn, images: Path, prepare: Callable[[Path], object], message: str
) -> None:
    prepare(images)
    result = stand_in.restore()
    assert result.code == 1
    assert message in result.err
    assert_nothing_left(box)


def test_no_pivot_is_refused(box: Box, stand_in: StandIn, images: Path) -> None:
    assert (
        "--no-pivot: criu changes the root by pivot_root alone"
        in stand_in.restore("--no-pivot").err
    )


def test_an_id_that_exists_is_refused(box: Box, stand_in: StandIn, images: Path) -> None:
    box.start("sleep", "1000")
    pid = box.pid
    assert "already exists" in stand_in.restore().err
    assert box.pid == pid


def test_a_restore_that_is_killed_is_deleted(box: Box, stand_in: StandIn, images: Path) -> None:
    """Killed before it has noted the process, the runtime leaves what `delete --force` finds."""
    box.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"]}]
    }
    box.write()
    stand_in.order(notices=RESTORED)
    assert stand_in.restore().code == -signal.SIGKILL
    box.ok("delete", "--force", box.name)
    end = time.monotonic() + 10
    while box.cgroup("freezer").exists() and time.monotonic() < end:
        reap()
    assert_nothing_left(box)


def test_the_version_says_whether_there_is_a_criu(stand_in: StandIn) -> None:
    box = stand_in.box
    assert box.ok("--criu", str(stand_in.program), "--version").lines[-1].endswith(" +CRIU")
    assert "CRIU" not in box.ok("--criu", "/no/such/criu", "--version").out


# The real one.


def working_criu() -> bool:
    """Whether there is a CRIU that can do its work on this kernel."""
    if os.geteuid() != 0 or shutil.which("criu") is None:
        return False
    return subprocess.run(["criu", "check"], capture_output=True, timeout=30).returncode == 0


@pytest.fixture(scope="module")
def _real() -> None:
    if not working_criu():
        pytest.skip("no criu that works on this kernel")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """CRIU has the root of a user namespace read the images and open the volumes; pytest's folder is closed to them."""
    with tempfile.TemporaryDirectory(prefix="dockyard-checkpoint-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def start_detached(box: Box, *args: str) -> None:
    box.process["args"] = list(args)
    box.write()
    assert detached(box, ["create", "--bundle", str(box.bundle), box.name]).code == 0
    box.ok("start", box.name)


def count(box: Box) -> int:
    return int((box.rootfs / "tmp/count").read_text())


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def mounts_of(box: Box) -> list[tuple[str, ...]]:
    lines = Path(f"/proc/{box.pid}/mountinfo").read_text().splitlines()
    return sorted((*line.split()[3:6], *line.split(" - ")[1].split()[::2]) for line in lines)


def identity_of(box: Box) -> dict[str, str]:
    lines = Path(f"/proc/{box.pid}/status").read_text().splitlines()
    kept = ("Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp")
    return dict(line.split(":", 1) for line in lines if line.startswith(kept))


@pytest.mark.parametrize("kind", ["plain", "cgroup", "user"])
@pytest.mark.usefixtures("_real")
def test_a_container_goes_on_where_it_was(box: Box, kind: str, open_folder: Path) -> None:
    images, volume = open_folder / "images", open_folder / "volume"
    images.mkdir(mode=0o755)
    volume.mkdir()
    box.mounts.extend(
        [
            mount("bind", "/volume", "bind", "ro", "nosuid", source=str(volume)),
            mount("tmpfs", "/scratch", "size=1m"),
        ]
    )
    box.linux["resources"].update({"pids": {"limit": 55}})
    box.process["noNewPrivileges"] = True
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
    }
    if kind == "cgroup":
        box.linux["namespaces"].append({"type": "cgroup"})
    if kind == "user":
        box.linux["namespaces"].append({"type": "user"})
        ids = [{"containerID": 0, "hostID": 200_000, "size": 65_536}]
        box.linux.update({"uidMappings": ids, "gidMappings": ids})
        subprocess.run(["chown", "-R", "200000:200000", box.rootfs], check=True)
    start_detached(box, "sh", "-c", f"echo kept >/scratch/file; {COUNTER}")
    wait_for(lambda: (box.rootfs / "tmp/count").exists() and count(box) > 3)
    before, identity = mounts_of(box), identity_of(box)
    for _ in range(2):
        result = box.call("checkpoint", "--image-path", str(images), box.name)
        assert result.code == 0, result
        assert_nothing_left(box)
        reached = count(box)
        result = detached(
            box,
            ["restore", "-d", "--image-path", str(images), "-b", str(box.bundle), box.name],
        )
        assert result.code == 0, result
        assert box.state()["status"] == "running"
        wait_for(lambda at=reached: count(box) > at)  # type: ignore[misc]
        assert count(box) < reached + 500
        assert mounts_of(box) == before
        assert identity_of(box) == identity
        assert box.exec("cat", "/scratch/file").out == "kept\n"
        assert "Read-only" in box.exec("touch", "/volume/x").err
        assert box.exec("mkdir", "/tmp/x").code != 0
        assert (box.cgroup("pids") / "pids.max").read_text() == "55\n"
        assert str(box.directory) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.usefixtures("_real")
def test_streams_are_joined_again(box: Box) -> None:
    """A container that reads and writes pipes does so with the pipes of whoever restores it."""
    images = box.directory / "images"
    box.process["args"] = ["sh", "-c", "while read x; do echo got $x; done"]
    box.write()
    for turn in ("create", "restore"):
        theirs, ours = os.pipe()
        back, there = os.pipe()
        words = ["create"] if turn == "create" else ["restore", "-d", "--image-path", str(images)]
        done = subprocess.run(
            box.argv(*words, "--bundle", str(box.bundle), box.name),
            stdin=theirs,
            stdout=there,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )
        os.close(theirs)
        os.close(there)
        assert done.returncode == 0, (box.directory / "log.json").read_text()
        if turn == "create":
            box.ok("start", box.name)
        os.write(ours, turn.encode() + b"\n")
        assert os.read(back, 99) == f"got {turn}\n".encode()
        if turn == "create":
            assert box.call("checkpoint", "--image-path", str(images), box.name).code == 0
        os.close(ours)
        os.close(back)


@pytest.mark.parametrize("saver", ["runc", "ours"])
@pytest.mark.usefixtures("_real")
def test_images_are_runcs(box: Box, saver: str) -> None:
    """What one of them saves, the other restores."""
    if shutil.which("runc") is None:
        pytest.skip("needs runc")
    images, own = box.directory / "images", runtime.PROGRAM
    volume = box.directory / "volume"
    volume.mkdir()
    box.mounts.append(mount("bind", "/volume", "bind", source=str(volume)))
    programs = ["runc", own] if saver == "runc" else [own, "runc"]

    def call(program: str, *words: str) -> None:
        log = box.directory / "log"
        root = str(box.directory / Path(program).name)
        argv = [program, "--root", root, "--log", str(log), *words]
        null = subprocess.DEVNULL
        done = subprocess.run(argv, stdin=null, stdout=null, stderr=null, timeout=60)
        assert done.returncode == 0, log.read_text()

    box.process["args"] = ["sh", "-c", COUNTER]
    box.write()
    bundle = ["--bundle", str(box.bundle), box.name]
    try:
        call(programs[0], "run", "-d", *bundle)
        wait_for(lambda: (box.rootfs / "tmp/count").exists() and count(box) > 3)
        call(programs[0], "checkpoint", "--image-path", str(images), box.name)
        reached = count(box)
        call(programs[1], "restore", "-d", "--image-path", str(images), *bundle)
        wait_for(lambda: count(box) > reached)
    finally:
        for program in programs:
            with contextlib.suppress(AssertionError):
                call(program, "delete", "--force", box.name)
        reap()


@pytest.mark.usefixtures("_real")
def test_a_terminal_comes_back(box: Box) -> None:
    box.process["terminal"] = True
    images = box.directory / "images"
    box.process["args"] = ["sh", "-c", "while read x; do echo got $x; done"]
    box.write()
    path = box.directory / "console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        for turn in ("create", "restore"):
            words = (
                ["create"] if turn == "create" else ["restore", "-d", "--image-path", str(images)]
            )
            argv = [*words, "--console-socket", str(path), "--bundle", str(box.bundle), box.name]
            result = detached(box, argv)
            assert result.code == 0, result
            connection, _ = listener.accept()
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
            connection.close()
            if turn == "create":
                box.ok("start", box.name)
            master = descriptors[0]
            os.write(master, turn.encode() + b"\n")
            said = b""
            while f"got {turn}".encode() not in said:
                said += os.read(master, 4096)
            if turn == "create":
                assert box.call("checkpoint", "--image-path", str(images), box.name).code == 0
            os.close(master)
