"""K5: a container that gets hold of the runtime's own program must not be able to change it on the host."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime import conftest as runtime
from tests.runtime.conftest import Box

# Takes a descriptor of the victim while it runs, and writes through it once it has ended and is no "text file busy" any more.
ATTACK = """
exec 7</proc/$1/exe || exit 9
echo >/held
cat /released
echo overwritten >/proc/self/fd/7 && echo WRITTEN
(: >/proc/self/fd/7) && echo TRUNCATED
ls -l /proc/self/fd/7
"""


@pytest.fixture(params=["overlay", "copy"])
def program(
    box: Box, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A copy of the runtime, which a successful attack may destroy. It protects itself by an overlay of its folder, or by a
    copy in memory if the folder's name cannot be told to an overlay."""
    folder = box.directory / ("program:s" if request.param == "overlay" else os.fsdecode(b"\xff"))
    folder.mkdir()
    copy = folder / "runtime"
    shutil.copy(shutil.which(runtime.PROGRAM) or runtime.PROGRAM, copy)
    before = hashlib.sha256(copy.read_bytes()).hexdigest()
    monkeypatch.setattr(runtime, "PROGRAM", str(copy))
    yield copy
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == before


@pytest.fixture
def unsafe_box(box: Box) -> Box:
    """A container of root with every capability that could help."""
    names = [*runtime.CAPABILITIES, "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH"]
    box.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), names)
    for name in ("held", "released"):
        os.mkfifo(box.rootfs / name)
    (box.rootfs / "attack").write_text(ATTACK)
    (box.rootfs / "evil").symlink_to("/proc/self/exe")
    script = box.rootfs / "script"
    script.write_text("#!/proc/self/exe\n")
    script.chmod(0o755)
    return box


def pid_of(process: subprocess.Popen[bytes]) -> int:
    """The process that `exec` has started and that is the runtime again, as the container counts it."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for each in children:
            with contextlib.suppress(OSError):
                # The first word of the command line changes with the execution.
                if b"update" in Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")[1:2]:
                    lines = Path(f"/proc/{each}/status").read_text().splitlines()
                    return int(next(line for line in lines if line.startswith("NSpid")).split()[-1])
        time.sleep(0.01)
    raise AssertionError("exec has no child that is the runtime")


@pytest.mark.parametrize("target", ["/proc/self/exe", "/evil", "/script"])
def test_cve_2019_5736_the_program_cannot_be_overwritten_by_an_additional_process(
    unsafe_box: Box, program: Path, target: str
) -> None:
    """The host executes something in the container that the container has made a link to /proc/self/exe: the runtime
    itself. It waits for its standard input, so that the attacker can take a descriptor of it; when it has ended, the
    attacker writes."""
    box = unsafe_box
    box.start("sleep", "1000")
    words = ["update", "--resources", "-", "nobody"]
    argv = box.argv("exec", box.name, target, *([] if target == "/script" else words))
    if target == "/script":
        # The kernel passes the script's name as the only word; the runtime then prints its help or a complaint.
        assert subprocess.run(argv, capture_output=True, timeout=30).returncode != 0
        return
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as victim:
        assert victim.stdin is not None
        pid = pid_of(victim)
        attack = box.argv("exec", box.name, "sh", "/attack", str(pid))
        with subprocess.Popen(attack, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as attacker:
            (box.rootfs / "held").read_text()
            victim.stdin.close()
            victim.wait(30)
            (box.rootfs / "released").write_text("")
            said, _ = attacker.communicate(timeout=30)
    assert b"WRITTEN" not in said
    assert b"TRUNCATED" not in said
    assert b"/proc/self/fd/7" in said, said


def test_cve_2019_5736_nor_by_the_first_process(unsafe_box: Box, program: Path) -> None:
    """The entry point is the runtime; it is executed in the container, and ends by itself."""
    box = unsafe_box
    box.process["args"] = ["/proc/self/exe", "--version"]
    box.write()
    result = box.call("run", "--bundle", str(box.bundle), box.name)
    assert result.code == 0
    assert "version" in result.out


def test_cve_2019_5736_a_waiting_container_is_no_way_to_the_program(
    unsafe_box: Box, program: Path
) -> None:
    """Between create and start the container's first process is still the runtime, and others share its namespaces."""
    box = unsafe_box
    box.create("true")
    executable = Path(f"/proc/{box.pid}/exe")
    assert not os.path.samefile(executable, program)
    in_memory = os.readlink(executable).startswith("/memfd:")
    assert in_memory == (program.parent.name != "program:s")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        with pytest.raises(
            OSError, match=r"Permission denied|Operation not permitted|Text file busy|Read-only"
        ):
            os.close(os.open(executable, flags))
    descriptor = os.open(executable, os.O_RDONLY)
    try:
        box.ok("start", box.name)
        box.wait()
        # It runs no more: nothing but the seals, or a read-only mount, is in the way.
        with pytest.raises(OSError, match=r"not permitted|Read-only"):
            os.write(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY), b"overwritten")
    finally:
        os.close(descriptor)


def test_the_claim_to_be_protected_is_checked(box: Box) -> None:
    """What the protected program is told in its environment is believed only if its own file is the one that is meant."""
    own = Path(runtime.PROGRAM).stat()
    environment = {**os.environ, "DOCKYARD_RUNTIME_OVERLAY": f"{own.st_dev}:{own.st_ino}"}
    box.create("true", env=environment)
    assert not os.path.samefile(f"/proc/{box.pid}/exe", runtime.PROGRAM)


def test_the_claim_is_about_one_overlay(box: Box) -> None:
    """A host whose runtime lies on an overlay of its own, which may be written."""
    for name in ("lower", "upper", "work", "merged"):
        (box.directory / name).mkdir()
    shutil.copy(shutil.which(runtime.PROGRAM) or runtime.PROGRAM, box.directory / "lower/runtime")
    box.process["args"] = ["true"]
    box.write()
    program = f"{box.directory}/merged/runtime"
    argv = [program, *box.argv("create", "--bundle", str(box.bundle), box.name)[1:]]
    script = f"""cd {box.directory}
    mount -t tmpfs tmpfs upper || exit 77
    mkdir upper/up upper/work
    mount -t overlay -o lowerdir=lower,upperdir=upper/up,workdir=upper/work none merged || exit 77
    DOCKYARD_RUNTIME_OVERLAY=1:1 "$@" </dev/null >out 2>&1 || exit
    stat -c %d:%i merged/runtime
    stat -L -c %d:%i /proc/$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' root/{box.name}/state.json)/exe"""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode == 77:
        pytest.skip("this host has no writable overlays")
    own, executed = done.stdout.split()
    assert own != executed, (done, box.output())


def test_hooks_do_not_inherit_the_claim(box: Box) -> None:
    seen = box.directory / "environment"
    script = f"env >{seen}"
    box.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}],
    }
    box.create("true")
    assert "PATH=" in seen.read_text()
    assert "DOCKYARD_RUNTIME_OVERLAY" not in seen.read_text()
