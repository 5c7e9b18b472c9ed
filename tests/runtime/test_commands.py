"""The command line: every verb, its flags and its output, as callers of runc and crun use them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.runtime.conftest import PARENT, Box, Result, alive

VERBS = """checkpoint create delete events exec features kill list pause ps restore resume run spec start state
 update""".split()


def answers(box: Box, *words: str) -> str:
    result = box.call(*words)
    assert result.code == 0, result
    return result.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help(box: Box, verb: str) -> None:
    text = answers(box, verb, "--help")
    assert text.startswith(f"NAME:\n   dockyard-runtime {verb} - ")
    assert verb in answers(box, "--help")


@pytest.mark.parametrize("verb", ["foo", "mounts", "init"])
def test_an_unknown_verb_has_none(box: Box, verb: str) -> None:
    """`mounts` is an experiment of crun, `init` is how runc executes itself."""
    assert f"No help topic for '{verb}'" in box.call(verb, "-h").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--log-format", "odd", "list"], "log-format"),
        (["--log-level", "odd", "list"], "log-level"),
        (["--rootless", "odd", "list"], "--rootless"),
        (["--cgroup-manager", "odd", "list"], "--cgroup-manager"),
        (["list", "--format", "odd"], "format"),
        (["list", "extra"], "extra"),
        (["features", "extra"], "extra"),
        (["events", "--interval", "soon", "x"], "--interval"),
        (["update", "--memory", "much", "x"], "--memory"),
        (["update", "--cpu-period", "x", "x"], "--cpu-period"),
        (["update", "-r", "/no/such", "x"], "/no/such"),
        (["kill", "x", "SIGODD"], "SIGODD"),
        (["delete", "--regex", "("], "("),
        (["run", "--preserve-fds", "x", "x"], "--preserve-fds"),
        (["create", "--preserve-fds", "4294967295", "x"], "--preserve-fds"),
        (["exec", "--preserve-fds", "4294967293", "x", "true"], "--preserve-fds"),
        (["checkpoint"], "id"),
        (["restore", "--no-pivot", "x"], "--no-pivot"),
    ],
)
def test_bad_use_is_refused_by_name(box: Box, words: list[str], message: str) -> None:
    result = subprocess.run(
        [*box.argv()[:3], *words], capture_output=True, text=True, timeout=20, check=False
    )
    assert result.returncode != 0
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_checkpoint_and_restore_say_what_is_missing(box: Box) -> None:
    box.start("sleep", "100")
    missing = "criu is needed and is not there: /no/such/criu: no such file or directory"
    result = box.call("--criu", "/no/such/criu", "checkpoint", "--image-path", "/tmp/x", box.name)
    assert (result.code, result.err) == (1, f"checkpoint: {missing}\n")
    assert box.state()["status"] == "running"
    words = ["restore", "--image-path", "/tmp/x", "--bundle", str(box.bundle), "another"]
    result = box.call("--criu", "/no/such/criu", *words)
    assert (result.code, result.err) == (1, f"restore: {missing}\n")


def test_the_log_in_text_and_with_steps(box: Box) -> None:
    box.process["args"] = ["true"]
    box.write()
    log = box.directory / "other.log"
    argv = [*box.argv()[:3], "--log", str(log), "--debug"]
    subprocess.run([*argv, "run", "--bundle", str(box.bundle), box.name], timeout=20, check=True)
    text = log.read_text()
    assert "level=debug" in text
    assert "child process in init()" in text
    subprocess.run([*argv, "state", "nobody"], timeout=20, check=False, capture_output=True)
    assert 'level=error kind=not_found msg="container does not exist"' in log.read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), {"warning"}),
        (("--log-level", "warning"), {"warning"}),
        (("--log-level", "debug"), {"warning", "debug"}),
        (("--log-level", "error"), set()),
        (("--log-level", "error", "--debug"), {"warning", "debug"}),
    ],
)
def test_levels_of_the_log(box: Box, words: tuple[str, ...], expected: set[str]) -> None:
    box.process["args"] = ["true"]
    box.process["capabilities"]["bounding"].append("CAP_FROM_THE_FUTURE")
    box.write()
    box.ok(*words, "run", "--bundle", str(box.bundle), box.name)
    lines = (box.directory / "log.json").read_text().splitlines()
    assert {json.loads(line)["level"] for line in lines} == expected
    # Failures are told at every level.
    box.call(*words, "state", box.name)
    assert box.kind() == "not_found"


def test_the_version_is_in_the_lines_that_callers_read(box: Box) -> None:
    first, second, third, *_ = box.ok("--version").lines
    assert first.startswith("dockyard-runtime version ")
    assert second.startswith("commit: ")
    assert third == "spec: 1.3.0"


def test_criu_is_looked_for_in_the_path(box: Box) -> None:
    for name in ("with", "without"):
        (box.directory / name).mkdir()
    program = box.directory / "with/criu"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for folder in ("with", "without"):
        environment = {**os.environ, "PATH": str(box.directory / folder)}
        said = box.ok("--version", env=environment).out
        assert ("+CRIU" in said) == (folder == "with")
        said = box.ok("--criu", str(program), "--version", env=environment).out
        assert "+CRIU" in said


def test_features(box: Box) -> None:
    found = json.loads(box.ok("features").out)
    assert (found["ociVersionMin"], found["ociVersionMax"]) == ("1.0.0", "1.3.0")
    assert len(found["hooks"]) == 6
    assert {"rro", "remount", "ridmap", "tmpcopyup", "rnosymfollow"} <= set(found["mountOptions"])
    linux = found["linux"]
    assert len(linux["namespaces"]) == 8
    assert "CAP_CHECKPOINT_RESTORE" in linux["capabilities"]
    assert set(linux["cgroup"]) == {"v1", "v2", "systemd", "systemdUser", "rdma"}
    assert linux["seccomp"]["enabled"] is True
    assert "SCMP_ACT_NOTIFY" in linux["seccomp"]["actions"]
    assert len(linux["seccomp"]["operators"]) == 7
    assert linux["seccomp"]["archs"]
    assert linux["seccomp"]["knownFlags"] == linux["seccomp"]["supportedFlags"]
    assert linux["apparmor"]["enabled"] is True
    assert linux["selinux"]["enabled"] is True
    assert linux["intelRdt"] == {"enabled": True, "schemata": True, "monitoring": True}
    assert "MPOL_BIND" in linux["memoryPolicy"]["modes"]
    assert linux["memoryPolicy"]["flags"]
    assert linux["mountExtensions"]["idmap"]["enabled"] is True
    assert linux["netDevices"]["enabled"] is True
    assert found["annotations"]
    assert "org.systemd.property." in found["potentiallyUnsafeConfigAnnotations"]


def test_an_empty_list(box: Box) -> None:
    assert json.loads(box.ok("list", "-f", "json").out) == []
    assert box.ok("list", "-q").out == ""


def test_ps_with_options_and_as_json(box: Box) -> None:
    box.start("sleep", "100")
    assert json.loads(box.ok("ps", "-f", "json", box.name).out) == [box.pid]
    header, line = box.ok("ps", box.name).lines
    assert header.split()[1] == "PID"
    assert line.split()[1] == str(box.pid)
    header, line = box.ok("ps", box.name, "-o", "pid,comm", "-e").lines
    assert line.split() == [str(box.pid), "sleep"]
    box.ok("kill", box.name, "9")
    box.wait()
    assert len(box.ok("ps", box.name).lines) == 1


@pytest.mark.parametrize("name", ["KILL", "SIGKILL", "9", "kill"])
def test_signals_by_every_name(box: Box, name: str) -> None:
    box.start("sleep", "100")
    box.ok("kill", box.name, name)
    box.wait()
    assert "container not running" in box.call("kill", box.name, "TERM").err
    box.ok("kill", "--all", box.name, "KILL")


def test_kill_all_reaches_every_process(box: Box) -> None:
    box.linux["namespaces"] = [each for each in box.linux["namespaces"] if each["type"] != "pid"]
    box.start("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    pids = json.loads(box.ok("ps", "-f", "json", box.name).out)
    end = time.monotonic() + 10
    while len(pids) < 3 and time.monotonic() < end:
        pids = json.loads(box.ok("ps", "-f", "json", box.name).out)
    box.ok("kill", "--all", box.name, "KILL")
    box.wait()
    while any(map(alive, pids)) and time.monotonic() < end:
        pass
    assert not any(map(alive, pids))


def test_regular_expressions_choose_containers(box: Box) -> None:
    box.start("sleep", "100")
    box.ok("kill", "--regex", "^no-such-", "KILL")
    assert box.state()["status"] == "running"
    box.ok("kill", "--regex", f"^{box.name[:8]}", "KILL")
    box.wait()
    box.ok("delete", "--regex", f"{box.name}$")
    assert box.ok("list", "-q").out == ""


def test_a_created_container_is_deleted_without_force(box: Box) -> None:
    box.create("sleep", "100")
    pid = box.pid
    box.ok("delete", box.name)
    assert not alive(pid)
    box.start("sleep", "100")
    assert "is not stopped: running" in box.call("delete", box.name).err
    box.ok("delete", "--force", box.name)
    box.ok("delete", "--force", box.name)


def test_another_configuration(box: Box) -> None:
    box.process["args"] = ["echo", "other"]
    other = box.directory / "other.json"
    other.write_text(json.dumps(box.config))
    result = box.call("run", "--config", str(other), "--bundle", str(box.bundle), box.name)
    assert (result.code, result.out) == (0, "other\n")


def test_run_can_keep_or_detach(box: Box) -> None:
    box.process["args"] = ["sh", "-c", "exit 5"]
    box.write()
    bundle = str(box.bundle)
    assert box.call("run", "--keep", "--bundle", bundle, box.name).code == 5
    assert box.state()["status"] == "stopped"
    box.ok("delete", box.name)
    box.process["args"] = ["sleep", "100"]
    box.write()
    with (box.directory / "out").open("wb") as out:
        argv = box.argv(
            "run", "--detach", "--pid-file", str(box.directory / "pid"), "-b", bundle, box.name
        )
        subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=20, check=True
        )
    assert int((box.directory / "pid").read_text()) == box.pid


def test_signals_to_run_reach_the_container(box: Box) -> None:
    box.process["args"] = [
        "sh",
        "-c",
        "trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done",
    ]
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 42


def test_no_pivot_hides_the_hosts_proc(box: Box) -> None:
    box.process["args"] = ["sh", "-c", "cat /proc/self/mountinfo"]
    box.write()
    result = box.call(
        "run", "--no-pivot", "--no-new-keyring", "--bundle", str(box.bundle), box.name
    )
    assert result.code == 0, result
    kinds = [line.split(" - ")[1].split()[0] for line in result.lines]
    assert kinds.count("proc") >= 1


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("words", "code"), [((), 1), (("--no-pivot",), 0)])
def test_no_pivot_is_for_roots_that_cannot_be_pivoted(
    box: Box, words: tuple[str, ...], code: int
) -> None:
    """As a ramdisk: the kernel refuses."""
    box.process["args"] = ["ls", "/"]
    box.write()
    inject = ["-e", "trace=pivot_root", "-e", "inject=pivot_root:error=EINVAL"]
    argv = box.argv("run", *words, "--bundle", str(box.bundle), box.name)
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", *inject, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == code, done
    if code == 0:
        assert done.stdout.split() == sorted(each.name for each in box.rootfs.iterdir())
    else:
        assert "pivot_root" in done.stderr


@pytest.mark.parametrize("verb", ["create", "run"])
@pytest.mark.parametrize("words", [(), ("--no-new-keyring",)])
def test_a_keyring_of_its_own_or_the_callers(box: Box, verb: str, words: tuple[str, ...]) -> None:
    keys = Path("/proc/keys")
    if not keys.exists():
        pytest.skip("this kernel has no keys")
    box.linux["maskedPaths"] = []
    box.process["args"] = ["cat", "/proc/keys"]
    if verb == "run":
        box.write()
        found = box.ok("run", *words, "--bundle", str(box.bundle), box.name).out
    else:
        box.create(words=words)
        box.ok("start", box.name)
        box.wait()
        found = box.output()
    assert (f"_ses.{box.name}" in found) == (not words), found


@pytest.mark.parametrize("verb", ["run", "exec"])
@pytest.mark.parametrize("words", [(), ("--no-subreaper",)])
def test_orphans_belong_to_run(box: Box, verb: str, words: tuple[str, ...]) -> None:
    """`exec` never inherits them, as with runc, which takes the flag all the same."""
    box.linux["namespaces"] = [each for each in box.linux["namespaces"] if each["type"] != "pid"]
    script = "(sleep 1000 & echo $!); read"
    if verb == "run":
        box.process["args"] = ["sh", "-c", script]
        box.write()
        argv = box.argv("run", *words, "--bundle", str(box.bundle), box.name)
    else:
        box.start("sleep", "1000")
        argv = box.argv("exec", *words, box.name, "sh", "-c", script)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        end = time.monotonic() + 10
        # The line was said by the one who is about to end.
        while (parent := parent_of(orphan)) not in {process.pid, *adopters()}:
            assert time.monotonic() < end, parent
        assert (parent == process.pid) == (verb == "run" and not words)
        os.kill(orphan, signal.SIGKILL)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def adopters() -> set[int]:
    """Those who may get this process's orphans: everyone above it."""
    found, pid = set(), os.getpid()
    while pid:
        found.add(pid)
        pid = parent_of(pid)
    return found


def test_a_rootless_template(box: Box) -> None:
    box.ok("spec", "--rootless", "--bundle", str(box.bundle))
    written = json.loads((box.bundle / "config.json").read_text())
    kinds = [each["type"] for each in written["linux"]["namespaces"]]
    assert "user" in kinds
    assert "network" not in kinds
    assert written["linux"]["uidMappings"] == [
        {"containerID": 0, "hostID": os.geteuid(), "size": 1}
    ]


def stats(box: Box) -> dict[str, object]:
    document = json.loads(box.ok("events", "--stats", box.name).out)
    assert (document["type"], document["id"]) == ("stats", box.name)
    data: dict[str, object] = document["data"]
    return data


def test_statistics(box: Box) -> None:
    box.linux["resources"] |= {"pids": {"limit": 50}, "memory": {"limit": 64 << 20}}
    box.start("sh", "-c", "while :; do :; done")
    data = stats(box)
    assert data["pids"] == {"current": 1, "limit": 50}
    assert data["memory"]["usage"]["limit"] == 64 << 20  # type: ignore[index]
    assert data["cpu"]["usage"]["total"] > 0  # type: ignore[index]
    box.ok("kill", box.name, "KILL")
    box.wait()
    assert "not running" in box.call("events", "--stats", box.name).err


def test_events_tell_of_kills_for_want_of_memory(box: Box) -> None:
    box.linux["resources"]["memory"] = {"limit": 32 << 20, "swap": 32 << 20}
    box.start("sleep", "100")
    argv = box.argv("events", "--interval", "100ms", box.name)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        begun = time.monotonic()
        for _ in range(4):
            assert json.loads(events.stdout.readline())["type"] == "stats"
        # Without the flag three more take a quarter of a minute.
        assert time.monotonic() - begun < 10
        box.exec("sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x)")
        kinds = (json.loads(line)["type"] for line in events.stdout)
        assert next(kind for kind in kinds if kind == "oom")
        box.ok("kill", box.name, "KILL")
        assert events.wait(20) == 0


def value(box: Box, file: str) -> str:
    return (box.cgroup(file.split(".", maxsplit=1)[0]) / file).read_text().strip()


@pytest.mark.parametrize(
    ("words", "file", "expected"),
    [
        (["--memory", "48M"], "memory.limit_in_bytes", str(48 << 20)),
        (["--memory-reservation", "16M"], "memory.soft_limit_in_bytes", str(16 << 20)),
        (["--pids-limit", "33"], "pids.max", "33"),
        (["--pids-limit", "-1"], "pids.max", "max"),
        (["--cpu-share", "512"], "cpu.shares", "512"),
        (["--cpu-period", "50000"], "cpu.cfs_period_us", "50000"),
        (["--cpu-quota", "30000"], "cpu.cfs_quota_us", "30000"),
        (["--cpu-quota", "30000", "--cpu-burst", "10000"], "cpu.cfs_burst_us", "10000"),
        (["--cpu-idle", "1"], "cpu.idle", "1"),
        (["--cpuset-cpus", "0"], "cpuset.cpus", "0"),
        (["--cpuset-mems", "0"], "cpuset.mems", "0"),
        (
            ["--memory", "48M", "--memory-swap", "64M"],
            "memory.memsw.limit_in_bytes",
            str(64 << 20),
        ),
        (["--blkio-weight", "234"], "blkio.bfq.weight", "234"),
        (["--kernel-memory", "1M", "--kernel-memory-tcp", "1M"], "pids.max", "max"),
    ],
)
def test_updates_by_flags(box: Box, words: list[str], file: str, expected: str) -> None:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("names of cgroup v1; tests/cgroup2 has those of v2")
    if not (Path("/sys/fs/cgroup") / file.split(".", maxsplit=1)[0]).exists():
        pytest.skip("no such controller here")
    box.start("sleep", "100")
    if not (box.cgroup(file.split(".", maxsplit=1)[0]) / file).exists():
        pytest.skip("this kernel has no such file")
    box.ok("update", *words, box.name)
    assert value(box, file) == expected


@pytest.mark.parametrize(
    ("flag", "file"), [("--cpuset-mems", "cpuset.mems"), ("--cpuset-cpus", "cpuset.cpus")]
)
def test_updates_that_the_kernel_refuses(box: Box, flag: str, file: str) -> None:
    box.start("sleep", "100")
    result = box.call("update", flag, "4000", box.name)
    assert result.code == 1
    assert file in result.err


def test_updates_by_a_document(box: Box) -> None:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("names of cgroup v1")
    box.start("sleep", "100")
    document = {"pids": {"limit": 12}, "memory": {"limit": 80 << 20}}
    box.ok("update", "--resources", "-", box.name, stdin=json.dumps(document).encode())
    assert (value(box, "pids.max"), value(box, "memory.limit_in_bytes")) == ("12", str(80 << 20))
    path = box.directory / "resources.json"
    path.write_text('{"memory": {"limit": 4096, "checkBeforeUpdate": true}}')
    assert "checkBeforeUpdate" in box.call("update", "-r", str(path), box.name).err
    assert "intelRdt" in box.call("update", "--l3-cache-schema", "L3:0=f", box.name).err
    path.write_text('{"memory": {"limit": "much"}}')
    assert "memory.limit" in box.call("update", "-r", str(path), box.name).err


def test_a_frozen_or_foreign_cgroup(box: Box) -> None:
    if not Path("/sys/fs/cgroup/freezer").exists():
        pytest.skip("needs the freezer of cgroup v1")
    group = box.cgroup("freezer")
    group.mkdir(parents=True)
    (group / "freezer.state").write_text("FROZEN")
    box.write()
    for _ in range(2):
        result = box.call("create", "--bundle", str(box.bundle), box.name)
        assert "container's cgroup unexpectedly frozen" in result.err
    (group / "freezer.state").write_text("THAWED")
    group.rmdir()


def test_without_rights_to_cgroups(box: Box) -> None:
    """Nobody writes to a tree that is mounted read-only: an error for root, unless it says that it is to be passed over."""
    box.process["args"] = ["cat", "/proc/self/cgroup"]
    del box.linux["resources"]
    box.config["mounts"] = [each for each in box.mounts if each["type"] != "cgroup"]
    box.write()
    script = """set -e
    for each in $(cut -d" " -f5 /proc/self/mountinfo | grep ^/sys/fs/cgroup); do mount -o remount,bind,ro $each; done
    exec "$@" """

    def run(*words: str) -> Result:
        words = (*words, "run", "--bundle", str(box.bundle), box.name)
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *box.argv(*words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    for words in ((), ("--rootless", "auto"), ("--rootless", "false")):
        result = run(*words)
        assert (result.code, result.out) == (1, ""), (words, result)
        assert "cgroup" in result.err, (words, result)
    result = run("--rootless", "true")
    assert result.code == 0, result
    assert PARENT not in result.out


def test_without_cgroups(box: Box) -> None:
    box.process["args"] = ["cat", "/proc/self/cgroup"]
    box.write()

    def run(*words: str) -> Result:
        return box.call("--cgroup-manager", "disabled", "run", "--bundle", str(box.bundle), *words)

    result = run(box.name)
    assert result.code == 0, result
    assert PARENT not in result.out
    box.linux["resources"]["memory"] = {"limit": 1 << 26}
    box.write()
    assert "no cgroup" in run(box.name).err


@pytest.mark.parametrize("words", [("--systemd-cgroup",), ("--cgroup-manager", "systemd")])
def test_the_systemd_driver_says_that_there_is_no_systemd(box: Box, words: tuple[str, ...]) -> None:
    if Path("/run/systemd/system").exists():
        pytest.skip("this host has systemd")
    box.linux["cgroupsPath"] = "test.slice:dockyard:x"
    box.write()
    result = box.call(*words, "create", "--bundle", str(box.bundle), box.name)
    assert "systemd not running on this host" in result.err
    assert not box.root.exists() or list(box.root.iterdir()) == []
    box.linux["cgroupsPath"] = "/a/path"
    box.write()
    result = box.call("--systemd-cgroup", "create", "--bundle", str(box.bundle), box.name)
    assert "slice:prefix:name" in result.err
