"""What older API versions have otherwise: pure functions from today's answer to that of the version that a client speaks."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final

from dockerd.containers.errors import RemovalOfRunning
from wire.errors import Conflict

Version = tuple[int, int]

_IPV6: Final = 6
_STRICT_SUBNETS_SINCE: Final = (1, 44)
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_COMMAND_NOT_FOUND_SINCE: Final = (1, 42)
_STATUS_IN_REMOVAL_SINCE: Final = (1, 44)
_NO_CONTAINER_IN_IMAGE_SINCE: Final = (1, 44)
_NO_PATTERN_SINCE: Final = (1, 41)
_MANIFESTS_SINCE: Final = (1, 47)
_ONE_SIZE_SINCE: Final = (1, 44)
_DESCRIPTOR_SINCE: Final = (1, 48)


def network_request(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """Subnets might be written with the address of a host in them, and one of IPv6 needed nothing more to be taken."""
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
    """An entry of the list of images: their descriptors came late."""
    return _sized_twice(_without(document, version, _DESCRIPTOR_SINCE, "Descriptor"), version)


def image_document(document: dict[str, Any], version: Version) -> dict[str, Any]:
    """An image."""
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
