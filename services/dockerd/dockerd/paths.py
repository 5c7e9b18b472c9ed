"""Every path of the daemon in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass

from wire.addresses import short_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where one daemon keeps its things: ``data_root`` outlives the machine's boot, ``exec_root`` does not."""

    data_root: str
    exec_root: str

    @property
    def containers(self) -> str:
        """One directory a container."""
        return f"{self.data_root}/containers"

    @property
    def volumes(self) -> str:
        """One directory a volume, data in ``_data``."""
        return f"{self.data_root}/volumes"

    @property
    def images(self) -> str:
        """What is known about images beside containerd's own records."""
        return f"{self.data_root}/image"

    @property
    def tmp(self) -> str:
        """Uploads and downloads in progress; emptied at start."""
        return f"{self.data_root}/tmp"

    @property
    def netns(self) -> str:
        """Bind mounts of the containers' network namespaces."""
        return f"{self.exec_root}/netns"

    @property
    def engine_id(self) -> str:
        """The daemon's own id, made at its first start."""
        return f"{self.data_root}/engine-id"

    @property
    def lock(self) -> str:
        """Held by the one daemon that uses the data root."""
        return f"{self.data_root}/dockerd.lock"

    @property
    def sockets(self) -> str:
        """Short directory for the shims' attach sockets."""
        return short_dir(self.exec_root)

    def container(self, container_id: str) -> str:
        """A container's directory."""
        return f"{self.containers}/{container_id}"

    def container_record(self, container_id: str) -> str:
        """What the user asked for and what became of it."""
        return f"{self.containers}/{container_id}/config.v2.json"

    def container_log(self, container_id: str) -> str:
        """The json-file log."""
        return f"{self.containers}/{container_id}/{container_id}-json.log"

    def rootfs(self, container_id: str, snapshotter: str = "overlayfs") -> str:
        """Where a container's snapshot is mounted."""
        return f"{self.data_root}/rootfs/{snapshotter}/{container_id}"

    def attach_socket(self, container_id: str) -> str:
        """Where the container's shim takes over attached clients."""
        return f"{self.sockets}/{container_id[:16]}.a"

    def prepare(self) -> None:
        """Make the directories; raises OSError."""
        os.makedirs(self.data_root, mode=0o710, exist_ok=True)
        os.makedirs(self.exec_root, mode=0o711, exist_ok=True)
        for directory in (self.containers, self.tmp, self.images):
            os.makedirs(directory, mode=0o710, exist_ok=True)
        os.makedirs(f"{self.data_root}/rootfs/overlayfs", mode=0o710, exist_ok=True)
        os.makedirs(self.sockets, mode=0o700, exist_ok=True)
