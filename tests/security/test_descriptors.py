"""K4: no descriptor of the host, and no working directory or program through one, reaches a container."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.conftest import BUSYBOX, Box, Result

NUMBERS = (
    "for each in /proc/self/fd/*; do readlink $each >/dev/null && echo ${each##*/}; done; true"
)


@pytest.fixture
def leaked() -> Iterator[tuple[int, ...]]:
    """Directories of the host, open and inheritable, as a careless caller leaves them."""
    first = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    found = [os.dup2(first, number) for number in (40, 41, 60, 64)]
    yield tuple(found)
    for number in (first, *found):
        os.close(number)


def run(box: Box, leaked: tuple[int, ...], *words: str) -> Result:
    box.write()
    done = subprocess.run(
        box.argv("run", "--bundle", str(box.bundle), *words, box.name),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=leaked,
        timeout=30,
    )
    box.call("delete", "--force", box.name)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_cve_2024_21626_the_program_gets_three_descriptors(
    box: Box, leaked: tuple[int, ...]
) -> None:
    box.process["args"] = ["sh", "-c", NUMBERS]
    assert run(box, leaked).lines == ["0", "1", "2"]


def test_cve_2024_21626_and_those_that_are_preserved(box: Box) -> None:
    box.process["args"] = ["sh", "-c", NUMBERS]
    box.write()
    argv = box.argv("run", "--preserve-fds", "2", "--bundle", str(box.bundle), box.name)
    script = 'exec 3</dev/null 4</dev/null 5</dev/null; exec "$@"'
    done = subprocess.run(["sh", "-c", script, "sh", *argv], capture_output=True, timeout=30)
    assert done.stdout.split() == [b"0", b"1", b"2", b"3", b"4"], done


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_cve_2024_21626_nothing_of_the_runtime_is_preserved(box: Box, verb: str) -> None:
    """The caller promises more than it passes: what the runtime itself has opened has those numbers."""
    words = ["--preserve-fds", "30"]
    if verb == "run":
        box.process["args"] = ["sh", "-c", NUMBERS]
        box.write()
        argv = box.argv("run", *words, "--bundle", str(box.bundle), box.name)
    else:
        box.start("sleep", "1000")
        argv = box.argv("exec", *words, box.name, "sh", "-c", NUMBERS)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert done.stdout.split() == [b"0", b"1", b"2"], done


def test_cve_2024_21626_an_additional_process_gets_three_descriptors(
    box: Box, leaked: tuple[int, ...]
) -> None:
    box.start("sleep", "1000")
    done = subprocess.run(
        box.argv("exec", box.name, "sh", "-c", NUMBERS),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=leaked,
        timeout=30,
    )
    assert done.stdout.split() == [b"0", b"1", b"2"], done


def test_cve_2024_21626_a_waiting_process_holds_nothing_of_the_host(
    box: Box, leaked: tuple[int, ...]
) -> None:
    """Between create and start the runtime's own descriptors would be within reach of /proc/PID/fd and of the program's
    path: only its streams and the start signal may be open, and no directory."""
    box.create("true", pass_fds=leaked)
    folder = Path(f"/proc/{box.pid}/fd")
    links = {int(each.name): os.readlink(each) for each in folder.iterdir()}
    assert not [name for name in links.values() if Path(name).is_dir()], links
    # Besides: the start signal, and the end of a socket whose other end is gone.
    others = sorted(name for number, name in links.items() if number > 2)
    assert [name for name in others if not name.startswith("socket:")] == [
        str(box.root / box.name / "exec.fifo")
    ]
    assert len(others) <= 2, links


@pytest.mark.parametrize(
    "form", ["/proc/self/fd/{}", "/proc/self/fd/{}/tmp", "/proc/thread-self/fd/{}", "/link-{}"]
)
def test_cve_2024_21626_no_working_directory_through_a_descriptor(
    box: Box, leaked: tuple[int, ...], form: str
) -> None:
    for number in range(65) if form == "/proc/self/fd/{}" else (*range(12), *leaked):
        (box.rootfs / f"link-{number}").symlink_to(f"/proc/self/fd/{number}")
        box.process["cwd"] = form.format(number)
        box.process["args"] = ["sh", "-c", "pwd -P; ls /proc/self/cwd/"]
        result = run(box, leaked)
        assert result.code != 0, (number, result)
        assert "process.cwd" in result.err, (number, result)


@pytest.mark.parametrize(
    "where", ["/proc/self/cwd", "/proc/1/root", "/proc/self/root/etc", "/proc/1/cwd/.."]
)
def test_cve_2024_21626_nor_through_another_magic_link(box: Box, where: str) -> None:
    box.process["cwd"] = where
    result = run(box, ())
    assert result.code != 0
    assert "process.cwd" in result.err


def test_cve_2024_21626_nor_for_an_additional_process(box: Box, leaked: tuple[int, ...]) -> None:
    box.start("sleep", "1000")
    for number in (*range(16), *leaked):
        document = {**copy.deepcopy(box.process), "args": ["pwd"], "cwd": f"/proc/self/fd/{number}"}
        path = box.directory / "process.json"
        path.write_text(json.dumps(document))
        for words in (
            ["--process", str(path), box.name],
            ["--cwd", f"/proc/self/fd/{number}", box.name, "pwd"],
        ):
            done = subprocess.run(
                box.argv("exec", *words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=leaked,
                timeout=30,
            )
            assert done.returncode == 255, (number, done)
            assert b"chdir to cwd" in done.stderr, (number, done)


def test_cve_2024_21626_no_program_through_a_descriptor(box: Box, leaked: tuple[int, ...]) -> None:
    """The path of the program is looked up while descriptors are still open, if they were only marked close-on-exec.
    The host's busybox is static, so it would run."""
    assert BUSYBOX is not None
    box.start("sleep", "1000")
    for number in (*range(3, 20), *leaked):
        name = f"/proc/self/fd/{number}{BUSYBOX}"
        (box.rootfs / "bin/evil").unlink(missing_ok=True)
        (box.rootfs / "bin/evil").symlink_to(name)
        for words in ([name, "true"], ["evil", "true"]):
            done = subprocess.run(
                box.argv("exec", box.name, *words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=leaked,
                timeout=30,
            )
            assert done.returncode == 255, (words, done)
            assert b"unable to start" in done.stderr, (words, done)


def test_cve_2024_21626_no_first_program_through_a_descriptor(
    box: Box, leaked: tuple[int, ...]
) -> None:
    for number in (*range(3, 12), *leaked):
        box.process["args"] = [f"/proc/self/fd/{number}{BUSYBOX}", "true"]
        result = run(box, leaked)
        assert result.code == 1, (number, result)
        assert "unable to start" in result.err, (number, result)
