"""daemon.json, flags and SIGHUP, as the docker CLI sees them."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.dockerd import Dockerd, own_dockerd
from tests.support.images import BUSYBOX
from tests.support.stack import BIN, wait_until

_PARENT = f"dyd-{os.getpid()}"


@pytest.fixture(scope="module")
def own() -> Iterator[Dockerd]:
    with own_dockerd() as daemon:
        yield daemon


@pytest.fixture
def daemon(own: Dockerd) -> Iterator[Dockerd]:
    own.configure()
    yield own
    own.clear()
    # Docker, too, leaves a parent cgroup to who named it.
    for hierarchy in ("/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*/")):
        with contextlib.suppress(OSError):
            os.rmdir(f"{hierarchy}/{_PARENT}")


def test_defaults_of_containers(daemon: Dockerd, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        json.dumps(
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42}
                ],
            }
        )
    )
    daemon.configure(
        default_ulimits={"nofile": {"Name": "nofile", "Soft": 123, "Hard": 456}},
        no_new_privileges=True,
        default_shm_size="8m",
        init=True,
        cgroup_parent=f"/{_PARENT}",
        log_opts={"max-size": "1m", "max-file": "2"},
        dns=["10.11.12.13"],
        dns_search=["example.test"],
        dns_opts=["ndots:3"],
        host_gateway_ips=["10.14.15.16"],
        seccomp_profile=str(profile),
        default_cgroupns_mode="private",
        default_ipc_mode="shareable",
        runtimes={"talkative": {"path": str(BIN / "dockyard-runtime"), "runtimeArgs": ["--debug"]}},
        default_runtime="talkative",
        mtu=1399,
        labels=["rack=7"],
        ipv6=True,
        bip6="fd00:96::1/64",
        fixed_cidr_v6="fd00:96::100/120",
    )
    daemon.start()
    script = (
        "ulimit -n; ulimit -Hn; grep NoNewPrivs /proc/self/status; df -k /dev/shm | tail -n 1; cat /proc/1/comm;"
        "cat /etc/resolv.conf; grep gateway /etc/hosts; hostname x;"
        "ip -6 addr show dev eth0; ip -6 route; cat /sys/class/net/eth0/mtu"
    )
    words = ["--name", "configured", "--cap-add", "SYS_ADMIN", "--add-host", "gate:host-gateway"]
    out = daemon.call(
        "run", *words, "--add-host", "gateway:host-gateway", BUSYBOX, "sh", "-c", script
    )
    lines = out.out.split("\n")
    assert lines[:3] == ["123", "456", "NoNewPrivs:\t1"], out
    assert " 8192 " in lines[3]
    assert lines[4] == "docker-init"
    assert {"nameserver 10.11.12.13", "search example.test", "options ndots:3"} <= set(lines)
    assert "10.14.15.16\tgateway" in lines
    assert lines[-2] == "1399"
    assert "inet6 fd00:96::100/64" in out.out
    assert "default via fd00:96::1" in out.out
    assert "hostname" in out.err, "the default profile was not applied"
    host = daemon.inspect("configured")["HostConfig"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}
    assert (host["Runtime"], host["IpcMode"], host["CgroupnsMode"]) == (
        "talkative",
        "shareable",
        "private",
    )
    assert host["CgroupParent"] == f"/{_PARENT}"
    info = json.loads(daemon.docker("info", "-f", "{{json .}}"))
    assert info["Labels"] == ["rack=7"]
    assert info["DefaultRuntime"] == "talkative"
    assert info["Runtimes"]["talkative"]["runtimeArgs"] == ["--debug"]
    assert "name=no-new-privileges" in info["SecurityOptions"]


def test_what_the_user_says_stands_above_the_defaults(daemon: Dockerd) -> None:
    daemon.configure(
        default_ulimits={"nofile": {"Name": "nofile", "Soft": 123, "Hard": 456}},
        log_opts={"max-size": "1m"},
        init=True,
        no_new_privileges=True,
    )
    daemon.start()
    own = ["--ulimit", "nofile=77:78", "--init=false", "--security-opt", "no-new-privileges=false"]
    out = daemon.docker(
        *("run", "--name", "own", "--log-opt", "max-size=2m", *own, BUSYBOX),
        *("sh", "-c", "ulimit -n; cat /proc/1/comm; grep NoNewPrivs /proc/self/status"),
    )
    assert out.split("\n") == ["77", "sh", "NoNewPrivs:\t0"]
    assert daemon.inspect("own")["HostConfig"]["LogConfig"]["Config"] == {"max-size": "2m"}
    daemon.docker("create", "--name", "other", "--log-driver", "none", BUSYBOX)
    assert daemon.inspect("other")["HostConfig"]["LogConfig"] == {"Type": "none", "Config": {}}


def test_defaults_of_networks(daemon: Dockerd) -> None:
    daemon.configure(
        default_address_pools=[{"base": "10.233.96.0/22", "size": 24}],
        default_network_opts={"bridge": {"com.docker.network.driver.mtu": "1234"}},
    )
    daemon.start()
    try:
        daemon.docker("network", "create", "pooled")
        daemon.docker("network", "create", "--opt", "com.docker.network.driver.mtu=1400", "own")
        pooled, own = json.loads(daemon.docker("network", "inspect", "pooled", "own"))
        assert pooled["IPAM"]["Config"][0]["Subnet"] == "10.233.96.0/24"
        assert own["IPAM"]["Config"][0]["Subnet"] == "10.233.97.0/24"
        assert pooled["Options"]["com.docker.network.driver.mtu"] == "1234"
        assert own["Options"]["com.docker.network.driver.mtu"] == "1400"
    finally:
        daemon.call("network", "rm", "pooled", "own")


def test_reload(daemon: Dockerd) -> None:
    daemon.configure(labels=["rack=1"], max_concurrent_uploads=9)
    daemon.start()
    runtime = {"path": str(BIN / "dockyard-runtime"), "runtimeArgs": ["--debug"]}
    daemon.configure(
        labels=["rack=2"],
        debug=True,
        registry_mirrors=["http://127.0.0.1:9"],
        insecure_registries=["10.0.0.0/8", "r.invalid:5"],
        runtimes={"late": runtime},
        default_shm_size="4m",
        shutdown_timeout=3,
        bridge="elsewhere",
    )
    # A key that is a flag, too, is as wrong now as at the start.
    daemon.reload('"error reloading configuration"')
    assert daemon.docker("info", "-f", "{{.Labels}}") == "[rack=1]"
    document = json.loads(daemon.file.read_text())
    del document["bridge"]
    daemon.file.write_text(json.dumps(document))
    daemon.reload()
    info = json.loads(daemon.docker("info", "-f", "{{json .}}"))
    assert (info["Labels"], info["Debug"]) == (["rack=2"], True)
    assert info["RegistryConfig"]["Mirrors"] == ["http://127.0.0.1:9/"]
    assert info["RegistryConfig"]["IndexConfigs"]["r.invalid:5"]["Secure"] is False
    assert "10.0.0.0/8" in info["RegistryConfig"]["InsecureRegistryCIDRs"]
    assert "late" in info["Runtimes"]
    assert daemon.docker("run", "--rm", "--runtime", "late", BUSYBOX, "echo", "ran") == "ran"
    daemon.docker("create", "--name", "after", BUSYBOX)
    assert daemon.inspect("after")["HostConfig"]["ShmSize"] == 4 << 20
    _, event = daemon.request(
        "GET", f'/events?since=1&until={time.time()}&filters={{"event":["reload"]}}'
    )
    attributes = event["Actor"]["Attributes"]
    assert attributes["labels"] == '["rack=2"]'
    assert attributes["max-concurrent-uploads"] == "5"
    assert (attributes["shutdown-timeout"], attributes["debug"]) == ("3", "true")
    daemon.configure(labels=["bad"])
    daemon.reload('"error reloading configuration"')
    assert "bad attribute format: bad" in daemon.log
    assert daemon.docker("info", "-f", "{{.Labels}}") == "[rack=2]"


def test_runtime_that_is_gone_is_not_replaced_in_silence(daemon: Dockerd) -> None:
    daemon.configure(runtimes={"gone": {"path": str(BIN / "dockyard-runtime")}})
    daemon.start()
    daemon.docker("create", "--name", "orphan", "--runtime", "gone", BUSYBOX, "true")
    daemon.configure(runtimes={})
    daemon.reload()
    assert "unknown or invalid runtime name: gone" in daemon.fails("start", "orphan")


def test_validate_and_refusals(daemon: Dockerd) -> None:
    daemon.configure(labels=["a=b"])
    done = subprocess.run(daemon.command("--validate"), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "configuration OK\n")
    assert not daemon.pidfile.exists()
    daemon.configure(hosts=["fd://"], nonsense=True)
    words = f"unable to configure the Docker daemon with file {daemon.file}: "
    unknown = "the following directives don't match any configuration option: nonsense\n"
    assert daemon.refused("--validate") == words + unknown
    daemon.configure(hosts=["fd://"])
    assert f"hosts: (from flag: [{daemon.url}], from file: [fd://])" in daemon.refused()


def test_least_version_and_experimental(daemon: Dockerd) -> None:
    daemon.configure(experimental=True)
    daemon.environment_more["DOCKER_MIN_API_VERSION"] = "1.44"
    try:
        daemon.start()
    finally:
        daemon.environment_more.clear()
    status, answer = daemon.request("GET", "/v1.43/info")
    assert status == 400
    assert "Minimum supported API version is 1.44" in answer["message"]
    assert daemon.docker("version", "-f", "{{.Server.MinAPIVersion}}") == "1.44"
    assert daemon.docker("version", "-f", "{{.Server.Experimental}}") == "true"


def test_requests_are_finished_and_streams_are_not_waited_for(daemon: Dockerd) -> None:
    daemon.start()
    deaf = "trap '' TERM; echo ready; while :; do sleep 1; done"
    daemon.docker("run", "-d", "--name", "deaf", BUSYBOX, "sh", "-c", deaf)
    with daemon.popen("logs", "-f", "deaf", stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == b"ready\n"
        with daemon.popen("stop", "-t", "1", "deaf", stdout=subprocess.PIPE) as stopping:
            wait_until(lambda: _signalled(daemon, "deaf"), what="the signal")
            assert daemon.stop() == 0
            out, _ = stopping.communicate(timeout=20)
            assert (stopping.returncode, out) == (0, b"deaf\n")
        logs.wait(20)
    daemon.start()
    assert daemon.inspect("deaf")["State"]["ExitCode"] == 137


def test_patience_has_an_end(daemon: Dockerd) -> None:
    daemon.configure(shutdown_timeout=1)
    daemon.start()
    daemon.docker("run", "-d", "--name", "deafer", BUSYBOX, "sh", "-c", "trap '' TERM; sleep 600")
    with daemon.popen("stop", "-t", "60", "deafer", stderr=subprocess.PIPE) as stopping:
        wait_until(lambda: _signalled(daemon, "deafer"), what="the signal")
        daemon.stop()
        assert stopping.wait(20) == 1
    assert "requests under way are given up" in daemon.log


def _signalled(daemon: Dockerd, name: str) -> bool:
    query = f'since=1&until={time.time()}&filters={{"event":["kill"],"container":["{name}"]}}'
    return bool(daemon.request("GET", f"/events?{query}")[1])


def test_pidfile(daemon: Dockerd) -> None:
    daemon.start()
    assert daemon.process is not None
    assert daemon.pidfile.read_text().strip() == str(daemon.process.pid)
    second = Dockerd(daemon.root)
    refusal = second.refused("--data-root=" + str(daemon.root / "second"))
    assert f"process with PID {daemon.process.pid} is still running" in refusal
    assert daemon.stop() == 0
    assert not daemon.pidfile.exists()
    daemon.start()
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(20)
    assert daemon.pidfile.exists()
    daemon.start()
    wait_until(lambda: daemon.pidfile.read_text().strip() == str(daemon.process.pid))  # type: ignore[union-attr]
