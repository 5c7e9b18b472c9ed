"""runc's tests: `tests/integration/*.bats`, with helpers of our own instead of those that need a Go compiler."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.runtime.conformance import sources
from tests.runtime.conformance.tap import Case, Outcome, output_of, parse

CGROUPS = Path("/sys/fs/cgroup")


def run(folder: Path, runtime: Path, only: str) -> list[Case]:
    """Every case of every file, each file under a terminal of its own."""
    tree = sources.unpacked(folder, "runc")
    tests = tree / "tests/integration"
    prepare(tree)
    # Help and version name the program as it is called, and the tests look for runc.
    called = sources.named(folder, "runc", runtime)
    environment = {**os.environ, "RUNC": str(called), "TERM": "xterm"}
    # Whoever runs us may have been told where its own bats keeps things.
    environment = {key: value for key, value in environment.items() if not key.startswith("BATS_")}
    cases = []
    before = set(CGROUPS.iterdir())
    for path in sorted(tests.glob("*.bats")):
        if only in path.name:
            found = parse(path.name, bats(path, tests, environment))
            cases += [again(case, path, tests, environment) for case in found]
    clean(before)
    return cases


def clean(before: set[Path]) -> None:
    """Remove the folders that the tests' helpers make beside the hierarchies, for controllers that the host has not mounted."""
    for made in set(CGROUPS.iterdir()) - before:
        if made.is_dir() and not made.is_symlink() and not made.is_mount():
            for folder, _, _ in os.walk(made, topdown=False):
                # What is in use is somebody else's.
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


def bats(path: Path, tests: Path, environment: dict[str, str], *options: str) -> str:
    """What one file prints, or those of its cases that the options choose."""
    words = shlex.join(["bats", "-t", *options, path.name])
    command = ["script", "--quiet", "--return", "--command", words, "/dev/null"]
    return output_of(command, tests, environment, 900)


def again(case: Case, path: Path, tests: Path, environment: dict[str, str]) -> Case:
    """A case that failed gets a second chance: many start a helper and do not wait until it listens."""
    if case.outcome is not Outcome.FAILED:
        return case
    name = case.name.removeprefix(f"{path.name}: ")
    second = parse(path.name, bats(path, tests, environment, "-f", f"^{re.escape(name)}$"))
    return next((each for each in second if each.name == case.name), case)


def prepare(tree: Path) -> None:
    """Images and helpers where the tests look for them."""
    data = tree / "tests/integration/testdata"
    images = {"BUSYBOX_IMAGE": busybox(data), "DEBIAN_IMAGE": debian(data)}
    script = tree / "tests/integration/get-images.sh"
    script.write_text(
        "".join(["#!/bin/sh\n", *(f"echo {key}={path}\n" for key, path in images.items())])
    )
    here = Path(__file__).parent
    recvtty = tree / "contrib/cmd/recvtty/recvtty"
    subprocess.run(["cc", "-O1", "-o", recvtty, here / "recvtty.c"], check=True)
    agent = tree / "contrib/cmd/seccompagent/seccompagent"
    agent.write_text(f"#!{sys.executable} -IS\n{(here / 'seccomp_agent.py').read_text()}")
    agent.chmod(0o755)


def busybox(data: Path) -> Path:
    """An image of a static busybox with all its applets."""
    image = data / "busybox.tar"
    if image.exists():
        return image
    program = shutil.which("busybox") or sys.exit("busybox-static is not installed")
    root = data / "busybox"
    for name in (
        "bin",
        "dev",
        "etc",
        "home",
        "root",
        "tmp",
        "usr/sbin",
        "var/spool/mail",
        "var/www",
    ):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / "bin/busybox")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        (root / "bin" / applet).unlink(missing_ok=True) if applet != "busybox" else None
        if applet != "busybox":
            os.link(root / "bin/busybox", root / "bin" / applet)
    accounts(root)
    (root / "tmp").chmod(0o1777)
    return pack(root, image)


def debian(data: Path) -> Path:
    """An image with the host's shell, grep and ldconfig, which is all that the tests use of Debian."""
    image = data / "debian.tar"
    if image.exists():
        return image
    root = data / "debian"
    for name in ("bin", "sbin", "dev", "etc", "tmp", "var/cache/ldconfig", "lib64", "lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    programs = {"/bin/sh": "bin/sh", "/bin/grep": "bin/grep", "/sbin/ldconfig": "sbin/ldconfig"}
    for source, target in programs.items():
        shutil.copy(Path(source).resolve(), root / target)
        listed = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        for word in listed.stdout.split():
            if word.startswith("/") and Path(word).exists():
                (root / word.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(word).resolve(), root / word.lstrip("/"))
    (root / "etc/ld.so.conf").write_text("/lib\n")
    accounts(root)
    return pack(root, image)


def accounts(root: Path) -> None:
    """Users and groups."""
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/home:/bin/false\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnobody:x:65534:\n")


def pack(root: Path, image: Path) -> Path:
    """A tar archive of a folder, which goes away."""
    subprocess.run(["tar", "-C", root, "-cf", image, "."], check=True)
    shutil.rmtree(root)
    return image
