"""What the runtime is told about a container: its record, its networks and its mounts, put together for ``spec``."""

from __future__ import annotations

import os
from typing import Any, Final

from dockerd.containers import joined, links, mount_table, network_files, shm
from dockerd.containers.joined import JOINED, network_mode
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.networks.model import Attachment
from dockerd.spec.builder import Surroundings, build

_NETWORK_FILES: Final = ("resolv.conf", "hostname", "hosts")
_INIT: Final = "/sbin/docker-init"


class SpecWriter:
    """Makes OCI runtime specs of containers."""

    def __init__(self, store: ContainerStore, init_path: str, seccomp: str) -> None:
        """``seccomp`` is the text of the default profile, empty for ours, or ``unconfined``."""
        self._store = store
        self._init_path = init_path
        self._seccomp = seccomp

    def write(self, container: Container, merged: str, attachment: Attachment) -> dict[str, Any]:
        """The spec of a container whose root is mounted at ``merged``; writes its network files.

        Raises Conflict for a container whose namespace is to be joined and that does not run, InvalidArgument.
        """
        host, config = container.host, container.config
        owner = joined.running(host, "NetworkMode", self._store, container.container_id)
        owner = owner or container
        network_files.write(container, attachment)
        ipc = joined.running(host, "IpcMode", self._store, container.container_id)
        own_uts = host.get("UTSMode") != "host"
        mounts = [
            *_network_mounts(container, owner),
            *shm.mounts(container, ipc),
            *mount_table.oci_mounts(container),
        ]
        args = [container.path, *container.args]
        if host.get("Init"):
            args = [_INIT, "--", *args]
            mounts.append(_bind(_INIT, self._init_path, ["bind", "ro"]))
        around = Surroundings(
            rootfs=merged,
            hostname=config.get("Hostname") or owner.config.get("Hostname") or os.uname().nodename,
            own_hostname=own_uts,
            netns=attachment.netns_path,
            namespaces=self._namespaces(container, ipc),
            own_cgroup=host.get("CgroupnsMode") == "private",
            shm=host.get("IpcMode") in {None, "", "private"},
            mounts=mounts,
            environment=links.environment(container, self._store),
            seccomp=self._seccomp,
            sysctls=_sysctls(network_mode(host), host.get("Sysctls") or {}),
        )
        return build(
            container_id=container.container_id,
            config=config,
            host=host,
            args=args,
            around=around,
        )

    def _namespaces(self, container: Container, ipc: Container | None) -> dict[str, str]:
        """Those that are not new: a path, or empty for the host's."""
        host = container.host
        found = {
            kind: ""
            for kind, key in (("pid", "PidMode"), ("ipc", "IpcMode"), ("uts", "UTSMode"))
            if host.get(key) == "host"
        }
        pid = joined.running(host, "PidMode", self._store, container.container_id)
        for kind, donor in (("pid", pid), ("ipc", ipc)):
            if donor is not None:
                found[kind] = f"/proc/{donor.state.pid}/ns/{kind}"
        return found


def _sysctls(mode: str, wanted: dict[str, str]) -> dict[str, str]:
    if mode.startswith(JOINED) or mode == "host":
        return dict(wanted)
    if "net.ipv4.ip_unprivileged_port_start" in wanted:
        return dict(wanted)
    # As Docker since 20.10: any user may listen on any port of its own network, and ping.
    return {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
        **wanted,
    }


def _network_mounts(container: Container, owner: Container) -> list[dict[str, Any]]:
    """The files of ``owner``, whose network it is, unless the user mounts something there."""
    taken = {point["Destination"] for point in container.mounts}
    access = "ro" if container.host.get("ReadonlyRootfs") else "rw"
    return [
        _bind(f"/etc/{name}", f"{owner.directory}/{name}", ["rbind", "rprivate", access])
        for name in _NETWORK_FILES
        if f"/etc/{name}" not in taken
    ]


def _bind(destination: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": "bind", "source": source, "options": options}
