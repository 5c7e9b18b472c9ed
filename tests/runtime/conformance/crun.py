"""crun's tests: `tests/test_*.py`, each a program that prints TAP."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.runtime.conformance import sources
from tests.runtime.conformance.tap import Case, output_of, parse
from tests.support.null import OWN_NULL

# crun refuses a hybrid set-up; without its v2 tree, in a mount namespace of its own, it works. There it also cannot give
# the host's null device away, nor leave folders for controllers that the host does not have beside the hierarchies.
PLAIN_V1 = f"""
mount --make-rprivate / && {OWN_NULL} || exit
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
if ! [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t tmpfs -o mode=755 own-cgroups /mnt
  for each in /sys/fs/cgroup/*; do
    place=/mnt/${{each##*/}}
    if [ -L "$each" ]; then cp -P "$each" "$place"
    elif mountpoint -q "$each"; then mkdir "$place" && mount --bind "$each" "$place"; fi
  done
  mount --move /mnt /sys/fs/cgroup
fi
exec "$@"
"""


def run(folder: Path, runtime: Path, only: str) -> list[Case]:
    """Every case of every file."""
    tree = sources.unpacked(folder, "crun")
    tests = tree / "tests"
    init = tests / "init"
    if not init.exists():
        (folder / "config.h").write_text("#define HAVE_SECCOMP 1\n")
        subprocess.run(
            ["cc", "-static", f"-I{folder}", "-o", init, tests / "init.c", "-lseccomp"], check=True
        )
    # Called by that name, ours does what only crun's users expect.
    called = sources.named(folder, "crun", runtime)
    environment = {**os.environ, "OCI_RUNTIME": str(called), "INIT": str(init)}
    cases = []
    for path in sorted(tests.glob("test_*.py")):
        if only in path.name:
            command = [
                "unshare",
                "--mount",
                "sh",
                "-ec",
                PLAIN_V1,
                "sh",
                sys.executable,
                f"tests/{path.name}",
            ]
            cases += parse(path.name, reordered(output_of(command, tree, environment, 120)))
    clean()
    return cases


def clean() -> None:
    """End the containers that a failing test, or one that froze its container, left behind, and remove their cgroups."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            place = re.search(
                r":freezer:(/(?:test-tmp\w+|frozen))$",
                (process / "cgroup").read_text(),
                re.MULTILINE,
            )
            if place and (process / "cmdline").read_bytes().startswith(b"/init\0"):
                Path(f"/sys/fs/cgroup/freezer{place[1]}/freezer.state").write_text("THAWED")
                os.kill(int(process.name), signal.SIGKILL)
    for folder in [
        *Path("/sys/fs/cgroup").glob("*/test-tmp*"),
        Path("/sys/fs/cgroup/freezer/frozen"),
    ]:
        with contextlib.suppress(OSError):
            folder.rmdir()


def reordered(text: str) -> str:
    """Standard error comes first, because the tests' output is buffered: keep it with the first case that failed."""
    lines = text.splitlines()
    results = [line for line in lines if line.startswith(("ok ", "not ok ", "1.."))]
    others = [line for line in lines if line not in results]
    for at, line in enumerate(results):
        if line.startswith("not ok "):
            return "\n".join(results[: at + 1] + others + results[at + 1 :])
    return "\n".join(results)
