"""`docker run` and what its flags do, with the real CLI."""

from __future__ import annotations

import os

import pytest
from tests.support.stack import Stack, Terminal, wait_until

_BRIDGE = '{{index .Options "com.docker.network.bridge.name"}}'


def test_output_and_exit_status(stack: Stack) -> None:
    done = stack.call("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    assert stack.docker("ps", "-aq") == ""


def test_command_not_found_is_127(stack: Stack) -> None:
    error = stack.fails("run", "--rm", "busybox", "nope", code=127)
    assert 'exec: "nope": executable file not found in $PATH' in error


def test_command_not_executable_is_126(stack: Stack) -> None:
    assert "permission denied" in stack.fails("run", "--rm", "busybox", "/etc/passwd", code=126)


def test_input_comes_back_byte_identical(stack: Stack) -> None:
    data = os.urandom(20_000_000)
    done = stack.call("run", "-i", "--rm", "busybox", "cat", stdin=data, binary=True)
    assert done.returncode == 0
    assert done.stdout == data


def test_environment_directory_and_user(stack: Stack) -> None:
    script = "echo $A; pwd; id -u; id -g; id -G; hostname; echo $HOME"
    words = ("-e", "A=1", "-w", "/srv/x", "-u", "user", "-h", "box", "busybox", "sh", "-c", script)
    lines = stack.docker("run", "--rm", *words).splitlines()
    assert lines == ["1", "/srv/x", "1000", "1000", "1000 2000", "box", "/home"]


def test_unknown_user_is_refused(stack: Stack) -> None:
    error = stack.fails("run", "--rm", "-u", "nobody-here", "busybox", "true", code=125)
    assert "unable to find user nobody-here: no matching entries in passwd file" in error


def test_terminal(stack: Stack) -> None:
    terminal = Terminal(stack, "run", "-it", "--rm", "busybox", "sh")
    terminal.expect("#")
    terminal.send("tty; stty size; exit 5\n")
    terminal.expect("/dev/pts/0")
    assert terminal.wait() == 5


def test_detach_keys_leave_the_container_running(stack: Stack) -> None:
    terminal = Terminal(stack, "run", "-it", "--name", "kept", "busybox", "sh")
    terminal.expect("#")
    terminal.send("\x10\x11")
    assert terminal.wait() == 0
    assert stack.inspect("kept")["State"]["Running"] is True
    again = Terminal(stack, "attach", "kept")
    again.send("\n")
    again.expect("#")
    again.send("exit 3\n")
    assert again.wait() == 3


def test_limits(stack: Stack) -> None:
    words = (
        "-d",
        "--memory",
        "64m",
        "--cpus",
        "0.5",
        "--pids-limit",
        "50",
        "busybox",
        "sleep",
        "99",
    )
    name = stack.docker("run", *words)
    host = stack.inspect(name)["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)


def test_memory_limit_kills(stack: Stack) -> None:
    script = "x=$(dd if=/dev/zero bs=1M count=200 | tr '\\0' a); echo $x | wc -c"
    words = ("--name", "hog", "--memory", "24m", "--memory-swap", "24m", "busybox", "sh", "-c")
    assert stack.call("run", *words, f'exec sh -c "{script}"').code == 137
    assert stack.inspect("hog")["State"]["OOMKilled"] is True


def test_read_only_and_tmpfs(stack: Stack) -> None:
    script = "touch /x; touch /run-here/y && echo yes; grep run-here /proc/mounts"
    words = ("--read-only", "--tmpfs", "/run-here:size=1m", "busybox", "sh", "-c", script)
    done = stack.call("run", "--rm", *words)
    assert "Read-only file system" in done.err
    assert done.lines[0] == "yes"
    assert "size=1024k" in done.lines[1]


def test_capabilities(stack: Stack) -> None:
    def bounding(*flags: str) -> int:
        out = stack.docker("run", "--rm", *flags, "busybox", "grep", "CapBnd", "/proc/self/status")
        return int(out.split()[1], 16)

    default = bounding()
    assert default == 0x00000000A80425FB
    assert bounding("--cap-add", "NET_ADMIN") == default | 1 << 12
    assert bounding("--cap-drop", "CHOWN") == default & ~1
    assert bounding("--cap-drop", "ALL") == 0
    assert bounding("--privileged") > default


def test_seccomp_and_no_new_privileges(stack: Stack) -> None:
    words = ("--security-opt", "no-new-privileges", "busybox", "grep", "-E", "Seccomp:|NoNewPrivs")
    lines = stack.docker("run", "--rm", *words, "/proc/self/status").splitlines()
    assert [line.split()[1] for line in lines] == ["1", "2"]
    words = ("--security-opt", "seccomp=unconfined", "busybox", "grep", "Seccomp:")
    assert stack.docker("run", "--rm", *words, "/proc/self/status").split()[1] == "0"


def test_init_reaps(stack: Stack) -> None:
    assert stack.docker(
        "run", "--rm", "--init", "busybox", "sh", "-c", "cat /proc/1/comm"
    ).startswith("docker")


def test_restart_policy(stack: Stack) -> None:
    name = stack.docker("run", "-d", "--restart", "on-failure:2", "busybox", "sh", "-c", "exit 3")
    wait_until(lambda: stack.inspect(name)["State"]["Status"] == "exited")
    assert stack.docker("wait", name) == "3"
    assert stack.inspect(name)["RestartCount"] == 2


@pytest.mark.parametrize("network", ["none", "host"])
def test_network_modes(stack: Stack, network: str) -> None:
    out = stack.docker("run", "--rm", "--network", network, "busybox", "ls", "/sys/class/net")
    # Other stacks of this machine come and go: only our own bridge is sure to be there.
    bridge = stack.docker("network", "inspect", "bridge", "--format", _BRIDGE)
    assert "lo" in out.split()
    assert (bridge in out.split()) == (network == "host")


def test_join_another_containers_network(stack: Stack) -> None:
    stack.docker("run", "-d", "--name", "first", "busybox", "sleep", "99")
    words = ("--network", "container:first", "busybox", "ip", "-4", "-o", "addr", "show", "eth0")
    address = stack.inspect("first")["NetworkSettings"]["IPAddress"]
    assert address in stack.docker("run", "--rm", *words)
