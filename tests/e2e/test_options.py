"""HostConfig, option by option: what it does inside, and in which words it is refused."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.support.stack import Stack

_PROC = "grep -c ' /proc/' /proc/mounts || true"


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        ("--ulimit nofile=100:200", "ulimit -n; ulimit -Hn", "100\n200"),
        ("--sysctl net.ipv4.ip_forward=0", "cat /proc/sys/net/ipv4/ip_forward", "0"),
        ("", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
        ("--device /dev/zero:/dev/one:r", "head -c1 /dev/one | wc -c", "1"),
        ("--cpuset-cpus 0", "grep Cpus_allowed_list /proc/self/status | cut -f2", "0"),
        ("--shm-size 1m", "grep -o size=1024k /proc/mounts", "size=1024k"),
        ("--ipc none", "ls -d /dev/shm 2>/dev/null || echo none", "none"),
        ("--oom-score-adj 77", "cat /proc/self/oom_score_adj", "77"),
        ("--cgroupns private", "tail -1 /proc/self/cgroup", "0::/"),
        ("--security-opt systempaths=unconfined", _PROC, "0"),
        ("--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status | cut -f2", "1"),
        ("--security-opt no-new-privileges=false", "grep NoNewPrivs /proc/self/status | cut -f2", "0"),
        ("--group-add 77 -u 5", "id -G", "0 77"),
        ("-u 1000:50", "id -u; id -g", "1000\n50"),
        ("--uts host", "hostname", None),
        ("--hostname h --domainname d.example", "hostname -f", "h.d.example"),
        ("--mount type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=700", "stat -c %a /x", "700"),
        ("--tmpfs /x:exec", "grep ' /x ' /proc/mounts | grep -c noexec || true", "0"),
        ("--workdir /made/for/it", "pwd", "/made/for/it"),
        ("--init", "cat /proc/1/comm", "docker-init"),
        ("--pids-limit 77", "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max", "77"),
        ("--add-host one:1.2.3.4", "grep -w one /etc/hosts", "1.2.3.4\tone"),
        ("--dns 9.9.9.9 --dns-search a.example", "grep -E '^(name|search)' /etc/resolv.conf",
         "nameserver 9.9.9.9\nsearch a.example"),
    ],
)  # fmt: skip
def test_option_works(stack: Stack, options: str, script: str, expected: str | None) -> None:
    out = stack.docker("run", "--rm", *options.split(), "busybox", "sh", "-c", script)
    assert expected is None or out == expected


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"Memory": 1 << 20}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 64 << 20, "MemorySwap": 32 << 20}, "Minimum memoryswap limit should be larger than memory limit"),
        ({"MemorySwap": 32 << 20}, "You should always set the Memory limit when using Memoryswap limit"),
        ({"MemoryReservation": 1}, "Minimum memory reservation allowed is 6MB"),
        ({"MemorySwappiness": 200}, "valid memory swappiness range is 0-100"),
        ({"NanoCpus": 10**9, "CpuQuota": 5000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        ({"NanoCpus": 10**15}, "range of CPUs is from 0.01 to"),
        ({"CpuPeriod": 10}, "CPU cfs period can not be less than 1ms"),
        ({"CpuQuota": 10}, "CPU cfs quota can not be less than 1ms"),
        ({"CpuShares": -1}, "invalid CPU shares (-1): value must be a positive integer"),
        ({"CpusetCpus": "9000"}, "Invalid value 9000 for cpuset cpus"),
        ({"CpusetCpus": "8000"}, "Requested CPUs are not available - requested 8000"),
        ({"CpusetMems": "x"}, "Invalid value x for cpuset mems"),
        ({"BlkioWeight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"ShmSize": -1}, "SHM size can not be less than 0"),
        ({"OomScoreAdj": 2000}, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        ({"Ulimits": [{"Name": "foo", "Soft": 1, "Hard": 1}]}, "invalid ulimit type: foo"),
        ({"Ulimits": [{"Name": "core", "Soft": 2, "Hard": 1}]}, "ulimit soft limit must be less than or equal"),
        ({"CapAdd": ["foo"]}, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ({"CapDrop": ["foo"]}, 'invalid CapDrop: unknown capability: "CAP_FOO"'),
        ({"IpcMode": "foo"}, "invalid IPC mode: foo"),
        ({"IpcMode": "container:nope"}, "No such container: nope"),
        ({"PidMode": "foo"}, "invalid PID mode: foo"),
        ({"PidMode": "container:nope"}, "No such container: nope"),
        ({"UTSMode": "foo"}, "invalid UTS mode: foo"),
        ({"UsernsMode": "foo"}, "invalid user namespace mode: foo"),
        ({"CgroupnsMode": "foo"}, "invalid cgroup namespace mode: foo"),
        ({"Isolation": "hyperv"}, "invalid isolation 'hyperv' on linux"),
        ({"NetworkMode": "container:"}, "invalid network mode"),
        ({"NetworkMode": "container:x", "PortBindings": {"80/tcp": []}}, "port publishing and the container type network"),
        ({"NetworkMode": "container:x", "Dns": ["1.1.1.1"]}, "dns and the network mode"),
        ({"RestartPolicy": {"Name": "foo"}}, "invalid restart policy: unknown policy 'foo'"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}}, "maximum retry count can only be used with"),
        ({"RestartPolicy": {"Name": "always"}, "AutoRemove": True}, "can't create 'AutoRemove' container with restart"),
        ({"Devices": [{"PathOnHost": "/dev/null", "CgroupPermissions": "x"}]}, "invalid device mode: x"),
        ({"DeviceCgroupRules": ["foo"]}, "invalid device cgroup rule format: 'foo'"),
        ({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]},
         'could not select device driver "" with capabilities: [[gpu]]'),
        ({"StorageOpt": {"size": "1g"}}, "--storage-opt is supported only for overlay over xfs"),
        ({"VolumeDriver": "foo", "Binds": ["name:/x"]}, 'plugin "foo" not found'),
        ({"VolumesFrom": ["nope"]}, "No such container: nope"),
        ({"VolumesFrom": ["nope:rshared"]}, "invalid mode: rshared"),
        ({"LogConfig": {"Type": "foo"}}, "logger: no log driver named 'foo' is registered"),
        ({"LogConfig": {"Config": {"foo": "1"}}}, "unknown log opt 'foo' for json-file log driver"),
        ({"SecurityOpt": ["foo"]}, 'invalid --security-opt 1: "foo"'),
        ({"SecurityOpt": ["foo=bar"]}, 'invalid --security-opt 2: "foo=bar"'),
        ({"SecurityOpt": ["no-new-privileges=maybe"]}, "invalid --security-opt 2"),
        ({"SecurityOpt": ["seccomp={"]}, "Decoding seccomp profile failed"),
        ({"Runtime": "foo"}, "unknown or invalid runtime name: foo"),
        ({"Binds": ["/a:/b:foo"]}, "invalid mode: foo"),
        ({"Binds": ["/a:/b:ro,rw"]}, "invalid mode: ro,rw"),
        ({"Binds": ["/tmp:/"]}, "invalid specification: destination can't be '/'"),
        ({"Binds": ["/tmp:x"]}, "invalid mount path: 'x' mount path must be absolute"),
        ({"Binds": ["/tmp:/x", "/etc:/x"]}, "Duplicate mount point: /x"),
        ({"Binds": ["a/b:/x"]}, 'create a/b: "a/b" includes invalid characters for a local volume name'),
        ({"Mounts": [{"Type": "foo", "Target": "/x"}]}, 'invalid mount config for type "foo": mount type unknown'),
        ({"Mounts": [{"Type": "bind", "Source": "/nope", "Target": "/x"}]}, "bind source path does not exist: /nope"),
        ({"Mounts": [{"Type": "bind", "Target": "/x"}]}, "field Source must not be empty"),
        ({"Mounts": [{"Type": "volume"}]}, "field Target must not be empty"),
        ({"Mounts": [{"Type": "volume", "Target": "/x", "BindOptions": {"NonRecursive": True}}]},
         "field BindOptions must not be specified"),
        ({"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions": {"Subpath": "a"}}]},
         "must not set Subpath when using anonymous volumes"),
        ({"Memory": "64m"}, "cannot unmarshal string into Go struct field HostConfig.Memory of type int"),
        ({"Binds": "x"}, "cannot unmarshal string into Go struct field HostConfig.Binds"),
        ({"ReadonlyRootfs": 1}, "cannot unmarshal number into Go struct field HostConfig.ReadonlyRootfs"),
    ],
)  # fmt: skip
def test_option_is_refused(stack: Stack, host: dict[str, Any], message: str) -> None:
    body = {"Image": "busybox", "HostConfig": host}
    status, answer = stack.request("POST", "/containers/create", body)
    assert (status, message in answer["message"]) == (400, True), answer
    assert stack.docker("ps", "-aq") == ""
    assert stack.docker("volume", "ls", "-q") == ""


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"WorkingDir": "x"}, "the working directory 'x' is invalid, it needs to be an absolute path"),
        ({"StopSignal": "FOO"}, "invalid signal: FOO"),
        ({"Env": ["=x"]}, "invalid environment variable: =x"),
        ({"Env": "A=1"}, "cannot unmarshal string into Go struct field Config.Env"),
        ({"Tty": "yes"}, "cannot unmarshal string into Go struct field Config.Tty of type bool"),
    ],
)  # fmt: skip
def test_config_is_refused(stack: Stack, config: dict[str, Any], message: str) -> None:
    status, answer = stack.request("POST", "/containers/create", {"Image": "busybox", **config})
    assert (status, message in answer["message"]) == (400, True), answer
    assert stack.docker("ps", "-aq") == ""


def test_missing_device_fails_the_start(stack: Stack) -> None:
    words = ("--rm", "--device", "/dev/nope", "busybox", "true")
    assert "error gathering device information" in stack.fails("run", *words, code=127)


def test_device_rule_lets_a_node_be_used(stack: Stack) -> None:
    script = "mknod /n b 7 0 && dd if=/n count=0 2>/dev/null && echo open"
    rule = ("--device-cgroup-rule", "b 7:* r")
    assert stack.docker("run", "--rm", *rule, "busybox", "sh", "-c", script) == "open"
    assert stack.call("run", "--rm", "busybox", "sh", "-c", script).out == ""


def test_device_permissions(stack: Stack, tmp_path: Path) -> None:
    node = tmp_path / "node"
    os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    script = "dd if=/dev/n count=0 2>/dev/null && dd if=/dev/null of=/dev/n conv=notrunc"
    words = ("run", "--rm", "--device", f"{node}:/dev/n:r", "busybox", "sh", "-c", script)
    assert "Operation not permitted" in stack.fails(*words)


def test_joining_namespaces(stack: Stack) -> None:
    script = "echo hi >/dev/shm/f; exec sleep 99"
    donor = stack.docker("run", "-d", "--ipc", "shareable", "busybox", "sh", "-c", script)
    joined = ("--ipc", f"container:{donor[:12]}", "--pid", f"container:{donor[:12]}")
    out = stack.docker("run", "--rm", *joined, "busybox", "sh", "-c", "cat /dev/shm/f; ps")
    assert "hi\n" in out
    assert "sleep 99" in out
    private = stack.docker("run", "-d", "busybox", "sleep", "99")
    refused = stack.fails("run", "--ipc", f"container:{private}", "busybox", "true", code=125)
    assert "non-shareable IPC" in refused
    stack.docker("rm", "-f", donor)
    refused = stack.fails("run", "--network", f"container:{donor}", "busybox", "true", code=125)
    assert "No such container" in refused


def test_seccomp_profile(stack: Stack, tmp_path: Path) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
            {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}},
        ],
    }
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile))
    words = ("run", "--rm", "--security-opt", f"seccomp={path}", "busybox")
    assert "Input/output error" in stack.fails(*words, "mkdir", "/x")
    assert "No such file" in stack.fails(*words, "rmdir", "/nope")


def test_volumes_from(stack: Stack, tmp_path: Path) -> None:
    binds = ("-v", "shared:/data", "-v", f"{tmp_path}:/host")
    donor = stack.docker("create", *binds, "busybox", "true")
    script = "touch /data/x; touch /host/y; ls /data /host"
    out = stack.call("run", "--rm", "--volumes-from", f"{donor}:ro", "busybox", "sh", "-c", script)
    assert out.err.count("Read-only file system") == 2
    stack.docker("run", "--rm", "--volumes-from", donor, "busybox", "touch", "/host/z")
    assert (tmp_path / "z").exists()
    stack.docker("rm", donor)
    stack.docker("volume", "rm", "shared")


def test_volume_subpath(stack: Stack) -> None:
    words = ("run", "--rm", "--mount", "type=volume,src=tree,dst=/x,volume-subpath=in")
    assert "no such file or directory" in stack.fails(*words, "busybox", "ls", "/x", code=127)
    script = "mkdir /v/in; touch /v/in/file; ln -s /etc /v/out"
    stack.docker("run", "--rm", "-v", "tree:/v", "busybox", "sh", "-c", script)
    assert stack.docker(*words, "busybox", "ls", "/x") == "file"
    hostile = ("--mount", "type=volume,src=tree,dst=/x,volume-subpath=out")
    assert "no such file" in stack.fails("run", "--rm", *hostile, "busybox", "ls", code=127)
    stack.docker("volume", "rm", "tree")


def test_a_limit_of_processes_is_taken_away(stack: Stack) -> None:
    script = "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max"
    options = ("--cgroupns", "private", "--pids-limit", "50")
    name = stack.docker("run", "-d", *options, "busybox", "sleep", "99")
    assert stack.docker("exec", name, "sh", "-c", script) == "50"
    status, _ = stack.request("POST", f"/containers/{name}/update", {"PidsLimit": 0})
    assert status == 200
    assert stack.docker("exec", name, "sh", "-c", script) == "max"
    assert stack.inspect(name)["HostConfig"]["PidsLimit"] is None


def test_update(stack: Stack) -> None:
    name = stack.docker("run", "-d", "-m", "64m", "busybox", "sleep", "99")
    stack.docker("update", "--cpus", "0.5", "-m", "96m", "--memory-swap", "192m", name)
    host = stack.inspect(name)["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (
        5 * 10**8,
        96 << 20,
        192 << 20,
    )
    assert "CPU Quota cannot be updated as NanoCPUs" in stack.fails(
        "update", "--cpu-quota", "5000", name
    )
    assert "update the memoryswap at the same time" in stack.fails("update", "-m", "1g", name)
    stack.docker("update", "--restart", "on-failure:3", name)
    assert stack.inspect(name)["HostConfig"]["RestartPolicy"] == {
        "Name": "on-failure",
        "MaximumRetryCount": 3,
    }


def test_top_with_arguments(stack: Stack) -> None:
    name = stack.docker("run", "-d", "busybox", "sleep", "99")
    assert stack.docker("top", name, "-o", "pid,args").split("\n")[1].endswith("sleep 99")
    assert "Couldn't find PID field" in stack.fails("top", name, "-o", "args")


def test_exec_as_nobody_known_says_why(stack: Stack) -> None:
    name = stack.docker("run", "-d", "busybox", "sleep", "99")
    done = stack.call("exec", "-u", "nope", name, "id")
    assert done.code == 126
    assert done.out.strip() == "unable to find user nope: no matching entries in passwd file"


def test_what_the_cli_does_not_ask_for(stack: Stack) -> None:
    """Fields of a create request that the command line has no option for."""
    command = ["sh", "-c", "stty size; ls /sys/class/net"]
    body = {"Image": "busybox", "cmd": command, "TTY": True, "NetworkDisabled": True}
    status, answer = stack.request(
        "POST", "/containers/create", {**body, "HostConfig": {"consolesize": [11, 77]}}
    )
    assert status == 201, answer
    stack.docker("start", answer["Id"])
    stack.docker("wait", answer["Id"])
    assert stack.docker("logs", answer["Id"]).split() == ["11", "77", "lo"]
    status, refused = stack.request("POST", f"/containers/{answer['Id']}/start?checkpoint=one")
    assert (status, refused["message"]) == (400, "checkpoint is not supported")
