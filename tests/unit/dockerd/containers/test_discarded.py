"""Limits that a kernel has not."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dockerd.containers.discarded import discard
from dockerd.linux.controllers import Abilities, abilities

_ALL = Abilities(**{each.name: True for each in fields(Abilities)})
_NONE = Abilities(**{each.name: False for each in fields(Abilities)})
_DEVICE = [{"Path": "/dev/a", "Rate": 1}]
_LIMITS: dict[str, Any] = {
    "MemoryReservation": 1 << 25, "MemorySwappiness": 5, "PidsLimit": 7, "CpuShares": 9, "CpusetCpus": "0",
    "CpusetMems": "0", "BlkioWeight": 300, "BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 10}],
    "BlkioDeviceReadBps": _DEVICE, "BlkioDeviceWriteBps": _DEVICE, "BlkioDeviceReadIOps": _DEVICE,
    "BlkioDeviceWriteIOps": _DEVICE, "OomKillDisable": True,
}  # fmt: skip


@pytest.mark.parametrize("field", _LIMITS)
def test_what_the_kernel_has_not_is_left_out_with_a_warning(field: str) -> None:
    host = {field: _LIMITS[field]}
    assert discard(host, _ALL) == []
    assert host == {field: _LIMITS[field]}
    (warning,) = discard(host, _NONE)
    assert warning.startswith("Your kernel does not support ")
    assert warning.endswith("iscarded.")
    assert host == {field: None}


def test_memory_and_swap() -> None:
    host = {"Memory": 1 << 26, "MemorySwap": 1 << 27}
    assert "memory limit capabilities" in discard(host, _NONE)[0]
    assert host == {"Memory": None, "MemorySwap": -1}
    host = {"Memory": 1 << 26, "MemorySwap": 1 << 27}
    without = Abilities(**{each.name: each.name != "swap" for each in fields(Abilities)})
    assert "Memory limited without swap" in discard(host, without)[0]
    assert host == {"Memory": 1 << 26, "MemorySwap": -1}
    assert discard(host, without) == []


def test_what_nobody_asked_for_is_no_warning() -> None:
    host = {"OomKillDisable": False, "MemorySwappiness": -1, "Memory": 0, "BlkioDeviceReadBps": []}
    assert discard(host, _NONE) == []
    assert host["OomKillDisable"] is None
    assert host["MemorySwappiness"] is None


def test_processor_time() -> None:
    host = {"CpuPeriod": 50_000, "CpuQuota": 20_000, "CpuPercent": 5}
    assert len(discard(host, _NONE)) == 2
    assert not any(host.values())


def test_a_hierarchy_is_read(tmp_path: Path) -> None:
    names = ("memory/memory.limit_in_bytes", "pids/a", "blkio/blkio.throttle.read_bps_device")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = abilities(str(tmp_path))
    assert (found.memory, found.pids, found.block_read_bps) == (True, True, True)
    assert (found.swap, found.cpuset, found.block_weight) == (False, False, False)
    unified = tmp_path / "unified"
    unified.mkdir()
    (unified / "cgroup.controllers").write_text("cpu io pids\n")
    found = abilities(str(unified))
    assert (found.cpu_quota, found.block_weight, found.pids) == (True, True, True)
    assert (found.memory, found.oom_kill_disable) == (False, False)
