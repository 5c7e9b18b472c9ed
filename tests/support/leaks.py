"""What a stack may leave behind in a kernel and on a disk, told apart from what other stacks on the machine have.

``Kernel`` looks at one stack from outside, by its root; ``stored`` asks a running one what its stores hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

BIN = Path(__file__).parents[2] / "build/bin"
CGROUPS = Path("/sys/fs/cgroup")
CONTROL = Path("/run/dockyard")
TASKS = "io.containerd.runtime.v2.task"
_SETTLE = 10.0
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Kernel:
    """The traces of the stack below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bridge = f"dy-{_short(root)}"
        # The stack's own control folder, and those that stand for state folders with long paths.
        self.short = {
            CONTROL / _short(path) for path in (root, root / "run/docker", root / "run/containerd")
        }
        self._before = self._everyones()

    def left(self) -> dict[str, list[str]]:
        """What is there and should not be, once the stack is gone; by category, empty categories left out."""
        return self._settled(self._left)

    def idle(self) -> dict[str, list[str]]:
        """The same for a stack that runs and has no container."""
        return self._settled(self._idle)

    def _settled(self, look: Callable[[], dict[str, list[str]]]) -> dict[str, list[str]]:
        """Kernel threads finish some removals after the call that asked for them; a leak stays."""
        deadline = time.monotonic() + _SETTLE
        while (found := look()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _left(self) -> dict[str, list[str]]:
        return _some(
            {
                "mounts": self.mounts(),
                "network namespaces": self.namespaces(),
                "links": self.links(),
                "cgroups": self.cgroups(),
                "processes": self.processes(),
                "sockets": self.sockets(),
                "firewall tables": self.tables(),
                "files": {str(path) for path in self.short if path.exists()},
            }
        )

    def _idle(self) -> dict[str, list[str]]:
        daemons = re.compile(r"build/bin/(dockerd|containerd|dockyard) |-socket \d+ forkserver")
        return _some(
            {
                "mounts": self.mounts(),
                "network namespaces": self.namespaces(),
                "links": {each for each in self.links() if each != self.bridge},
                "cgroups": self.cgroups(),
                "processes": {each for each in self.processes() if not daemons.search(each)},
                "sockets": {each for each in self.sockets() if self._is_container_socket(each)},
                "firewall elements": self.elements(),
                "bundles": set(self.bundles()),
            }
        )

    def bundles(self) -> Iterator[str]:
        """The folders of tasks."""
        for path in (self.root / "run/containerd" / TASKS).glob("*/*"):
            yield path.name

    def mounts(self) -> set[str]:
        """Mount points below the root."""
        return {each for each in _mount_points() if Path(each).is_relative_to(self.root)}

    def namespaces(self) -> set[str]:
        """The files of network namespaces."""
        folder = self.root / "run/docker/netns"
        return {str(path) for path in folder.iterdir()} if folder.exists() else set()

    def links(self) -> set[str]:
        """The bridge, its ports, and veth ends that belong to no bridge any more."""
        found = set()
        for path in Path("/sys/class/net").iterdir():
            with contextlib.suppress(OSError):
                master = (
                    os.path.basename(os.readlink(path / "master"))
                    if (path / "master").exists()
                    else ""
                )
                orphan = path.name.startswith("veth") and not master
                ours = self.bridge in {path.name, master}
                if ours or (orphan and path.name not in self._before["veths"]):
                    found.add(path.name)
        return found

    def cgroups(self) -> set[str]:
        """Groups of containers that no stack on this machine knows."""
        found = set()
        for name in _container_groups() - self._before["cgroups"]:
            if not _known_somewhere(name):
                found.add(name)
        return found

    def processes(self) -> set[str]:
        """Daemons, shims, runtimes and clients of this stack."""
        marks = [os.fsencode(path) for path in (self.root, *self.short)]
        found = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                ours = re.search(rb"containerd|dockerd|dockyard", command) and (
                    any(
                        mark in command or mark in (entry / "environ").read_bytes()
                        for mark in marks
                    )
                    or Path(os.readlink(entry / "cwd")).is_relative_to(self.root)
                )
                if ours:
                    text = command.replace(b"\0", b" ").decode(errors="replace")
                    found.add(f"{entry.name} {text}")
        return found

    def sockets(self) -> set[str]:
        """Unix sockets that somebody has bound, and the files of sockets."""
        marks = [f"{path}/" for path in (self.root, *self.short)]
        bound = {
            words[7]
            for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]
            if len(words := line.split(None, 7)) == 8
        }
        files = {
            str(path)
            for folder in (self.root, *self.short)
            if folder.exists()
            for path in folder.rglob("*")
            if path.is_socket()
        }
        return {each for each in bound | files if any(each.startswith(mark) for mark in marks)}

    def _is_container_socket(self, path: str) -> bool:
        return (
            Path(path).parent.name == "s"
            or re.fullmatch(r"[0-9a-f]{16}\.a|[0-9a-f]{64}|c\d+-\d+", Path(path).name) is not None
        )

    def tables(self) -> set[str]:
        """The stack's firewall table."""
        prefix = f"dockyard_{self.bridge.replace('-', '_')}_"
        listing = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
        return {line.split()[-1] for line in listing.splitlines() if prefix in line}

    def elements(self) -> set[str]:
        """Published ports in the stack's firewall table."""
        found = set()
        for table in self.tables():
            listing = subprocess.run(
                ["nft", "-j", "list", "table", "ip", table], capture_output=True, text=True
            ).stdout
            for item in json.loads(listing)["nftables"]:
                entry = item.get("map")
                if entry and entry["name"].startswith("published"):
                    found |= {json.dumps(element) for element in entry.get("elem", [])}
        return found

    @staticmethod
    def _everyones() -> dict[str, set[str]]:
        return {
            "veths": {name for name in os.listdir("/sys/class/net") if name.startswith("veth")},
            "cgroups": _container_groups(),
        }


def stored(root: Path) -> dict[str, list[str]]:
    """Snapshots without a container, folders without a snapshot, unfinished downloads and uploads of a running stack."""
    listing = subprocess.run(
        [sys.executable, "-c", _SNAPSHOTS, f"unix:{root}/containerd.sock"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    snapshots = json.loads(listing.stdout)
    containers = {path.name for path in (root / "docker/containers").iterdir()}
    active = {each["name"] for each in snapshots if each["kind"] == "ACTIVE"}
    overlay = root / "containerd/overlayfs"
    folders = {path.name for path in (overlay / "snapshots").iterdir()}
    ingests = root / "containerd/content/ingest"
    return _some(
        {
            "snapshots": {key for key in active if key not in containers},
            "snapshot folders": folders if len(folders) != len(snapshots) else set(),
            "trash": {path.name for path in (overlay / "trash").glob("*")},
            "unaccounted bytes": unaccounted(root / "containerd"),
            "ingests": {path.name for path in ingests.iterdir()} if ingests.exists() else set(),
            "uploads": {path.name for path in (root / "docker/tmp").iterdir()},
            "mounted volumes": {path.name for path in (root / "run/docker/volumes").glob("*")},
            "root file systems": {
                path.name for path in (root / "docker/rootfs/overlayfs").glob("*")
            },
        }
    )


def unaccounted(root: Path) -> set[str]:
    """Files below containerd's root that no record of its explains, with their bytes."""
    done = subprocess.run(
        [BIN / "containerd", "--root", root, "verify", "--disk"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {f"{each['path']}: {each['text']}" for each in found if each["level"] != "ok"}


# In a process of its own: gRPC's threads and a test that forks do not go together.
_SNAPSHOTS = """
import json, sys, grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2 as pb, snapshots_pb2_grpc as stubs
with grpc.insecure_channel(sys.argv[1], options=[("grpc.default_authority", "localhost")]) as channel:
    stub = stubs.SnapshotsStub(channel)
    answer = stub.List(
        pb.ListSnapshotsRequest(snapshotter="overlayfs"),
        metadata=[("containerd-namespace", "moby")], wait_for_ready=True, timeout=30,
    )
    found = [{"name": each.name, "kind": pb.Kind.Name(each.kind)} for page in answer for each in page.info]
print(json.dumps(found))
"""


def _short(path: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:8]


def _some(found: dict[str, set[str]]) -> dict[str, list[str]]:
    return {name: sorted(each) for name, each in found.items() if each}


def _mount_points() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return [_ESCAPE.sub(lambda code: chr(int(code[1], 8)), line.split()[4]) for line in lines]


def _container_groups() -> set[str]:
    return {
        path.name
        for pattern in ("docker/*", "*/docker/*")
        for path in CGROUPS.glob(pattern)
        if path.is_dir() and re.fullmatch(r"[0-9a-f]{64}", path.name)
    }


def _known_somewhere(container_id: str) -> bool:
    """Whether a shim works in this container's bundle, or a running containerd has the bundle."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(entry / "cwd")) == container_id:
                    return True
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"--state" in words:
                    state = Path(os.fsdecode(words[words.index(b"--state") + 1]))
                    if any((state / TASKS).glob(f"*/{container_id}")):
                        return True
    return False
