"""The lane that runs crun's tests leaves the host as it was; the tests themselves are run by `make conformance`."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path

import pytest
from tests.runtime.conformance.crun import PLAIN_V1


def test_the_null_device_and_the_cgroup_folders_stay_the_hosts() -> None:
    """crun gives its standard input away by fchown(2), be it the host's null device, and makes folders for controllers."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("this host has cgroup v2 alone")
    before = os.stat("/dev/null")
    name = f"dockyard-{uuid.uuid4().hex}"
    script = (
        f"chown 8000 /dev/null /proc/self/fd/0 && mkdir /sys/fs/cgroup/{name} && ls /sys/fs/cgroup"
    )
    inside = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", PLAIN_V1, "sh", "sh", "-ec", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    after = os.stat("/dev/null")
    folders = {each.name for each in Path("/sys/fs/cgroup").iterdir()}
    assert (after.st_uid, after.st_ctime_ns) == (before.st_uid, before.st_ctime_ns)
    assert set(inside.stdout.split()) == {*folders, name} - {"unified"}
