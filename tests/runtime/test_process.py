"""`process`: what the container's program finds about itself, for init and for `exec` alike."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.conftest import CAPABILITIES, PROGRAM, Box


def status(lines: list[str]) -> dict[str, str]:
    """/proc/self/status as a dictionary."""
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def test_identity(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1001, "umask": 0o27, "additionalGids": [5, 6]}
    found = box.sh("id -u; id -g; umask; grep ^Groups /proc/self/status; pwd; echo $HOME")
    assert found[:3] == ["1000", "1001", "0027"]
    assert set(found[3].split()[1:]) >= {"5", "6"}
    assert found[4:] == ["/", "/home/user"]


def test_arguments_environment_and_directory(box: Box) -> None:
    box.process.update(cwd="/made/for/it", env=["PATH=/bin", "A=first", "A=second", "HOME=/there"])
    assert box.run("sh", "-c", 'echo $0 "$1" $A $HOME; pwd', "zero", "a b").lines == [
        "zero a b second /there",
        "/made/for/it",
    ]


def test_capabilities(box: Box) -> None:
    names = ["CAP_KILL", "CAP_CHOWN"]
    box.process["capabilities"] = {
        "bounding": [*names, "CAP_NET_RAW"],
        "permitted": names,
        "effective": ["CAP_KILL"],
        "inheritable": names,
        "ambient": ["CAP_KILL"],
    }
    box.process["user"] = {"uid": 1000, "gid": 1000}
    found = status(box.sh("grep ^Cap /proc/self/status"))
    kill, chown, raw = 1 << 5, 1 << 0, 1 << 13
    assert int(found["CapBnd"], 16) == kill | chown | raw
    assert int(found["CapInh"], 16) == kill | chown
    assert int(found["CapAmb"], 16) == kill
    # What is left after the execution of a program without capabilities of its own.
    assert int(found["CapPrm"], 16) == int(found["CapEff"], 16) == kill


@pytest.mark.parametrize("effective", [["CAP_KILL"], ["CAP_KILL", "CAP_CHOWN"]])
def test_capabilities_before_the_execution(box: Box, effective: list[str]) -> None:
    """Between create and start they are as they were set, whatever the execution makes of them."""
    names = ["CAP_KILL", "CAP_CHOWN"]
    box.process["capabilities"] = {
        "bounding": names,
        "permitted": names,
        "effective": effective,
    }
    box.create("true")
    lines = Path(f"/proc/{box.pid}/status").read_text().splitlines()
    found = status([line for line in lines if line.startswith("Cap")])
    assert int(found["CapPrm"], 16) == 0b100001
    assert int(found["CapEff"], 16) == sum(
        {"CAP_KILL": 32, "CAP_CHOWN": 1}[each] for each in effective
    )
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0


def test_unknown_capabilities_are_warned_about(box: Box) -> None:
    box.process["capabilities"]["bounding"] = [*CAPABILITIES, "CAP_FROM_THE_FUTURE"]
    assert box.run("true").code == 0
    lines = [json.loads(line) for line in (box.directory / "log.json").read_text().splitlines()]
    assert any(
        "CAP_FROM_THE_FUTURE" in line["msg"] and line["level"] == "warning" for line in lines
    )


@pytest.mark.parametrize(
    ("kind", "option", "unit", "size"),
    [
        ("CORE", "-c", 512, 1 << 20),
        ("CPU", "-t", 1, 1000),
        ("FSIZE", "-f", 512, 1 << 20),
        ("NOFILE", "-n", 1, 512),
        ("STACK", "-s", 1024, 1 << 20),
    ],
)
def test_resource_limits(box: Box, kind: str, option: str, unit: int, size: int) -> None:
    box.process["rlimits"] = [{"type": f"RLIMIT_{kind}", "soft": size, "hard": 2 * size}]
    found = box.sh(f"ulimit -S {option}; ulimit -H {option}")
    assert found == [str(size // unit), str(2 * size // unit)]


def test_no_new_privileges_scores_and_scheduling(box: Box) -> None:
    box.process.update(
        noNewPrivileges=True,
        oomScoreAdj=500,
        scheduler={
            "policy": "SCHED_BATCH",
            "nice": 3,
            "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        },
        ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6},
    )
    box.start("sleep", "100")
    pid = box.pid
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
    assert "NoNewPrivs:\t1\n" in Path(f"/proc/{pid}/status").read_text()
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH | os.SCHED_RESET_ON_FORK
    assert os.getpriority(os.PRIO_PROCESS, pid) == 3
    said = subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True)
    assert said.stdout == "best-effort: prio 6\n"


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ({"policy": "SCHED_RR", "priority": 7}, ["SCHED_RR", "7"]),
        (
            {
                "policy": "SCHED_DEADLINE",
                "runtime": 5_000_000,
                "deadline": 10_000_000,
                "period": 20_000_000,
            },
            ["SCHED_DEADLINE", "0", "5000000/10000000/20000000"],
        ),
    ],
)
def test_realtime_scheduling(box: Box, scheduler: dict[str, Any], expected: list[str]) -> None:
    if shutil.which("chrt") is None:
        pytest.skip("needs chrt")
    box.process["scheduler"] = scheduler
    probe = {"SCHED_RR": ["-r", "7"]}.get(
        scheduler["policy"], ["-d", "-T", "5000000", "-D", "10000000", "-P", "20000000", "0"]
    )
    if subprocess.run(["chrt", *probe, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host has no realtime scheduling")
    box.process["args"] = ["sh", "-c", "echo; exec sleep 100"]
    box.write()
    # Without a cgroup of its own: on v1 that would have no realtime of its own, either.
    argv = box.argv("--cgroup-manager", "disabled", "run", "--bundle", str(box.bundle), box.name)
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"\n"
        said = subprocess.run(
            ["chrt", "-p", str(box.pid)], capture_output=True, text=True, check=True
        ).stdout
        box.ok("kill", box.name, "KILL")
    assert [line.split()[-1] for line in said.splitlines()] == expected


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_cpu_affinity_of_additional_processes(box: Box) -> None:
    """Both lists are set, one after the other; the program is left with the last."""
    last = max(os.sched_getaffinity(0))
    box.start("sleep", "100")
    document = {**box.process, "args": ["sh", "-c", "taskset -p $$"]}
    document["execCPUAffinity"] = {"initial": "0", "final": str(last)}
    path = box.directory / "process.json"
    path.write_text(json.dumps(document))
    trace = box.directory / "trace"
    argv = box.argv("exec", "--process", str(path), box.name)
    options = ["-e", "trace=sched_setaffinity"]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), *options, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done
    assert done.stdout.rstrip().endswith(f" {1 << last:x}")
    lists = re.findall(r"sched_setaffinity\(.*\[(\d+)\]", trace.read_text())
    assert lists == ["0", str(last)]


def test_ids_of_a_user_namespace(box: Box) -> None:
    """Two ranges each: every number of them is where it belongs."""
    users = [
        {"containerID": 0, "hostID": 100_000, "size": 10},
        {"containerID": 10, "hostID": 200_000, "size": 65_000},
    ]
    groups = [
        {"containerID": 0, "hostID": 300_000, "size": 20},
        {"containerID": 20, "hostID": 400_000, "size": 64_000},
    ]
    box.linux["namespaces"].append({"type": "user"})
    box.linux.update(uidMappings=users, gidMappings=groups)
    found = box.sh("cat /proc/self/uid_map /proc/self/gid_map")
    assert [[int(word) for word in line.split()] for line in found] == [
        [each["containerID"], each["hostID"], each["size"]] for each in (*users, *groups)
    ]


def test_personality_and_memory_policy(box: Box) -> None:
    box.linux["personality"] = {"domain": "LINUX32"}
    box.linux["memoryPolicy"] = {
        "mode": "MPOL_BIND",
        "nodes": "0",
        "flags": ["MPOL_F_STATIC_NODES"],
    }
    machine, policy = box.sh("uname -m; head -n 1 /proc/self/numa_maps")
    assert machine in {"i686", "i386"}
    assert policy.split()[1] == "bind=static:0"


def test_terminal_with_a_size_goes_to_the_console_socket(box: Box) -> None:
    box.process.update(terminal=True, consoleSize={"height": 33, "width": 77})
    path = box.directory / "console.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        box.create("sh", "-c", "tty; stty size", words=("--console-socket", str(path)))
        connection, _ = listener.accept()
        _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    box.ok("start", box.name)
    said = b""
    try:
        while data := os.read(descriptors[0], 4096):
            said += data
    except OSError:
        pass
    assert said.split() == [b"/dev/pts/0", b"33", b"77"]
    os.close(descriptors[0])


def test_terminal_in_the_foreground_is_relayed(box: Box) -> None:
    box.process["terminal"] = True
    result = box.run("sh", "-c", "tty; exit 3", stdin=b"")
    assert (result.code, result.out.split()) == (3, ["/dev/pts/0"])


@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_preserved_and_listening_descriptors(box: Box, verb: str) -> None:
    for name in ("first", "second"):
        (box.directory / name).write_text(f"{name}\n")
    script = "cat <&3; cat <&5; ls /proc/self/fd; echo $LISTEN_FDS:$LISTEN_PID"
    if verb != "exec":
        box.process["args"] = ["sh", "-c", script]
        box.write()
        words = [verb, "--preserve-fds", "2", "--bundle", str(box.bundle), box.name]
    else:
        box.start("sleep", "100")
        words = ["exec", "--preserve-fds", "2", box.name, "sh", "-c", script]
    keep = 'exec 3<"$0/first" 5<"$0/second"; exec "$@"'
    with (box.directory / "out").open("wb") as out:
        subprocess.run(
            ["sh", "-c", keep, str(box.directory), *box.argv(*words)],
            env={**os.environ, "LISTEN_FDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            timeout=30,
            check=True,
        )
    if verb == "create":
        box.ok("start", box.name)
        box.wait()
    lines = box.output().splitlines()
    assert lines[:2] == ["first", "second"]
    # 6 is the folder that is being listed.
    assert set(lines[2:-1]) <= {"0", "1", "2", "3", "4", "5", "6"}
    assert lines[-1] == "1:1"


@pytest.mark.parametrize("verb", ["create", "exec"])
def test_a_pidfd_goes_to_its_socket(box: Box, verb: str) -> None:
    path = box.directory / "pidfd.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        if verb == "create":
            box.create("sleep", "100", words=("--pidfd-socket", str(path)))
            expected = box.pid
        else:
            box.start("sleep", "100")
            words = [
                "exec",
                "-d",
                "--pidfd-socket",
                str(path),
                "--pid-file",
                str(box.directory / "pid"),
            ]
            with (box.directory / "out").open("wb") as out:
                argv = box.argv(*words, box.name, "sleep", "50")
                subprocess.run(
                    argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30, check=True
                )
            expected = int((box.directory / "pid").read_text())
        connection, _ = listener.accept()
        _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    info = Path(f"/proc/self/fdinfo/{descriptors[0]}").read_text()
    assert f"Pid:\t{expected}\n" in info
    os.close(descriptors[0])


def test_exec_by_flags(box: Box) -> None:
    box.start("sleep", "100")
    result = box.call(
        "exec", "--cwd", "/tmp", "--env", "A=1", "-e", "B=2", "--user", "1000:1001", "-g", "77",
        "--cap", "CAP_SYS_TIME", "--no-new-privs", box.name,
        "sh", "-c", "pwd; echo $A$B; id -u; id -g; id -G; grep -E 'CapBnd|NoNew' /proc/self/status",
    )  # fmt: skip
    lines = result.lines
    assert lines[:4] == ["/tmp", "12", "1000", "1001"]
    assert "77" in lines[4].split()
    assert int(status(lines[5:])["CapBnd"], 16) & 1 << 25
    assert status(lines[5:])["NoNewPrivs"] == "1"


def test_exec_does_not_make_its_directory(box: Box) -> None:
    box.start("sleep", "100")
    result = box.call("exec", "--cwd", "/not/there", box.name, "pwd", check=False)
    assert result.code != 0
    assert (
        'chdir to cwd (\\"/not/there\\")' in result.err
        or 'chdir to cwd ("/not/there")' in result.err
    )
    assert not (box.rootfs / "not").exists()


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("dockyard-runtime", (), "1"),
        ("runc", (), "1"),
        ("runc", ("--no-new-privs=false",), "0"),
        ("crun", (), "0"),
        ("crun", ("--no-new-privs",), "1"),
    ],
)
def test_exec_by_flags_and_new_privileges(
    box: Box, name: str, words: tuple[str, ...], expected: str
) -> None:
    """Without the flag it is as the container has it, as with runc; whoever calls the runtime crun gets crun's default."""
    box.process["noNewPrivileges"] = True
    box.start("sleep", "100")
    called = box.directory / name
    called.symlink_to(PROGRAM)
    argv = [str(called), *box.argv("exec", *words, box.name, "cat", "/proc/self/status")[1:]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    assert status(done.stdout.splitlines())["NoNewPrivs"] == expected


def test_exec_in_a_cgroup_below(box: Box) -> None:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("names controllers of cgroup v1")
    box.start("sleep", "100")
    below = box.cgroup("memory") / "below"
    below.mkdir()
    result = box.call(
        "exec", "--cgroup", "memory:below", box.name, "grep", "memory", "/proc/self/cgroup"
    )
    assert result.out.strip().endswith("/below")
    assert box.call("exec", "--cgroup", "nonsense:below", box.name, "true").code == 255
    assert "unknown controller" in box.call("exec", "--cgroup", "odd:/", box.name, "true").err
    assert "not a sub cgroup path" in box.call("exec", "--cgroup", "..", box.name, "true").err


def test_exec_in_a_paused_container(box: Box) -> None:
    box.start("sleep", "100")
    box.ok("pause", box.name)
    assert "paused" in box.call("exec", box.name, "true").err
    with (box.directory / "out").open("wb") as out:
        waiting = subprocess.Popen(
            box.argv("exec", "--ignore-paused", box.name, "true"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        box.started.append(waiting)
        # It is there, and does not run.
        end = time.monotonic() + 10
        group = box.cgroup("freezer") / "cgroup.procs"
        while len(group.read_text().split()) < 2:
            assert time.monotonic() < end
            assert waiting.poll() is None, box.output()
        box.ok("resume", box.name)
        assert waiting.wait(20) == 0


@pytest.mark.parametrize("detached", [False, True])
def test_exec_with_a_terminal(box: Box, detached: bool) -> None:
    """Its master goes to a socket, or the command passes on what is said."""
    box.start("sleep", "100")
    if not detached:
        result = box.call("exec", "--tty", box.name, "sh", "-c", "tty; exit 3")
        assert (result.code, result.out.split()) == (3, ["/dev/pts/0"])
        assert "not a tty" in box.call("exec", box.name, "tty").out
        return
    path = box.directory / "console.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)
        words = ("-d", "-t", "--console-socket", str(path), box.name, "tty")
        with (box.directory / "out").open("wb") as out:
            subprocess.run(
                box.argv("exec", *words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=30,
                check=True,
            )
        connection, _ = listener.accept()
        _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    assert os.read(descriptors[0], 100).split() == [b"/dev/pts/0"]
    os.close(descriptors[0])


@pytest.mark.parametrize(("value", "kept"), [("1", True), (None, False)])
def test_groups_of_the_caller(box: Box, value: str | None, kept: bool) -> None:
    if value:
        box.config["annotations"] = {"run.oci.keep_original_groups": value}
    box.process["args"] = ["grep", "^Groups", "/proc/self/status"]
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=30, check=True, extra_groups=[4, 5, 6]
    )
    assert done.stdout.split()[1:] == (["4", "5", "6"] if kept else [])


def test_other_handlers_are_refused(box: Box) -> None:
    box.config["annotations"] = {"run.oci.handler": "krun"}
    result = box.run("true")
    assert result.code == 1
    assert (
        "annotation run.oci.handler: other handlers than the kernel are not supported" in result.err
    )


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    ("field", "where", "expected"),
    [
        ("apparmorProfile", "/sys/module/apparmor", '"exec some:label"'),
        ("selinuxLabel", "/sys/fs/selinux", '"some:label"'),
        ("mountLabel", "/sys/fs/selinux", 'FSCONFIG_SET_STRING, "rootcontext", "some:label"'),
    ],
)
def test_labels_reach_the_kernel(box: Box, field: str, where: str, expected: str) -> None:
    """Of a host that seems to have the security module; the kernel refuses, and the runtime tells."""
    if Path(where).exists():
        pytest.skip("this host could set it")
    if field == "mountLabel":
        box.linux[field] = "some:label"
        box.config["annotations"] = {"run.oci.mount_context_type": "rootcontext"}
    else:
        box.process[field] = "some:label"
    box.process["args"] = ["true"]
    box.write()
    base = box.directory / "stand-in"
    (base / "cgroup").mkdir(parents=True)
    (base / "selinux").mkdir()
    (base / "selinux/enforce").touch()
    (base / "apparmor").mkdir()
    folder = str(Path(where).parent)
    script = f'mount --rbind /sys/fs/cgroup {base}/cgroup; mount --rbind {base} {folder}; exec "$@"'
    trace = box.directory / "trace"
    words = ["strace", "-f", "-qq", "-s", "100", "-e", "trace=write,fsconfig", "-o", str(trace)]
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *words, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode != 0
    assert expected in trace.read_text()
    assert "security label" in done.stderr or "mount " in done.stderr, done


@pytest.mark.parametrize(
    ("words", "module", "message"),
    [
        (("--apparmor", "some-profile"), "/sys/module/apparmor", "this host has no AppArmor"),
        (("--process-label", "a:b:c"), "/sys/fs/selinux/enforce", "this host has no SELinux"),
    ],
)
def test_labels_of_an_additional_process(
    box: Box, words: tuple[str, str], module: str, message: str
) -> None:
    if Path(module).exists():
        pytest.skip("this host could set it")
    box.start("sleep", "100")
    result = box.call("exec", *words, box.name, "true")
    assert (result.code, message in result.err) == (255, True), result
    field = {"--apparmor": "apparmorProfile", "--process-label": "selinuxLabel"}[words[0]]
    assert message in box.exec("true", **{field: words[1]}).err


def test_readiness_is_passed_to_the_service_manager(box: Box) -> None:
    path = box.directory / "manager.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        environment = {**os.environ, "NOTIFY_SOCKET": str(path)}
        box.process["env"].append("PATH=/bin")
        result = box.run(
            "sh", "-c", "echo $NOTIFY_SOCKET; ls $(dirname $NOTIFY_SOCKET)", env=environment
        )
        assert result.lines == [f"{path}/notify", "notify"]


def test_any_number_of_other_notices_is_passed_over(box: Box) -> None:
    path = box.directory / "manager.sock"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as container,
    ):
        manager.bind(str(path))
        manager.settimeout(20)
        container.settimeout(20)
        environment = {**os.environ, "NOTIFY_SOCKET": str(path)}
        box.create("sleep", "1000", env=environment)
        pid = box.pid
        starting = subprocess.Popen(box.argv("start", box.name), env=environment)
        box.started.append(starting)
        # It listens before the process goes on.
        while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        container.connect(str(box.root / box.name / "notify/notify"))
        for _ in range(20_000):
            container.send(b"STATUS=not yet")
        container.send(b"READY=1")
        assert [manager.recv(100), manager.recv(100)] == [b"READY=1", f"MAINPID={pid}".encode()]
        assert starting.wait(20) == 0


def test_a_user_and_a_pid_namespace_are_joined_together(box: Box) -> None:
    """The process is in both, and known by its pid here."""
    mappings = [{"containerID": 0, "hostID": 100_000, "size": 65_536}]
    box.linux["namespaces"].append({"type": "user"})
    box.linux.update(uidMappings=mappings, gidMappings=mappings)
    box.start("sleep", "1000")
    config = copy.deepcopy(box.config)
    for each in config["linux"]["namespaces"]:
        if each["type"] in ("pid", "user"):
            each["path"] = f"/proc/{box.pid}/ns/{each['type']}"
    config["linux"].update(uidMappings=[], gidMappings=[])
    config["linux"]["cgroupsPath"] += "-second"
    config["root"]["path"] = str(box.rootfs)
    second = Box(box.directory / "second", f"{box.name}-second", config)
    second.bundle.mkdir(parents=True)
    try:
        second.create("sleep", "1000")
        for kind in ("pid", "user"):
            namespaces = {os.readlink(f"/proc/{each.pid}/ns/{kind}") for each in (box, second)}
            assert len(namespaces) == 1, namespaces
        second.ok("start", second.name)
        assert second.exec("sh", "-c", "echo $(cat /proc/1/comm)").lines == ["sleep"]
        assert str(second.pid) in (second.cgroup("pids") / "cgroup.procs").read_text().split()
    finally:
        second.call("delete", "--force", second.name)


@pytest.mark.parametrize("users", ["own", "joined"])
def test_the_oom_score_is_set_in_a_user_namespace(box: Box, users: str) -> None:
    """There the process may not write its own any more."""
    mappings = [{"containerID": 0, "hostID": 100_000, "size": 65_536}]
    box.linux["namespaces"].append({"type": "user"})
    if users == "own":
        box.linux.update(uidMappings=mappings, gidMappings=mappings)
    box.process["oomScoreAdj"] = 500
    with contextlib.ExitStack() as stack:
        if users == "joined":
            holder = stack.enter_context(
                subprocess.Popen(["unshare", "--user", "sleep", "1000"], process_group=0)
            )
            stack.callback(holder.kill)
            owner = Path(f"/proc/{holder.pid}")
            while (owner / "comm").read_text() != "sleep\n":
                time.sleep(0.01)
            for kind in ("uid_map", "gid_map"):
                (owner / kind).write_text("0 100000 65536")
            box.linux["namespaces"][-1]["path"] = str(owner / "ns/user")
        box.start("sleep", "1000")
        assert Path(f"/proc/{box.pid}/oom_score_adj").read_text() == "500\n"
        assert box.exec("cat", "/proc/self/oom_score_adj", oomScoreAdj=600).lines == ["600"]
        box.ok("delete", "--force", box.name)


def test_what_has_no_value_takes_the_place_of_no_variable(box: Box) -> None:
    box.process["env"] = ["PATH=/bin", "ABC=1", "A", "", "ABC=2", "=x"]
    lines = box.sh("cat /proc/1/environ | tr '\\0' '\\n'; true")
    assert {"PATH=/bin", "ABC=2", "A"} <= set(lines), lines
    assert "ABC=1" not in lines
