"""`linux.seccomp`: what a program may call, what it is told otherwise, and who is asked."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.conftest import Box

from dockerd.spec.capabilities import DEFAULT_CAPABILITIES
from dockerd.spec.seccomp import default_profile

EIO, EXDEV = 5, 18
# ioctl(2) on a listener, and the lengths of what goes back and forth.
RECEIVE, SEND, NOTICE, ANSWER = 0xC0502100, 0xC0182101, 80, "QqiI"


def profile(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": list(rules),
        **more,
    }


def rule(*names: str, action: str = "SCMP_ACT_ERRNO", **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action, **more}


def test_the_number_of_an_error(box: Box) -> None:
    box.linux["seccomp"] = profile(rule("mkdir", "mkdirat", errnoRet=EXDEV))
    assert "Invalid cross-device link" in box.run("mkdir", "/x").err


def test_the_number_of_the_default_error(box: Box) -> None:
    """With an engine's own list of what is allowed, less one call."""
    seccomp = default_profile(DEFAULT_CAPABILITIES)
    for each in seccomp["syscalls"]:
        each["names"] = [name for name in each["names"] if not name.startswith("mkdir")]
    seccomp["syscalls"] = [each for each in seccomp["syscalls"] if each["names"]]
    box.linux["seccomp"] = {**seccomp, "defaultErrnoRet": EXDEV}
    assert "Invalid cross-device link" in box.run("mkdir", "/x").err


@pytest.mark.parametrize(
    ("condition", "denied", "allowed"),
    [
        ({"index": 1, "op": "SCMP_CMP_EQ", "value": 0o640}, "640", "600"),
        ({"index": 1, "op": "SCMP_CMP_NE", "value": 0o640}, "600", "640"),
        ({"index": 1, "op": "SCMP_CMP_GT", "value": 0o640}, "641", "640"),
        ({"index": 1, "op": "SCMP_CMP_GE", "value": 0o640}, "640", "637"),
        ({"index": 1, "op": "SCMP_CMP_LT", "value": 0o640}, "637", "640"),
        ({"index": 1, "op": "SCMP_CMP_LE", "value": 0o640}, "640", "641"),
        (
            {"index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 0o070, "valueTwo": 0o040},
            "640",
            "600",
        ),
    ],
)
def test_conditions_about_arguments(
    box: Box, condition: dict[str, Any], denied: str, allowed: str
) -> None:
    """chmod(2) has the mode in its second argument."""
    box.linux["seccomp"] = profile(rule("chmod", errnoRet=EIO, args=[condition]))
    script = (
        f"touch /f; chmod {denied} /f 2>/dev/null || echo denied; chmod {allowed} /f; stat -c %a /f"
    )
    assert box.sh(script) == ["denied", allowed]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_flags_are_passed_to_the_kernel(box: Box) -> None:
    flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    box.linux["seccomp"] = profile(rule("reboot"), flags=flags)
    box.process["args"] = ["true"]
    box.write()
    trace = box.directory / "trace"
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=seccomp", *argv],
        stdin=subprocess.DEVNULL,
        timeout=40,
        check=True,
    )
    assert f"(SECCOMP_SET_MODE_FILTER, {'|'.join(flags)}, " in trace.read_text()


class Agent:
    """Who is asked: it answers every call with an error of its own."""

    def __init__(self, path: Path) -> None:
        self.said: dict[str, Any] = {}
        self.kind = ""
        self.pid = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(20)
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            text, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
        self.said = json.loads(text)
        (descriptor,) = descriptors
        self.kind = os.readlink(f"/proc/self/fd/{descriptor}")
        notice = bytearray(NOTICE)
        fcntl.ioctl(descriptor, RECEIVE, notice)
        number, self.pid = struct.unpack_from("QI", notice)
        fcntl.ioctl(descriptor, SEND, bytearray(struct.pack(ANSWER, number, 0, -EXDEV, 0)))
        os.close(descriptor)

    def wait(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(25)


@pytest.fixture
def agent(box: Box) -> Iterator[Agent]:
    made = Agent(box.directory / "agent.sock")
    yield made
    made.close()


@pytest.mark.parametrize("by_annotation", [False, True])
def test_an_agent_is_asked(box: Box, agent: Agent, by_annotation: bool) -> None:
    path = str(box.directory / "agent.sock")
    box.linux["seccomp"] = profile(
        rule("mkdir", "mkdirat", action="SCMP_ACT_NOTIFY"), listenerMetadata="for the agent"
    )
    if by_annotation:
        box.config["annotations"] = {"run.oci.seccomp.receiver": path}
    else:
        box.linux["seccomp"]["listenerPath"] = path
    result = box.run("mkdir", "/x")
    agent.wait()
    assert "Invalid cross-device link" in result.err, (result, agent.said)
    assert set(agent.said) == {"ociVersion", "fds", "pid", "metadata", "state"}
    assert (agent.said["ociVersion"], agent.said["fds"]) == ("0.2.0", ["seccompFd"])
    assert agent.said["metadata"] == "for the agent"
    state = agent.said["state"]
    assert (state["id"], state["status"], state["bundle"]) == (
        box.name,
        "creating",
        str(box.bundle),
    )
    assert agent.said["pid"] == state["pid"] == agent.pid > 0
    assert agent.kind == "anon_inode:seccomp notify"


@pytest.mark.parametrize(
    ("seccomp", "words"),
    [
        (profile(rule("mkdir", action="SCMP_ACT_NOTIFY")), "linux.seccomp.listenerPath"),
        (
            profile(rule("mkdir", action="SCMP_ACT_NOTIFY"), listenerPath="/no/such"),
            "failed to connect with seccomp agent at /no/such",
        ),
        (profile(defaultAction="SCMP_ACT_NOTIFY"), "cannot be used as default action"),
        (profile(rule("write", action="SCMP_ACT_NOTIFY"), listenerPath="/x"), "write"),
        (profile(flags=["SECCOMP_FILTER_FLAG_ODD"]), "SECCOMP_FILTER_FLAG_ODD"),
        (profile(architectures=["odd"]), '"odd"'),
        (profile(rule("mkdir", args=[{"index": 6, "op": "SCMP_CMP_EQ"}])), "index 6"),
        (profile(rule("mkdir", args=[{"index": 1, "op": "SCMP_CMP_ODD"}])), "SCMP_CMP_ODD"),
    ],
)
def test_what_cannot_be_is_refused_by_name(box: Box, seccomp: dict[str, Any], words: str) -> None:
    box.linux["seccomp"] = seccomp
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert words in result.err
    assert not box.root.exists() or list(box.root.iterdir()) == []


def test_a_filter_that_cannot_be_read_is_not_left_out(box: Box) -> None:
    """An additional process without it would be free to do what the container may not."""
    box.linux["seccomp"] = profile(rule("reboot"))
    box.start("sleep", "1000")
    kept = box.root / box.name / "seccomp.bpf"
    kept.unlink()
    kept.mkdir()
    result = box.exec("true")
    assert result.code == 255
    assert "read the container's seccomp filter: is a directory" in result.err
