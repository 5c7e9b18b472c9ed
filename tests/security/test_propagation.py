"""What is mounted in a container stays there, on a host whose mounts are shared, as systemd leaves them."""

from __future__ import annotations

import subprocess

import pytest
from tests.runtime.conftest import Box, mount
from tests.security.test_cgroup_policy import share

# In a mount namespace whose folder is shared, as the host's root is: the runtime, then what it left on that folder.
HOST = """set -e
mount --bind "$1" "$1"
mount --make-shared "$1"
folder=$1; shift
"$@" >&2
grep -c " $folder" /proc/self/mountinfo
"""


@pytest.mark.parametrize("own_user", [False, True], ids=["host-user", "own-user"])
@pytest.mark.parametrize(
    "options", [["rbind"], ["bind"], ["rbind", "rprivate"], ["rbind", "rslave"]]
)
def test_a_mount_on_a_bind_does_not_appear_on_the_host(
    box: Box, own_user: bool, options: list[str]
) -> None:
    share(box, own_cgroup=False, own_user=own_user)
    source = box.directory / "shared"
    (source / "inner").mkdir(parents=True)
    box.config["mounts"] += [
        {"destination": "/bound", "type": "none", "source": str(source), "options": options},
        mount("tmpfs", "/bound/inner"),
    ]
    box.process["args"] = ["sh", "-c", "grep ' /bound/inner ' /proc/self/mountinfo >&2"]
    box.write()
    runtime = box.argv("run", "--bundle", str(box.bundle), box.name)
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            HOST,
            "sh",
            source,
            *runtime,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert " /bound/inner " in done.stderr
    assert done.stdout == "1\n"
