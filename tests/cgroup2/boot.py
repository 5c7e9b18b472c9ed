"""`make test-cgroup2`: run tests on a host with cgroup v2 alone: a User-Mode Linux kernel on this machine's files.

Arguments are pytest's; without any, the tests of this folder and those of the runtime run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_CLONE: Final = _FOLDER.parents[1]
_MEMORY: Final = "1536M"
# Far above what it takes: for a kernel that hangs.
_PATIENCE: Final = 900.0


def main(arguments: list[str]) -> int:
    """Boot, run, print what the tests say; pytest's exit status, or 125 if the kernel did not come so far."""
    kernel = shutil.which("linux.uml")
    if kernel is None:
        print("linux.uml is missing (Debian: user-mode-linux)", file=sys.stderr)
        return 125
    # Those that need what this kernel lacks (NUMA, time namespaces, much memory for folders) stay on the machine itself.
    runtime = [
        f"tests/runtime/test_{name}.py" for name in ("errors", "hooks", "lifecycle", "old_kernel")
    ]
    faults = "test_faults.py::test_a_failing_pause_resume_or_update_leaves_a_container_that_works"
    runtime.append(f"tests/runtime/{faults}")
    words = arguments or ["tests/cgroup2", *runtime, "tests/security/test_cgroup_policy.py"]
    command = [
        kernel,
        f"mem={_MEMORY}",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        "quiet",
        "loglevel=1",
        f"init={_FOLDER / 'init.sh'}",
        "con=null",
        "con0=null,fd:1",
        # The kernel passes what it does not know to its first process.
        f"LANE_CLONE={_CLONE}",
        f"LANE_PYTHON={sys.executable}",
        f'LANE_ARGUMENTS="{shlex.join(words)}"',
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    ) as process:
        limit = threading.Timer(_PATIENCE, os.killpg, (process.pid, 9))
        limit.start()
        try:
            return _follow(process)
        finally:
            limit.cancel()


def _follow(process: subprocess.Popen[bytes]) -> int:
    code = 125
    assert process.stdout is not None
    for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        found = re.fullmatch(r"lane: pytest ended with (\d+)", text)
        if found:
            code = int(found[1])
        else:
            print(text, flush=True)
    process.wait()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
