"""K4: nobody inside looks into the runtime's own process while it turns into one of the container's: behind its /proc/PID/root
and /proc/PID/fd is the host (CVE-2016-9962)."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from tests.runtime.conftest import PARENT, Box

# Only one who may trace a process can read where its program is.
WATCH = "while :; do for each in /proc/[0-9]*; do readlink $each/exe; done >>/tmp/seen; done"
MAPPINGS = [{"containerID": 0, "hostID": 100_000, "size": 65_536}]


@pytest.fixture
def other(box: Box) -> Iterator[Box]:
    """Another container of the same image."""
    directory = box.directory / "other"
    (directory / "bundle").mkdir(parents=True)
    made = Box(directory, f"{box.name}-other", copy.deepcopy(box.config))
    made.linux["cgroupsPath"] = f"/{PARENT}/{made.name}"
    yield made
    made.call("delete", "--force", made.name)


def own_users(box: Box) -> None:
    box.linux["namespaces"].append({"type": "user"})
    box.linux.update(uidMappings=MAPPINGS, gidMappings=MAPPINGS)


def join(box: Box, pid: int, *kinds: str) -> None:
    """Have a container share namespaces of a process."""
    for each in box.linux["namespaces"]:
        if each["type"] in kinds:
            each["path"] = f"/proc/{pid}/ns/{each['type']}"


def slowed(box: Box, call: str, *words: str) -> None:
    """A verb, under strace(1), which holds the container's process for a while at a system call, and must see it there."""
    trace = box.directory / "trace"
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:delay_enter=800000:when=1"]
    argv = ["strace", "-f", "-qq", "-o", str(trace), *inject, *box.argv(*words)]
    null = subprocess.DEVNULL
    done = subprocess.run(argv, stdin=null, stdout=null, stderr=subprocess.PIPE, timeout=40)
    assert done.returncode == 0, done
    assert "(DELAYED)" in trace.read_text()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    ("watcher", "victim", "call"),
    [
        # With the capabilities of the container, just before its program is executed.
        ("host", "exec", "execve"),
        # In the container's user namespace, whose root may trace what is in it, and not yet its user.
        ("users", "exec", "setresgid"),
        ("users", "same users", "setresgid"),
        # In a user namespace whose owner is the watcher, too.
        ("host", "own users", "setresgid"),
    ],
)
def test_cve_2016_9962_nobody_inside_may_trace_the_runtime(
    box: Box, other: Box, watcher: str, victim: str, call: str
) -> None:
    if watcher == "users":
        own_users(box)
        for names in box.process["capabilities"].values():
            names.append("CAP_SYS_PTRACE")
        (box.rootfs / "tmp").chmod(0o777)
    box.start("sh", "-c", WATCH)
    if victim == "exec":
        slowed(box, call, "exec", box.name, "sh", "-c", "true")
    else:
        other.config["root"]["path"] = str(box.rootfs)
        if victim == "own users":
            own_users(other)
            # One of a pid namespace that is not theirs they may not mount.
            other.mounts[:] = [each for each in other.mounts if each["destination"] != "/proc"]
        else:
            other.linux.update(uidMappings=[], gidMappings=[])
            other.linux["namespaces"].append({"type": "user"})
            join(other, box.pid, "user")
        join(other, box.pid, "pid")
        other.process["args"] = ["true"]
        other.write()
        slowed(other, call, "run", "--bundle", str(other.bundle), other.name)
    box.ok("kill", box.name, "KILL")
    box.wait()
    seen = set((box.rootfs / "tmp/seen").read_text().splitlines())
    assert seen == {"/bin/busybox"}


def test_cve_2016_9962_nor_while_it_waits_for_its_start(box: Box, other: Box) -> None:
    """It is the runtime until then, maybe for days."""
    box.start("sleep", "1000")
    join(other, box.pid, "pid")
    other.config["root"]["path"] = str(box.rootfs)
    other.create("true")
    script = "for each in /proc/[0-9]*; do readlink $each/exe || echo $each; done"
    said = box.exec("sh", "-c", script)
    assert "/bin/busybox" in said.lines
    assert not [line for line in said.lines if "runtime" in line], said
    # That it is there can be seen.
    assert [line for line in said.lines if line.startswith("/proc/")], said
