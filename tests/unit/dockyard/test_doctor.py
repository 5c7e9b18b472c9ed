"""Findings about a stack that needs no daemon to be looked at."""

from __future__ import annotations

import socket
from pathlib import Path

from dockyard import doctor
from dockyard.stack import stack_at


def _bundle(root: Path, name: str, address: str | None) -> None:
    bundle = root / "run/containerd/io.containerd.runtime.v2.task/moby" / name
    bundle.mkdir(parents=True)
    if address is not None:
        (bundle / "address").write_text(f"unix://{address}")


def test_shims_that_do_not_answer_are_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as shim:
        shim.bind(str(tmp_path / "shim"))
        shim.listen()
        _bundle(tmp_path, "a" * 64, str(tmp_path / "shim"))
        _bundle(tmp_path, "b" * 64, str(tmp_path / "gone"))
        _bundle(tmp_path, "c" * 64, None)
        findings = list(doctor._shims(stack_at(str(tmp_path))))
    problems = sorted(each.text[:25] for each in findings if each.level == "problem")
    assert problems == [f"of container {'b' * 12}", f"of container {'c' * 12}"]
    assert findings[-1] == doctor.Finding("ok", "tasks", "3")


def test_absent_daemons_are_no_problem_but_said(tmp_path: Path) -> None:
    stack = stack_at(str(tmp_path))
    found = doctor._socket("docker socket", stack.docker_socket, lambda: "")
    assert (found.level, "does not run" in found.text) == ("warning", True)


def test_a_socket_that_nobody_serves_is_a_problem(tmp_path: Path) -> None:
    stack = stack_at(str(tmp_path))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(stack.docker_socket)
    found = doctor._socket(
        "docker socket", stack.docker_socket, lambda: doctor._engine_version(stack)
    )
    assert (found.level, "does not answer" in found.text) == ("problem", True)


def test_missing_programs_are_named(tmp_path: Path) -> None:
    (tmp_path / "dockerd").touch(mode=0o755)
    findings = list(doctor._programs(str(tmp_path)))
    assert findings[0].level == "problem"
    assert "containerd, containerd-shim-dockyard-v1" in findings[0].text
    assert "dockerd," not in findings[0].text
