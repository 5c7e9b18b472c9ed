"""K19: what the default profile denies is denied through every interface of the machine: 64 bits, i386 with its
multiplexer, and x32, which this kernel need not have: there the compiled filter is interpreted."""

from __future__ import annotations

import copy
import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from tests.runtime.conftest import Box

from dockerd.spec.capabilities import DEFAULT_CAPABILITIES
from dockerd.spec.seccomp import default_profile

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK = 1, 2, 10, 16, 17, 38, 40
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x00000000
EPERM, ENOSYS = 1, 38
X86_64, I386, X32 = 0xC000003E, 0x40000003, 0x40000000
SOURCE: Final = Path(__file__).parent / "programs/probe32.c"

Filter = list[tuple[int, int, int, int]]


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 32-bit program; a kernel without the emulation cannot run it, and then nobody can evade anything by it."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    program = tmp_path_factory.mktemp("probe") / "probe32"
    flags = "-m32 -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -O1"
    subprocess.run(["gcc", *flags.split(), "-o", str(program), str(SOURCE)], check=True)
    try:
        subprocess.run([str(program), "20"], check=True, capture_output=True)
    except OSError:
        pytest.skip("this kernel runs no 32-bit programs")
    return program


@pytest.fixture
def filtered(box: Box) -> Box:
    """A container with Docker's default profile and capabilities."""
    box.linux["seccomp"] = copy.deepcopy(default_profile(DEFAULT_CAPABILITIES))
    return box


@pytest.fixture
def call32(filtered: Box, probe: Path) -> Callable[..., list[int]]:
    shutil.copy(probe, filtered.rootfs / "bin/probe32")

    def call(*words: object) -> list[int]:
        result = filtered.run("probe32", *map(str, words))
        filtered.call("delete", "--force", filtered.name)
        assert result.code == 0, result
        return [int(line) for line in result.lines]

    return call


@pytest.fixture
def compiled(filtered: Box) -> Filter:
    """The filter as the runtime installs it, from the container's state."""
    filtered.create("true")
    data = (filtered.root / filtered.name / "seccomp.bpf").read_bytes()
    filtered.ok("delete", "--force", filtered.name)
    return list(struct.iter_unpack("<HBBI", data[4:]))


def interpret(code: Filter, arch: int, number: int, *args: int) -> int:
    """What the kernel would do with a call: the action of the filter."""
    values = [*args, *[0] * (6 - len(args))]
    data = struct.pack("<IIQ6Q", number, arch, 0, *values)
    at, accumulator = 0, 0
    while True:
        operation, yes, no, k = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:
                accumulator &= k
            case 0x05:
                at += k
            case 0x15:
                at += yes if accumulator == k else no
            case 0x25:
                at += yes if accumulator > k else no
            case 0x35:
                at += yes if accumulator >= k else no
            case 0x06:
                return k
            case _:
                raise AssertionError(f"operation {operation:#x}")


def numbers() -> dict[str, dict[str, int]]:
    """Calls that are in every profile's interest, by interface."""
    return {
        "socket": {"x86_64": 41, "i386": 359, "x32": 41},
        "mount": {"x86_64": 165, "i386": 21, "x32": 165},
        "umount2": {"x86_64": 166, "i386": 52, "x32": 166},
        "bpf": {"x86_64": 321, "i386": 357, "x32": 321},
        "keyctl": {"x86_64": 250, "i386": 288, "x32": 250},
        "add_key": {"x86_64": 248, "i386": 286, "x32": 248},
        "kexec_load": {"x86_64": 246, "i386": 283, "x32": 528},
        "init_module": {"x86_64": 175, "i386": 128, "x32": 175},
        "setns": {"x86_64": 308, "i386": 346, "x32": 308},
        "unshare": {"x86_64": 272, "i386": 310, "x32": 272},
        "pivot_root": {"x86_64": 155, "i386": 217, "x32": 155},
        "open_by_handle_at": {"x86_64": 304, "i386": 342, "x32": 304},
        "userfaultfd": {"x86_64": 323, "i386": 374, "x32": 323},
        "perf_event_open": {"x86_64": 298, "i386": 336, "x32": 298},
        "io_uring_setup": {"x86_64": 425, "i386": 425, "x32": 425},
        "move_mount": {"x86_64": 429, "i386": 429, "x32": 429},
        "clock_settime": {"x86_64": 227, "i386": 264, "x32": 227},
        "swapon": {"x86_64": 167, "i386": 87, "x32": 167},
        "reboot": {"x86_64": 169, "i386": 88, "x32": 169},
    }


@pytest.mark.parametrize("high", [0, 1 << 32, 0xFFFFFFFF << 32, 1 << 63])
@pytest.mark.parametrize("family", [AF_ALG, AF_VSOCK])
def test_cve_2026_31431_cve_2026_123876_families_are_denied_with_any_upper_half(
    compiled: Filter, family: int, high: int
) -> None:
    """The kernel takes the family from the lower 32 bits; "not 40" lets 0x100000028 through."""
    for number in (41, 41 | X32):
        assert interpret(compiled, X86_64, number, high | family, 1, 0) == ERRNO | EPERM
    assert interpret(compiled, I386, 359, family, 1, 0) == ERRNO | EPERM


def test_cve_2026_123876_the_denied_families_and_no_others(compiled: Filter) -> None:
    """Rules about one argument must not cancel each other out."""
    for family in range(64):
        wanted = ERRNO | EPERM if family in {AF_ALG, AF_VSOCK} or family >= 46 else ALLOW
        for arch, number in ((X86_64, 41), (X86_64, 41 | X32), (I386, 359)):
            assert interpret(compiled, arch, number, family, 1, 0) == wanted, family


def test_cve_2026_31431_cve_2026_112917_sockets_of_a_64_bit_program(filtered: Box) -> None:
    """With the real kernel, by the host's Python, which is bound into the container."""
    python = Path("/usr/bin/python3").resolve()
    filtered.mounts.extend(
        {"destination": each, "type": "bind", "source": each, "options": ["rbind", "ro"]}
        for each in ("/usr", "/lib", "/lib64")
    )
    script = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
        "for family in (1, 2, 10, 38, 40, (1 << 32) | 38, (1 << 32) | 40):\n"
        "  libc.syscall.argtypes = [ctypes.c_long] * 4\n"
        "  print(ctypes.get_errno() if libc.syscall(41, family, 2, 0) < 0 else 0)\n"
    )
    result = filtered.run(str(python), "-c", script)
    assert result.code == 0, result
    assert [int(line) for line in result.lines] == [0, 0, 0, EPERM, EPERM, EPERM, EPERM]


def test_cve_2026_31431_direct_sockets_of_a_32_bit_program(
    call32: Callable[..., list[int]],
) -> None:
    assert all(each >= 0 for each in call32("family", AF_UNIX, AF_INET, AF_INET6))
    assert call32("family", AF_ALG, AF_VSOCK) == [-EPERM, -EPERM]


@pytest.mark.parametrize("family", [AF_ALG, AF_VSOCK, AF_INET])
def test_cve_2026_112917_the_multiplexer_makes_no_sockets(
    call32: Callable[..., list[int]], family: int
) -> None:
    """socketcall(SYS_SOCKET, {AF_VSOCK, …}): the family is in memory, where a filter cannot look."""
    assert call32("socketcall", 1, family, 1, 0) == [-ENOSYS]


def test_cve_2026_112917_denied_calls_are_denied_by_every_number(compiled: Filter) -> None:
    assert interpret(compiled, I386, 102, 1) == ERRNO | ENOSYS
    for name, by_interface in numbers().items():
        # All flags and pointers set or none: nothing of it may make a difference.
        for args in ((), (0xFFFFFFFF,) * 6):
            for arch, number in (
                (X86_64, by_interface["x86_64"]),
                (X86_64, by_interface["x32"] | X32),
                (I386, by_interface["i386"]),
            ):
                if name != "socket" or args:
                    found = interpret(compiled, arch, number, *args)
                    assert found == ERRNO | EPERM, (name, number)


def test_cve_2026_112917_denied_calls_of_a_32_bit_program(
    call32: Callable[..., list[int]],
) -> None:
    for name in ("mount", "bpf", "unshare", "keyctl", "add_key", "init_module", "setns"):
        assert call32(numbers()[name]["i386"], 0, 0, 0, 0, 0) == [-EPERM], name


def test_cve_2026_123876_x32_is_never_the_way_around(compiled: Filter, filtered: Box) -> None:
    """Every number of every rule: what 64 bits may not do, x32 may not do."""
    for number in range(512):
        if interpret(compiled, X86_64, number) != ALLOW:
            assert interpret(compiled, X86_64, number | X32) != ALLOW, number
    # 512 to 547 are x32's own; its ptrace, kexec_load and others must follow their names.
    denied = {528: "kexec_load", 534: "preadv"}
    assert interpret(compiled, X86_64, 528 | X32) != ALLOW, denied[528]
    assert interpret(compiled, X86_64, 534 | X32) == ALLOW, denied[534]
    assert interpret(compiled, 0xC00000B7, 41, AF_INET) == KILL
    profile = json.loads(json.dumps(filtered.linux["seccomp"]))
    assert "SCMP_ARCH_X32" in profile["architectures"]
