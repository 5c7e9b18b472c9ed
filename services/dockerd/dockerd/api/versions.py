"""What older API versions have otherwise: pure functions from today's answer to that of the version that a client speaks."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final

from dockerd.containers.errors import RemovalOfRunning
from wire.errors import Conflict

Version = tuple[int, int]

_IPV6: Final = 6
_NAMES_UNIQUE_SINCE: Final = (1, 44)
_STRICT_SUBNETS_SINCE: Final = (1, 44)
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_COMMAND_NOT_FOUND_SINCE: Final = (1, 42)
_STATUS_IN_REMOVAL_SINCE: Final = (1, 44)
_NO_CONTAINER_IN_IMAGE_SINCE: Final = (1, 44)
_NO_PATTERN_SINCE: Final = (1, 41)
_MANIFESTS_SINCE: Final = (1, 47)
_NO_NAMES_SINCE: Final = (1, 43)
_CONTAINERS_SINCE: Final = (1, 51)
_IMAGE_CONFIG_SINCE: Final = (1, 50)
_INFORMATION_SINCE: Final = {
    "Containerd": (1, 46), "FirewallBackend": (1, 49), "DiscoveredDevices": (1, 50),
}  # fmt: skip
_STATUS_OF_RUNTIMES_SINCE: Final = (1, 44)
_FOREIGN_LAYERS_UNTIL: Final = (1, 47)
_EXPECTED_UNTIL: Final = (1, 49)
_BRIDGE_FILTERS_UNTIL: Final = (1, 50)
_SECURITY_FIELDS_SINCE: Final = (1, 25)
_IPV4_CHOSEN_SINCE: Final = (1, 48)
_DETAILED_LIST_UNTIL: Final = (1, 28)
_SOME_USAGE_SINCE: Final = (1, 42)
_IMAGE_CONFIG: Final = {
    "Cmd": None, "Entrypoint": None, "Env": None, "Labels": None, "OnBuild": None, "User": "", "Volumes": None,
    "WorkingDir": "",
}  # fmt: skip
_CONTAINER_CONFIG: Final = {
    "AttachStderr": False, "AttachStdin": False, "AttachStdout": False, "Domainname": "", "Hostname": "", "Image": "",
    "OpenStdin": False, "StdinOnce": False, "Tty": False,
}  # fmt: skip
_ONE_SIZE_SINCE: Final = (1, 44)
_DESCRIPTOR_SINCE: Final = (1, 48)


def network_request(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """Subnets might be written with the address of a host in them, and one of IPv6 needed nothing more to be taken.

    IPv4 could not be turned off.
    """
    if version < _IPV4_CHOSEN_SINCE:
        document = {key: value for key, value in document.items() if key != "EnableIPv4"}
    ipam = document.get("IPAM")
    configs = ipam.get("Config") if isinstance(ipam, dict) else None
    if version >= _STRICT_SUBNETS_SINCE or not isinstance(configs, list):
        # What is of the wrong type is refused where it is read.
        return document
    found, ipv6 = [], False
    for config in configs:
        text = config.get("Subnet") if isinstance(config, dict) else None
        try:
            subnet = ip_network(text, strict=False) if isinstance(text, str) and text else None
        except ValueError:
            subnet = None
        found.append(config if subnet is None else {**config, "Subnet": str(subnet)})
        ipv6 |= subnet is not None and subnet.version == _IPV6
    enabled = document.get("EnableIPv6")
    return {
        **document,
        "IPAM": {**document["IPAM"], "Config": found},
        "EnableIPv6": True if ipv6 and enabled is None else enabled,
    }


def allows_namesakes(document: dict[str, Any], version: Version) -> bool:
    """Whether a network may have the name of another: older clients had to ask that it may not."""
    return version < _NAMES_UNIQUE_SINCE and not document.get("CheckDuplicate")


def lists_containers(version: Version) -> bool:
    """Whether the list of networks has their containers."""
    return version < _DETAILED_LIST_UNTIL


def chooses_usage(version: Version) -> bool:
    """Whether a client can ask for the usage of some kinds of objects."""
    return version >= _SOME_USAGE_SINCE


def disk_usage(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """What takes space: there was a sum for the builder, and images had two sizes."""
    found = dict(document)
    if "Images" in found:
        found["Images"] = [_sized_twice(each, version) for each in found["Images"]]
    return found if version >= _SOME_USAGE_SINCE else {**found, "BuilderSize": 0}


def information(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """What is told of the daemon grew; what it was built for was told beside what it found."""
    found = dict(document)
    for key, since in _INFORMATION_SINCE.items():
        if version < since:
            found.pop(key, None)
    if version < _STATUS_OF_RUNTIMES_SINCE:
        found["Runtimes"] = {
            name: {key: value for key, value in each.items() if key != "status"}
            for name, each in found["Runtimes"].items()
        }
    if version < _FOREIGN_LAYERS_UNTIL:
        found["RegistryConfig"] = {
            **found["RegistryConfig"],
            "AllowNondistributableArtifactsCIDRs": None,
            "AllowNondistributableArtifactsHostnames": None,
        }
    if version < _EXPECTED_UNTIL:
        for key in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            found[key] = {**found[key], "Expected": found[key]["ID"]}
    if version < _BRIDGE_FILTERS_UNTIL:
        found |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    if version < _SECURITY_FIELDS_SINCE:
        found["SecurityOptions"] = [
            each.partition(",")[0].removeprefix("name=") for each in found["SecurityOptions"]
        ]
    return found


def exec_document(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """An exec whose command does not exist ended with 126 once."""
    if version < _COMMAND_NOT_FOUND_SINCE and document["ExitCode"] == _NOT_FOUND:
        return {**document, "ExitCode": _NOT_EXECUTABLE} if not document["Pid"] else document
    return document


def removal_refused(error: RemovalOfRunning, version: Version) -> Conflict:
    """The sentence about a container that must be stopped first."""
    if version >= _STATUS_IN_REMOVAL_SINCE:
        return error
    before = "Unpause and then stop" if error.status == "paused" else "Stop"
    return Conflict(
        f"You cannot remove a {error.status} container {error.container_id}. {before} the container before"
        " attempting removal or force remove"
    )


def takes_pattern(version: Version) -> bool:
    """Whether images are listed by a pattern beside the filters."""
    return version < _NO_PATTERN_SINCE


def shows_source(version: Version) -> bool:
    """Whether an image tells of the container that it was made of."""
    return version < _NO_CONTAINER_IN_IMAGE_SINCE


def image_summary(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """An entry of the list of images: descriptors came late, and the number of containers was told by `df` alone."""
    found = dict(document)
    if version < _NO_NAMES_SINCE and not found["RepoTags"] and not found["RepoDigests"]:
        found |= {"RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]}
    if version < _CONTAINERS_SINCE:
        found["Containers"] = -1
    return _sized_twice(_without(found, version, _DESCRIPTOR_SINCE, "Descriptor"), version)


def image_document(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """An image: its configuration was once that of a container."""
    always = {**_IMAGE_CONFIG, **(_CONTAINER_CONFIG if version < _IMAGE_CONFIG_SINCE else {})}
    document = {**document, "Config": {**always, **document["Config"]}}
    shown = _without(document, version, _DESCRIPTOR_SINCE, "Descriptor", "Manifests")
    return _sized_twice(shown, version)


def _sized_twice(document: dict[str, Any], version: Version) -> dict[str, Any]:
    if version >= _ONE_SIZE_SINCE:
        return document
    return {**document, "VirtualSize": document["Size"]}


def _without(
    document: dict[str, Any], version: Version, since: Version, *keys: str
) -> dict[str, Any]:
    if version >= since:
        return document
    return {key: value for key, value in document.items() if key not in keys}


def shows_manifests(version: Version) -> bool:
    """Whether images have manifests."""
    return version >= _MANIFESTS_SINCE
