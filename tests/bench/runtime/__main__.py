"""The command line of `make bench-runtime`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.bench.runtime import bundles, report
from tests.bench.runtime.commands import CommandError, Runtime
from tests.bench.sections import replace_section
from tests.support.null import OWN_NULL

_CLONE: Final = Path(__file__).parents[3]
_INSIDE: Final = "DOCKYARD_BENCH_RUNTIME"
_UNIFIED: Final = "/sys/fs/cgroup/unified"
_PR_SET_CHILD_SUBREAPER: Final = 36


def main() -> int:
    """Measure, print, and write the section; 1 if a limit is not kept."""
    words = argparse.ArgumentParser(prog="bench-runtime", description=__doc__)
    words.add_argument("--rounds", type=int, default=9, help="samples of each runtime")
    words.add_argument("--repeat", type=int, default=5, help="calls in a sample")
    words.add_argument("--only", action="append", help="a variant; may be repeated")
    words.add_argument("--ours", default=str(_CLONE / "build/bin/dockyard-runtime"))
    words.add_argument("--write", type=Path, help="the Markdown file whose section is replaced")
    options = words.parse_args()
    if _INSIDE not in os.environ:
        # crun refuses a hybrid host, so the unified tree is taken away, for all of us, in a mount namespace of our own. It
        # also gives its standard input to the root of a user namespace: that must not be the host's null device.
        os.environ[_INSIDE] = "1"
        command = ["unshare", "--mount", "--propagation", "private"]
        command += ["sh", "-ec", f'{OWN_NULL} && exec "$@"', "sh"]
        command += [sys.executable, "-m", "tests.bench.runtime"]
        os.execvp(command[0], [*command, *sys.argv[1:]])
    if os.path.ismount(_UNIFIED):
        subprocess.run(["umount", "--lazy", _UNIFIED], check=True)
    _become_subreaper()
    # What else runs on the machine shall disturb as little as it can.
    with contextlib.suppress(PermissionError):
        os.nice(-20)
    wanted = [each for each in bundles.VARIANTS if not options.only or each.name in options.only]
    work = Path(tempfile.mkdtemp(prefix="dockyard-bench-runtime-"))
    load = os.getloadavg()[0]
    try:
        bundles.make_rootfs(work)
        programs = {report.OURS: options.ours, "crun": "crun", "runc": "runc"}
        runtimes = [Runtime(name, program, work) for name, program in programs.items()]
        measured = [_measure(each, runtimes, options.rounds, options.repeat) for each in wanted]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    surroundings = _surroundings(load) | {
        "rounds": f"{options.rounds}, each of {options.repeat} calls"
    }
    text = report.markdown(measured, surroundings)
    print(text)
    if options.write:
        replace_section(options.write, "Runtime", text)
    return 1 if report.missed(measured) else 0


def _measure(
    variant: bundles.Variant, runtimes: list[Runtime], rounds: int, repeat: int
) -> report.Measured:
    bundles.write(runtimes[0].work, variant, f"/dockyard-bench-{os.getpid()}")
    measured = report.Measured(variant, {each.name: [] for each in runtimes})
    for number in range(rounds + 1):
        at = number % len(runtimes)
        for runtime in [*runtimes[at:], *runtimes[:at]]:
            if runtime.name in measured.refused:
                continue
            try:
                # The first round warms caches and is not counted.
                sample = runtime.sample(variant.name, repeat if number else 1)
            except CommandError as error:
                measured.refused[runtime.name] = str(error).replace("|", "/")
                continue
            if number:
                measured.samples[runtime.name].append(sample)
    return measured


def _surroundings(load: float) -> dict[str, str]:
    def version(program: str) -> str:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[0].replace(" version", "")

    loads = f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after, nice {os.nice(0)}"
    return {
        "machine": f"{os.cpu_count()} CPUs, Linux {os.uname().release}, {loads}",
        "beside": ", ".join(version(each) for each in report.OTHERS),
    }


def _become_subreaper() -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    sys.exit(main())
