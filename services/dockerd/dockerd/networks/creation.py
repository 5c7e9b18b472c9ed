"""`docker network create`: from a client's document to a record; refused by name where it is not built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any, Final

from dockerd.fields import check_fields
from dockerd.networks.catalog import new_network
from dockerd.networks.errors import (
    DriverMissing,
    DriverNotBuilt,
    InvalidNetwork,
    NameEmpty,
    OnlyOneInstance,
)
from dockerd.networks.model import (
    OPTION_BRIDGE_NAME,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MTU,
    IpamConfig,
    NetworkRecord,
)
from wire.errors import InvalidArgument, NotImplementedYet

_REQUEST: Final = {
    "Name": "string", "Driver": "string", "Scope": "string", "EnableIPv4": "bool", "EnableIPv6": "bool", "IPAM": "object",
    "Internal": "bool", "Attachable": "bool", "Ingress": "bool", "ConfigOnly": "bool", "ConfigFrom": "object",
    "Options": "map of strings", "Labels": "map of strings",
}  # fmt: skip
_IPAM: Final = {"Driver": "string", "Config": "list of objects", "Options": "map of strings"}
_POOL: Final = {
    "Subnet": "string", "Gateway": "string", "IPRange": "string", "AuxiliaryAddresses": "map of strings",
}  # fmt: skip
_NOT_BUILT: Final = frozenset({"macvlan", "ipvlan", "overlay"})
_OPTIONS: Final = frozenset(
    {OPTION_BRIDGE_NAME, OPTION_HOST_BINDING, OPTION_ICC, OPTION_MASQUERADE, OPTION_MTU}
)
_BOOLEANS: Final = (OPTION_ICC, OPTION_MASQUERADE)
_OURS: Final = "com.docker.network."
_LONGEST_LINK: Final = 15
_SMALLEST_MTU: Final = 68


def parse(
    document: dict[str, Any], defaults: Mapping[str, Mapping[str, str]] | None = None
) -> NetworkRecord:
    """A record without a subnet where none was given; raises InvalidArgument, NotFound, NotImplementedYet kinds.

    ``defaults`` are options by driver, below those of the document.
    """
    check_fields("CreateRequest", _REQUEST, document)
    check_fields("IPAM", _IPAM, document.get("IPAM") or {})
    for config in (document.get("IPAM") or {}).get("Config") or []:
        check_fields("IPAMConfig", _POOL, config)
    name = str(document.get("Name") or "")
    if not name.strip():
        raise NameEmpty
    driver = document.get("Driver") or "bridge"
    if driver in {"host", "null"}:
        raise OnlyOneInstance(driver)
    if driver in _NOT_BUILT:
        raise DriverNotBuilt(driver)
    if driver != "bridge":
        raise DriverMissing(driver)
    _refuse(document)
    ipam = _ipam(document.get("IPAM") or {})
    return replace(
        new_network(name, driver),
        internal=bool(document.get("Internal")),
        attachable=bool(document.get("Attachable")),
        ipam_options=(document.get("IPAM") or {}).get("Options"),
        ipam=ipam,
        own_subnets=bool(ipam and ipam[0].subnet),
        options=_options({**(defaults or {}).get(driver, {}), **(document.get("Options") or {})}),
        labels=_strings("Labels", document.get("Labels") or {}),
    )


def _refuse(document: dict[str, Any]) -> None:
    for key in ("EnableIPv6", "ConfigOnly", "ConfigFrom", "Ingress"):
        value = document.get(key)
        if value and not (isinstance(value, dict) and not value.get("Network")):
            raise NotImplementedYet(f"network option {key} is not implemented yet")
    if document.get("EnableIPv4") is False:
        raise NotImplementedYet("networks without IPv4 are not implemented yet")
    scope = document.get("Scope") or "local"
    if scope != "local":
        raise NotImplementedYet(f"network scope {scope} is not implemented")
    driver = (document.get("IPAM") or {}).get("Driver") or "default"
    if driver != "default":
        raise DriverMissing(driver)


def _ipam(document: dict[str, Any]) -> tuple[IpamConfig, ...]:
    configs = document.get("Config") or []
    if not configs:
        return ()
    if len(configs) > 1:
        raise NotImplementedYet("networks with several subnets are not implemented yet")
    (config,) = configs
    text = config.get("Subnet") or ""
    rest = {key: config.get(key) for key in ("Gateway", "IPRange", "AuxiliaryAddresses")}
    if not text:
        if any(rest.values()):
            raise InvalidNetwork("invalid network config: no subnet is given")
        return ()
    if ":" in text:
        raise NotImplementedYet("IPv6 subnets are not implemented yet")
    subnet = _subnet(text, "subnet")
    problems = []
    if str(subnet) != text and text.partition("/")[0] != str(subnet.network_address):
        problems.append(f"invalid subnet {text}: it should be {subnet}")
    gateway = _address(rest["Gateway"], "gateway")
    if gateway is not None and gateway not in subnet:
        problems.append(f"invalid gateway {gateway}: parent subnet is {subnet}")
    ip_range = _subnet(rest["IPRange"], "ip-range") if rest["IPRange"] else None
    if ip_range is not None and not ip_range.subnet_of(subnet):
        problems.append(f"invalid ip-range {ip_range}: parent subnet is {subnet}")
    auxiliary = _strings("AuxiliaryAddresses", rest["AuxiliaryAddresses"] or {})
    for name, each in auxiliary.items():
        found = _address(each, "auxiliary address")
        if found is not None and found not in subnet:
            problems.append(f"invalid auxiliary address {name}: parent subnet is {subnet}")
    if problems:
        raise InvalidNetwork("\n".join(problems))
    return (
        IpamConfig(
            subnet=str(subnet),
            gateway=str(gateway or ""),
            ip_range=str(ip_range or ""),
            auxiliary=auxiliary,
        ),
    )


def _subnet(text: str, what: str) -> IPv4Network:
    try:
        return IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise InvalidNetwork(f"invalid {what} {text}: invalid CIDR block notation") from None


def _address(text: str | None, what: str) -> IPv4Address | None:
    if not text:
        return None
    try:
        return IPv4Address(text.partition("/")[0])
    except AddressValueError:
        raise InvalidNetwork(f"invalid {what} {text}: invalid address") from None


def _options(given: dict[str, Any]) -> dict[str, str]:
    options = _strings("Options", given)
    for key, value in options.items():
        if key.startswith(_OURS) and key not in _OPTIONS:
            raise NotImplementedYet(f"network option {key} is not implemented yet")
        if key in _BOOLEANS and value not in {"true", "false", "1", "0"}:
            raise InvalidArgument(
                f'strconv.ParseBool: parsing "{value}": invalid syntax: failed to parse {key}'
            )
        if key in _BOOLEANS:
            options[key] = "true" if value in {"true", "1"} else "false"
    name = options.get(OPTION_BRIDGE_NAME, "")
    if len(name) > _LONGEST_LINK or "/" in name or len(name.split()) > 1:
        raise InvalidArgument(f"invalid bridge name: {name}")
    mtu = options.get(OPTION_MTU)
    if mtu is not None and (not mtu.isdigit() or int(mtu) < _SMALLEST_MTU):
        raise InvalidArgument(f"invalid MTU: {mtu}")
    if OPTION_HOST_BINDING in options:
        _address(options[OPTION_HOST_BINDING], "host binding address")
    return options


def _strings(name: str, given: Any) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise InvalidArgument(f"invalid JSON: {name} maps strings to strings")
    return dict(given)
