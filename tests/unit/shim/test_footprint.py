"""What a shim has in memory. Each module that it imports is paid for by every container (DECISIONS.md, 11)."""

import subprocess
import sys

# With them come hundreds of kilobytes that each shim would copy; see shim/log.py for the worst.
HEAVY = {
    "asyncio", "dataclasses", "google", "grpc", "inspect", "logging", "threading", "typing", "urllib",
}  # fmt: skip

REHEARSE = """
import os, sys
from shim import forkserver, rehearsal
print(*(name for name in sys.modules), sep="\\n", file=sys.stderr)
before = set(os.listdir("/proc/self/fd"))
rehearsal.rehearse()
import signal
print(set(os.listdir("/proc/self/fd")) ^ before, signal.getsignal(signal.SIGCHLD).name)
"""


def test_the_forkserver_imports_nothing_heavy_and_rehearses_without_a_trace() -> None:
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{REHEARSE}"
    # Without site: a plugin's .pth file of the test environment may import anything.
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert set(ran.stderr.split()) & HEAVY == set()
    assert ran.stdout == "set() SIG_DFL\n"
