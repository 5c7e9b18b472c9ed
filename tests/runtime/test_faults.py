"""A failure at any step leaves nothing: every system call that makes or changes something fails once, at each of its turns.

strace(1) makes them fail, in the runtime and in the process that becomes the container's or joins it. What a failed verb
leaves must be a whole container still, on which the other verbs work.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tests.runtime.conftest import Box, alive

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

# Those that undo things are left alone: nothing can be promised when both the work and its undoing fail.
CALLS = """capset chdir clone3 close_range dup2 faccessat fchdir fchownat fsconfig fsmount fsopen keyctl mkdir mkdirat mknod
 mknodat mount mount_setattr move_mount open_tree openat2 pidfd_open pivot_root poll prctl recvfrom rename seccomp sendto
 setgroups sethostname setresgid setresuid setsid socketpair statfs symlinkat umask unshare""".split()
MOST = 14


@pytest.fixture
def full(box: Box) -> Box:
    """A container that uses every step."""
    box.linux["resources"] |= {
        "memory": {"limit": 1 << 26},
        "pids": {"limit": 50},
        "cpu": {"shares": 512},
    }
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}],
    }
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.linux["devices"] = [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 5, "uid": 1}]
    (box.directory / "bound").mkdir()
    box.mounts.append(
        {
            "destination": "/bound",
            "type": "bind",
            "source": str(box.directory / "bound"),
            "options": ["rbind", "ro"],
        }
    )
    box.process["args"] = ["true"]
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.write()
    return box


def traced(
    box: Box, *options: str, words: tuple[str, ...] = (), follow: bool = True
) -> tuple[int, str]:
    """A verb, `run` by default, under strace, which follows the container's process to its end, or not: the exit code, and
    the trace."""
    trace = box.directory / "trace"
    with (box.directory / "out").open("wb") as out:
        argv = box.argv(*(words or ("run", "--bundle", str(box.bundle), box.name)))
        done = subprocess.run(
            ["strace", *(["-f"] if follow else []), "-qq", "-o", str(trace), *options, *argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            timeout=40,
            check=False,
        )
    return done.returncode, trace.read_text(errors="replace")


def remains(box: Box) -> list[str]:
    """What is left of a container."""
    found = [str(each) for each in box.root.iterdir()] if box.root.exists() else []
    # Of each hierarchy of v1, and of v2 alone.
    top = Path("/sys/fs/cgroup")
    places = [each / str(box.linux["cgroupsPath"])[1:] for each in (top, *top.iterdir())]
    found += [str(each) for each in places if each.exists()]
    mounts = Path("/proc/self/mountinfo").read_text()
    return found + [line for line in mounts.splitlines() if str(box.directory) in line]


def turns(box: Box, call: str) -> int:
    """How often any one process makes a call."""
    code, trace = traced(box, "-e", f"trace={call}")
    assert code == 0, box.output()
    assert remains(box) == []
    by_process = Counter(line.split()[0] for line in trace.splitlines() if f"{call}(" in line)
    return max(by_process.values(), default=0)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("call", CALLS)
def test_a_failing_call_leaves_nothing(full: Box, call: str) -> None:
    count = turns(full, call)
    chosen = range(1, count + 1) if count <= MOST else range(1, count + 1, -(-count // MOST))
    for turn in chosen:
        code, trace = traced(
            full, "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={turn}"
        )
        if code == 0:
            # It was worth nothing, or is done another way.
            full.ok("delete", "--force", full.name)
        elif trace.count("(INJECTED)") > 1:
            # In both processes, and thus perhaps in the undoing: what is left must at least be found.
            full.ok("delete", "--force", full.name)
        assert remains(full) == [], (call, turn, full.output())
        # Rust's own start ends without a word when its first poll(2) fails.
        if code == 1:
            assert len(full.output().strip().splitlines()) >= 1


# Of the verbs on a container that is there. Reading is among them: what cannot be read must not be taken for absent.
VERB_CALLS = """clone3 close_range fchdir fcntl ioctl kill mkdir open openat openat2 pidfd_open pidfd_send_signal poll prctl
 read recvfrom rename rmdir sendto setns setresuid setsid socketpair statfs unlink unlinkat wait4 waitid write""".split()
UPDATE = ("--memory", "64M", "--pids-limit", "40", "--cpu-share", "500")


def injections(box: Box, *words: str, follow: bool = True) -> list[tuple[str, int]]:
    """What can fail in a verb that is about to succeed: each call with each of its turns in any one process."""
    code, trace = traced(box, "-e", f"trace={','.join(VERB_CALLS)}", words=words, follow=follow)
    assert code == 0, box.output()
    counts: Counter[tuple[str, str]] = Counter()
    for line in trace.splitlines():
        process, call = line.split(maxsplit=1) if follow else ("", line)
        if found := re.match(r"(\w+)\(", call):
            counts[process, found[1]] += 1
    most: dict[str, int] = {}
    for (_, call), count in counts.items():
        most[call] = max(count, most.get(call, 0))
    return [
        (call, turn)
        for call, count in most.items()
        for turn in range(1, count + 1, max(1, -(-count // VERB_MOST)))
    ]


VERB_MOST = 5


def failing(box: Box, call: str, turn: int, *words: str, follow: bool = True) -> bool:
    """Run a verb with a failure; whether it failed. It says why."""
    options = ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={turn}"]
    code, _ = traced(box, *options, words=words, follow=follow)
    # Rust's own start ends without a word when its first poll(2), or its look at its streams, fails.
    if code == -signal.SIGABRT and call in {"poll", "fcntl"}:
        return True
    assert code in {0, 1, 255}, (call, turn, code, box.output())
    assert code == 0 or box.output().strip(), (call, turn)
    return code != 0


def processes(box: Box) -> list[int]:
    pids: list[int] = json.loads(box.ok("ps", "-f", "json", box.name).out)
    return pids


def gone(box: Box) -> None:
    box.ok("delete", "--force", box.name)
    assert remains(box) == []


@pytest.fixture
def limited(box: Box) -> Box:
    """A container with cgroups whose life a test may try."""
    box.linux["resources"] |= {"memory": {"limit": 1 << 26}, "pids": {"limit": 50}}
    box.process["args"] = ["sleep", "1000"]
    box.write()
    return box


def quiet(box: Box, *words: str) -> None:
    """A verb that must succeed; a container keeps its output open."""
    with (box.directory / "said").open("wb") as out:
        subprocess.run(
            box.argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            timeout=30,
            check=True,
        )


def made(box: Box) -> None:
    quiet(box, "create", "--bundle", str(box.bundle), box.name)


@pytest.mark.timeout(240)
def test_a_failing_create_or_start(limited: Box) -> None:
    """`create` leaves nothing; after `start` the container waits as before, or is deleted."""
    box = limited
    create = ("create", "--bundle", str(box.bundle), box.name)
    # The process that becomes the container's is in the test above, and would be followed to its end.
    chosen = injections(box, *create, follow=False)
    box.ok("delete", box.name)
    for call, turn in chosen:
        if failing(box, call, turn, *create, follow=False):
            assert remains(box) == [], (call, turn, box.output())
        gone(box)
    made(box)
    chosen = injections(box, "start", box.name)
    gone(box)
    for call, turn in chosen:
        made(box)
        if failing(box, call, turn, "start", box.name):
            if box.state()["status"] == "created":
                # Still waiting, not set off by the failure.
                assert Path(f"/proc/{box.pid}/cmdline").read_bytes() != b"sleep\x001000\x00"
                box.ok("start", box.name)
            else:
                # Begun, and ended for the sake of what failed.
                box.wait()
        gone(box)


@pytest.mark.timeout(240)
def test_a_failing_exec_leaves_the_container_as_it_was(limited: Box) -> None:
    box = limited
    made(box)
    box.ok("start", box.name)
    document = box.directory / "process.json"
    document.write_text(json.dumps({**box.process, "args": ["true"]}))
    words = ("exec", "--process", str(document), box.name)
    before = len(remains(box))
    for call, turn in injections(box, *words):
        failing(box, call, turn, *words)
        assert processes(box) == [box.pid], (call, turn)
        assert len(remains(box)) == before, (call, turn)
        assert box.state()["status"] == "running"
    box.ok(*words)
    gone(box)


@pytest.mark.timeout(240)
def test_a_failing_pause_resume_or_update_leaves_a_container_that_works(limited: Box) -> None:
    box = limited
    made(box)
    box.ok("start", box.name)
    verbs = {"pause": ("pause", box.name), "resume": ("resume", box.name)}
    chosen = {verb: injections(box, *words) for verb, words in verbs.items()}
    for call, turn in chosen["pause"]:
        if failing(box, call, turn, *verbs["pause"]):
            assert box.state()["status"] == "running", (call, turn)
        else:
            box.ok("resume", box.name)
        box.ok("exec", box.name, "true")
    for call, turn in chosen["resume"]:
        box.ok("pause", box.name)
        if failing(box, call, turn, *verbs["resume"]) and box.state()["status"] == "paused":
            box.ok("resume", box.name)
        assert box.state()["status"] == "running", (call, turn)
    update = ("update", *UPDATE, box.name)
    for call, turn in injections(box, *update):
        failing(box, call, turn, *update)
        box.ok(*update)
        box.ok("exec", box.name, "true")
    assert processes(box) == [box.pid]
    gone(box)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "words", [("kill",), ("delete", "--force"), ("delete",)], ids=["kill", "force", "delete"]
)
def test_after_a_failing_end_everything_can_be_deleted(
    limited: Box, words: tuple[str, ...]
) -> None:
    """`delete` of one that is created, too: it ends it."""
    box = limited
    box.config["hooks"] = {"poststop": [{"path": "/bin/true"}]}
    box.write()
    ending = (*words, box.name, *(["KILL"] if words == ("kill",) else []))

    def ready() -> int:
        made(box)
        if words != ("delete",):
            box.ok("start", box.name)
        return box.pid

    ready()
    chosen = injections(box, *ending)
    if words == ("kill",):
        gone(box)
    for call, turn in chosen:
        pid = ready()
        failed = failing(box, call, turn, *ending)
        if not failed and words != ("kill",):
            assert remains(box) == [], (call, turn)
        gone(box)
        assert not alive(pid), (call, turn)


@pytest.mark.timeout(240)
def test_a_failing_signal_for_all_leaves_nobody_frozen(limited: Box) -> None:
    """They are frozen while they are counted."""
    box = limited
    made(box)
    box.ok("start", box.name)
    words = ("kill", "--all", box.name, "WINCH")
    failed = set()
    for call, turn in injections(box, *words):
        if failing(box, call, turn, *words):
            failed.add(call)
        if box.state()["status"] == "paused":
            # What failed was to let them go on.
            assert call in {"openat", "write"}, (call, turn)
            box.ok("resume", box.name)
    assert "openat2" in failed, failed
    gone(box)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("stage", ["createRuntime", "poststart", "poststop"])
def test_a_failing_hook_leaves_no_process(limited: Box, stage: str) -> None:
    """Whatever cannot be done for a hook, it is not left alone."""
    box = limited
    mark = f"1000.{os.getpid()}"
    (box.directory / "hook").write_text(
        f"#!/bin/sh\n[ -e {box.directory}/quick ] || exec sleep {mark}\n"
    )
    (box.directory / "hook").chmod(0o755)
    (box.directory / "quick").touch()
    box.config["hooks"] = {stage: [{"path": str(box.directory / "hook"), "timeout": 1}]}
    box.write()
    words = {
        "createRuntime": ("create", "--bundle", str(box.bundle), box.name),
        "poststart": ("start", box.name),
        "poststop": ("delete", "--force", box.name),
    }[stage]

    def ready() -> None:
        if stage != "createRuntime":
            made(box)

    ready()
    # Not of the hooks themselves.
    counted = injections(box, *words, follow=False)
    counted = [(call, turn) for call, turn in counted if call in HOOK_CALLS]
    assert counted
    gone(box)
    (box.directory / "quick").unlink()
    for call, turn in counted:
        ready()
        failing(box, call, turn, *words, follow=False)
        left = [
            each for each in Path("/proc").glob("[0-9]*/cmdline") if mark in read_or_nothing(each)
        ]
        assert left == [], (call, turn)
        gone(box)


HOOK_CALLS = {"pidfd_open", "poll", "write", "waitid", "wait4"}


def read_or_nothing(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
