"""What the runtime is told about a container: its record, its networks and its mounts, put together for ``spec``."""

from __future__ import annotations

import os
from typing import Any

from dockerd.containers import hostconfig, mountpoints
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.networks.model import Attachment
from dockerd.spec import builder

_JOINED = "container:"
_NETWORK_FILES = ("resolv.conf", "hostname", "hosts")


class SpecWriter:
    """Makes OCI runtime specs of containers."""

    def __init__(self, store: ContainerStore, init_path: str) -> None:
        self._store = store
        self._init_path = init_path

    def write(self, container: Container, merged: str, attachment: Attachment) -> dict[str, Any]:
        """The spec of a container whose root is mounted at ``merged``; writes its network files."""
        host, config = container.host, container.config
        mode = hostconfig.network_mode(host)
        owner = container
        if mode.startswith(_JOINED):
            owner = self._store.get(mode.removeprefix(_JOINED))
        hostname = config.get("Hostname") or owner.config.get("Hostname") or os.uname().nodename
        _write_network_files(container, attachment)
        mounts = _network_mounts(container, owner)
        args = [container.path, *container.args]
        if host.get("Init"):
            args = ["/sbin/docker-init", "--", *args]
            mounts.append(
                {
                    "destination": "/sbin/docker-init",
                    "type": "bind",
                    "source": self._init_path,
                    "options": ["bind", "ro"],
                }
            )
        joined = {
            kind: ""
            for kind, key in (("pid", "PidMode"), ("ipc", "IpcMode"), ("uts", "UTSMode"))
            if host.get(key) == "host"
        }
        spec = builder.build(
            container_id=container.container_id,
            config=config,
            host=host,
            args=args,
            rootfs=merged,
            hostname=hostname,
            mounts=[*mounts, *mountpoints.oci_mounts(container.mounts, host.get("Tmpfs") or {})],
            netns=attachment.netns_path,
            namespaces=joined,
            own_hostname=host.get("UTSMode") != "host",
        )
        spec["linux"]["sysctl"] = _sysctls(mode, spec["linux"]["sysctl"])
        return spec


def _sysctls(mode: str, wanted: dict[str, str]) -> dict[str, str]:
    if mode.startswith(_JOINED):
        return {}
    if mode == "host":
        return {key: value for key, value in wanted.items() if not key.startswith("net.")}
    if "net.ipv4.ip_unprivileged_port_start" in wanted:
        return wanted
    # As Docker since 20.10: any user may listen on any port of its own network, and ping.
    return {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
        **wanted,
    }


def _write_network_files(container: Container, attachment: Attachment) -> None:
    if attachment.files is None:
        return
    for name, text in (
        ("hostname", attachment.files.hostname),
        ("hosts", attachment.files.hosts),
        ("resolv.conf", attachment.files.resolv_conf),
    ):
        with open(f"{container.directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def _network_mounts(container: Container, owner: Container) -> list[dict[str, Any]]:
    """The files of ``owner``, whose network it is, unless the user mounts something there."""
    taken = {point["Destination"] for point in container.mounts}
    access = "ro" if container.host.get("ReadonlyRootfs") else "rw"
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{owner.directory}/{name}",
            "options": ["rbind", "rprivate", access],
        }
        for name in _NETWORK_FILES
        if f"/etc/{name}" not in taken
    ]
