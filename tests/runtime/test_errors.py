"""What a caller learns when something fails, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest
from tests.runtime.conftest import Box


def refused(box: Box, kind: str) -> str:
    """Create must fail with that kind and leave nothing; the message."""
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1, result
    assert box.kind() == kind, result
    assert len(result.err.strip().splitlines()) == 1
    assert not box.root.exists() or list(box.root.iterdir()) == []
    assert not box.cgroup("memory").exists()
    return result.err


def test_program_not_found(box: Box) -> None:
    box.process["args"] = ["no-such-program"]
    message = refused(box, "command_not_found")
    assert 'exec: "no-such-program": executable file not found in $PATH' in message


def test_program_path_not_found(box: Box) -> None:
    box.process["args"] = ["/no/such"]
    assert 'exec: "/no/such": stat /no/such: no such file or directory' in refused(
        box, "command_not_found"
    )


def test_program_without_permission(box: Box) -> None:
    (box.rootfs / "bin/plain").write_text("text")
    box.process["args"] = ["/bin/plain"]
    assert "permission denied" in refused(box, "command_not_executable")


def test_program_is_a_directory(box: Box) -> None:
    box.process["args"] = ["/etc"]
    assert "is a directory" in refused(box, "command_not_executable")


def test_missing_interpreter_is_said_on_standard_error(box: Box) -> None:
    script = box.rootfs / "bin/script"
    script.write_text("#!/no/interpreter\n")
    script.chmod(0o755)
    result = box.run("/bin/script")
    assert result.code in {1, 127, 255}
    assert "no such file or directory" in result.err


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("ociVersion",), "2.0.0", "ociVersion"),
        (("root",), None, "root"),
        (("process",), None, "process"),
        (("process", "args"), [], "process.args"),
        (("process", "cwd"), "relative", "process.cwd"),
        (("process", "env"), ["A=\0"], "process.env"),
        (("process", "rlimits"), [{"type": "RLIMIT_X", "soft": 1, "hard": 1}], "RLIMIT_X"),
        (
            ("process", "rlimits"),
            [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2,
            "RLIMIT_CORE",
        ),
        (("process", "selinuxLabel"), "a:b:c", "selinuxLabel"),
        (("process", "scheduler"), {"policy": "SCHED_X"}, "SCHED_X"),
        (("process", "ioPriority"), {"class": "X", "priority": 1}, "ioPriority"),
        (("process", "terminal"), True, "console-socket"),
        (("linux", "sysctl"), {"kernel.panic": "1"}, "kernel.panic"),
        (("linux", "sysctl"), {"net..evil": "1"}, "net..evil"),
        (("linux", "intelRdt"), {"closID": "x"}, "intelRdt"),
        (("linux", "memoryPolicy"), {"mode": "MPOL_BIND"}, "memoryPolicy"),
        (("linux", "netDevices"), {"no-such-device": {}}, "netDevices"),
        (("linux", "personality"), {"domain": "X"}, "personality"),
        (
            ("linux", "personality"),
            {"domain": "LINUX", "flags": ["X"]},
            "linux.personality.flags: none is supported",
        ),
        (("linux", "mountLabel"), "a:b:c", "mountLabel"),
        (("linux", "cgroupsPath"), "/a/../../b", "cgroupsPath"),
        (("linux", "rootfsPropagation"), "odd", "rootfsPropagation"),
        (("linux", "devices"), [{"path": "/dev/x", "type": "z"}], "linux.devices"),
        (("linux", "namespaces"), [{"type": "pid"}], "mount namespace"),
        (("linux", "namespaces"), [{"type": "mount"}, {"type": "mount"}], "twice"),
        (
            ("linux", "namespaces"),
            [{"type": "mount"}, {"type": "network", "path": "/no/such"}],
            "/no/such",
        ),
        (("linux", "seccomp"), {"defaultAction": "SCMP_ACT_X"}, "SCMP_ACT_X"),
        (
            ("mounts",),
            [{"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]}],
            "/no/such",
        ),
        (
            ("mounts",),
            [{"destination": "/x", "type": "tmpfs", "source": "x", "options": ["move"]}],
            "move",
        ),
        (("mounts",), [{"destination": "", "type": "tmpfs", "source": "x"}], "destination"),
    ],
)
def test_bad_configuration_is_refused_by_name(
    box: Box, path: tuple[str, ...], value: Any, words: str
) -> None:
    del box.config["hostname"]
    target = box.config
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert box.kind() == "invalid_config", result
    assert words in result.err
    assert not box.root.exists() or list(box.root.iterdir()) == []


def test_unknown_file_system_is_refused(box: Box) -> None:
    box.mounts.append({"destination": "/x", "type": "nosuchfs", "source": "x", "options": []})
    assert "nosuchfs" in refused(box, "internal")


def test_unknown_mount_option_is_refused(box: Box) -> None:
    box.mounts.append(
        {"destination": "/x", "type": "tmpfs", "source": "x", "options": ["nonsense=1"]}
    )
    assert "/x" in refused(box, "internal")


def test_broken_json_is_refused(box: Box) -> None:
    (box.bundle / "config.json").write_text("{")
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert box.kind() == "invalid_config"


def test_missing_bundle_and_container(box: Box) -> None:
    assert box.call("create", "--bundle", "/no/such", box.name).code == 1
    for words in (["start"], ["state"], ["delete"], ["pause"], ["kill"], ["ps"], ["exec"]):
        tail = ["true"] if words == ["exec"] else []
        result = box.call(*words, box.name, *tail)
        assert result.code != 0
        assert "does not exist" in result.err
        assert box.kind() == "not_found"


def test_a_failed_creation_can_be_repeated(box: Box) -> None:
    box.process["args"] = ["no-such-program"]
    refused(box, "command_not_found")
    assert box.run("true").code == 0
