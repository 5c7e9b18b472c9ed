"""What requests for containers meant in older API versions, and how those show containers: pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from dockerd.networks.model import ENDPOINT_SYSCTLS
from wire.errors import InvalidArgument

Version = tuple[int, int]
Document = dict[str, Any]

_AUTOMATIC_REMOVAL_SINCE: Final = (1, 25)
_RECURSIVE_BINDS_SINCE: Final = (1, 40)
_CREATED_SOURCES_SINCE: Final = (1, 42)
_CONSOLE_SIZE_SINCE: Final = (1, 42)
_ANNOTATIONS_SINCE: Final = (1, 43)
_READ_ONLY_SUBMOUNTS_SINCE: Final = (1, 44)
_SEVERAL_NETWORKS_SINCE: Final = (1, 44)
_MAC_PER_NETWORK_SINCE: Final = (1, 44)
_SUBPATHS_SINCE: Final = (1, 45)
_OWN_ALIASES_UNTIL: Final = (1, 45)
_ANNOTATIONS_LISTED_SINCE: Final = (1, 46)
_INTERFACE_SYSCTLS_UNTIL: Final = (1, 47)
_IMAGE_MOUNTS_SINCE: Final = (1, 48)
_MANIFEST_DESCRIPTOR_SINCE: Final = (1, 48)
_PREDEFINED: Final = frozenset({"bridge", "host", "none"})
_SHORT_ID: Final = 12
_SYSCTL_PARTS: Final = 5
_CONTAINER_MAC: Final = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig"
    " instead."
)
_VOLUME_DRIVER: Final = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use"
    " '--mount type=volume,volume-driver=...' instead"
)


def create_request(
    config: Document, host: Document, endpoints: Document, version: Version
) -> list[str]:
    """Rewrite the parts of a create request, whose types are checked, to what they mean today; returns warnings.

    Raises InvalidArgument for what the version has not.
    """
    _rewrite_host(host, version)
    if version < _READ_ONLY_SUBMOUNTS_SINCE and config.get("Healthcheck"):
        config["Healthcheck"] = {**config["Healthcheck"], "StartInterval": 0}
    for mount in host.get("Mounts") or []:
        _rewrite_mount(mount or {}, version)
    if version < _SEVERAL_NETWORKS_SINCE and len(endpoints) > 1:
        raise InvalidArgument(
            f"Container cannot be created with multiple network endpoints: {', '.join(endpoints)}"
        )
    if version < _IMAGE_MOUNTS_SINCE:
        for settings in endpoints.values():
            (settings or {}).pop("GwPriority", None)
    return [
        *_volume_driver(host, version),
        *_move_mac(config, host, endpoints, version),
        *_move_sysctls(host, endpoints, version),
    ]


def recursive_read_only(version: Version) -> bool:
    """Whether what is mounted below a read-only bind mount is read-only, too, where nothing is said."""
    return version >= _READ_ONLY_SUBMOUNTS_SINCE


def _rewrite_host(host: Document, version: Version) -> None:
    if version < _AUTOMATIC_REMOVAL_SINCE:
        host["AutoRemove"] = False
    if version < _RECURSIVE_BINDS_SINCE:
        host.pop("KernelMemoryTCP", None)
        host["IpcMode"] = host.get("IpcMode") or "shareable"
    if version < _CONSOLE_SIZE_SINCE:
        host.pop("ConsoleSize", None)
    if version < _ANNOTATIONS_SINCE:
        host.pop("Annotations", None)


def _rewrite_mount(mount: Document, version: Version) -> None:
    kind, bind = mount.get("Type"), mount.get("BindOptions") or {}
    if version < _RECURSIVE_BINDS_SINCE:
        bind.pop("NonRecursive", None)
    if version < _CREATED_SOURCES_SINCE:
        bind.pop("CreateMountpoint", None)
        for key, of in (("VolumeOptions", "volume"), ("TmpfsOptions", "tmpfs")):
            if kind != of:
                mount.pop(key, None)
    if version < _READ_ONLY_SUBMOUNTS_SINCE and bind.get("ReadOnlyForceRecursive"):
        raise InvalidArgument("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
    if version < _SUBPATHS_SINCE and (mount.get("VolumeOptions") or {}).get("Subpath"):
        raise InvalidArgument("VolumeOptions.Subpath needs API v1.45 or newer")
    if version < _IMAGE_MOUNTS_SINCE and kind == "image":
        raise InvalidArgument('Mount type "Image" needs API v1.48 or newer')


def _volume_driver(host: Document, version: Version) -> Iterable[str]:
    if not host.get("VolumeDriver") or version < _IMAGE_MOUNTS_SINCE:
        return []
    for mount in host.get("Mounts") or []:
        driver = ((mount or {}).get("VolumeOptions") or {}).get("DriverConfig") or {}
        if (mount or {}).get("Type") == "volume" and not driver.get("Name"):
            return [_VOLUME_DRIVER]
    return []


def _mode(host: Document) -> str:
    mode = host.get("NetworkMode") or "default"
    return "bridge" if mode == "default" else str(mode)


def _endpoint(host: Document, endpoints: Document, what: str) -> Document:
    """The settings of the network that the container's own settings are for; raises InvalidArgument."""
    mode = _mode(host)
    name = "default" if mode == "bridge" and "default" in endpoints else mode
    if endpoints and name not in endpoints:
        raise InvalidArgument(
            f"{what}: HostConfig.NetworkMode must match the identity of a network in NetworkingConfig.EndpointsConfig"
        )
    settings: Document = endpoints.get(name) or {}
    endpoints[name] = settings
    return settings


def _move_mac(
    config: Document, host: Document, endpoints: Document, version: Version
) -> Iterable[str]:
    """A MAC address of the container becomes that of its main network."""
    given = config.get("MacAddress")
    if not given:
        if version < _MAC_PER_NETWORK_SINCE:
            for settings in endpoints.values():
                (settings or {}).pop("MacAddress", None)
        return []
    mode = _mode(host)
    bridged = mode == "bridge" or _user_defined(mode)
    if version < _MAC_PER_NETWORK_SINCE:
        if not bridged:
            raise InvalidArgument("conflicting options: mac-address and the network mode")
        _endpoint(host, endpoints, "unable to set the MAC address")["MacAddress"] = given
        del config["MacAddress"]
        return []
    if bridged:
        settings = _endpoint(
            host, endpoints, "unable to migrate container-wide MAC address to a specific network"
        )
        if (settings.get("MacAddress") or given) != given:
            raise InvalidArgument(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or"
                " be left empty"
            )
        settings["MacAddress"] = given
    del config["MacAddress"]
    return [_CONTAINER_MAC]


def _move_sysctls(host: Document, endpoints: Document, version: Version) -> Iterable[str]:
    """Kernel settings of the first interface become those of the main network."""
    mode, given = _mode(host), host.get("Sysctls") or {}
    moved: dict[str, str] = {}
    if mode == "host" or mode.startswith("container:"):
        return []
    for key, value in given.items():
        parts = key.split(".", _SYSCTL_PARTS - 1)
        if len(parts) != _SYSCTL_PARTS or parts[0] != "net" or not parts[3].startswith("eth"):
            continue
        if version > _INTERFACE_SYSCTLS_UNTIL:
            raise InvalidArgument(
                f"interface specific sysctl setting \"{key}\" must be supplied using driver option '{ENDPOINT_SYSCTLS}'"
            )
        if parts[3] != "eth0":
            raise InvalidArgument(
                f"unable to determine network endpoint for sysctl {key}, use driver option '{ENDPOINT_SYSCTLS}' to set"
                " per-interface sysctls"
            )
        moved[key] = f"net.{parts[1]}.{parts[2]}.IFNAME.{parts[4]}={value}"
    if not moved:
        return []
    settings = _endpoint(host, endpoints, "unable to find a network for sysctl")
    wanted = ",".join(moved.values())
    options = settings.get("DriverOpts") or {}
    own = options.get(ENDPOINT_SYSCTLS)
    settings["DriverOpts"] = {**options, ENDPOINT_SYSCTLS: f"{wanted},{own}" if own else wanted}
    host["Sysctls"] = {key: value for key, value in given.items() if key not in moved}
    return [
        f'Migrated sysctl "{",".join(moved)}" to DriverOpts{{"{ENDPOINT_SYSCTLS}":"{wanted}"}}.'
    ]


def inspected(document: Document, version: Version) -> Document:
    """A container: its own names were among its aliases on user-defined networks."""
    found = document
    if version < _OWN_ALIASES_UNTIL:
        own = (document["Id"][:_SHORT_ID], document["Config"]["Hostname"])
        networks = {
            name: _with_aliases(each, own) if _user_defined(name) else each
            for name, each in document["NetworkSettings"]["Networks"].items()
        }
        found = {**found, "NetworkSettings": {**document["NetworkSettings"], "Networks": networks}}
    if version < _MANIFEST_DESCRIPTOR_SINCE:
        found = {key: value for key, value in found.items() if key != "ImageManifestDescriptor"}
    return found


def has_one_mac(version: Version) -> bool:
    """Whether the MAC address that was asked for is told in the configuration of a container."""
    return version < _MAC_PER_NETWORK_SINCE


def _user_defined(network: str) -> bool:
    return network not in _PREDEFINED and not network.startswith("container:")


def _with_aliases(endpoint: Document, own: tuple[str, str]) -> Document:
    return {**endpoint, "Aliases": list(dict.fromkeys((*(endpoint["Aliases"] or ()), *own)))}


def listed(document: Document, version: Version) -> Document:
    """An entry of the list."""
    found = document
    if version < _ANNOTATIONS_LISTED_SINCE:
        host = {key: each for key, each in found["HostConfig"].items() if key != "Annotations"}
        found = {**found, "HostConfig": host}
    if version < _MANIFEST_DESCRIPTOR_SINCE:
        found = {key: value for key, value in found.items() if key != "ImageManifestDescriptor"}
    return found
