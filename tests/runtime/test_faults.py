"""A failure at any step of a creation leaves nothing: every system call that makes something fails once, at each of its turns.

strace(1) makes them fail, in the runtime and in the process that becomes the container's.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tests.runtime.conftest import Box

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


def traced(box: Box, *options: str) -> tuple[int, str]:
    """`run` under strace, which follows the container's process to its end: the exit code, and the trace."""
    trace = box.directory / "trace"
    with (box.directory / "out").open("wb") as out:
        argv = box.argv("run", "--bundle", str(box.bundle), box.name)
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", str(trace), *options, *argv],
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
    found += [str(each) for each in Path("/sys/fs/cgroup").glob(f"*{box.linux['cgroupsPath']}")]
    found += [str(each) for each in Path("/sys/fs/cgroup").glob(f"*/{box.linux['cgroupsPath']}")]
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
