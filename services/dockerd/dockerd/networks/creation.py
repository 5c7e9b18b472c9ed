"""`docker network create`: from a client's document to a record; refused by name where it is not built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any, Final

from dockerd.fields import check_fields, is_number
from dockerd.networks.catalog import new_network, trusted
from dockerd.networks.errors import (
    ConfigurationOfConfiguration,
    DriverMissing,
    DriverNotBuilt,
    InvalidNetwork,
    NameEmpty,
    OnlyOneInstance,
    OperatorFields,
    OwnConfiguration,
    SeveralSubnets,
)
from dockerd.networks.model import (
    OPTION_BRIDGE_NAME,
    OPTION_ENABLE_4,
    OPTION_ENABLE_6,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_INHIBIT,
    OPTION_MASQUERADE,
    OPTION_MODE_4,
    OPTION_MODE_6,
    OPTION_MTU,
    OPTION_PREFIX,
    OPTION_TRUSTED,
    GatewayMode,
    IpAddress,
    IpamConfig,
    IpNetwork,
    NetworkRecord,
)
from dockerd.networks.sandbox.options import is_link_name
from wire.errors import InvalidArgument, NotImplementedYet

REQUEST: Final = {
    "Name": "string", "Driver": "string", "Scope": "string", "EnableIPv4": "bool", "EnableIPv6": "bool", "IPAM": "object",
    "Internal": "bool", "Attachable": "bool", "Ingress": "bool", "ConfigOnly": "bool", "ConfigFrom": "object",
    "Options": "map of strings", "Labels": "map of strings",
}  # fmt: skip
IPAM: Final = {"Driver": "string", "Config": "list of objects", "Options": "map of strings"}
POOL: Final = {
    "Subnet": "string", "Gateway": "string", "IPRange": "string", "AuxiliaryAddresses": "map of strings",
}  # fmt: skip
_NOT_BUILT: Final = frozenset({"macvlan", "ipvlan", "overlay"})
_BOOLEANS: Final = (OPTION_ICC, OPTION_MASQUERADE, OPTION_INHIBIT)
_MODES: Final = (OPTION_MODE_4, OPTION_MODE_6)
_OPTIONS: Final = frozenset(
    {*_BOOLEANS, *_MODES, OPTION_BRIDGE_NAME, OPTION_HOST_BINDING, OPTION_MTU, OPTION_PREFIX, OPTION_TRUSTED}
)  # fmt: skip
_OURS: Final = "com.docker.network."
_SMALLEST_MTU: Final = 68
_SMALLEST_MTU_IPV6: Final = 1280
_LINK_LOCAL: Final = ip_network("fe80::/64")
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def parse(
    document: dict[str, Any], defaults: Mapping[str, Mapping[str, str]] | None = None
) -> NetworkRecord:
    """A record without a subnet where none was given; raises InvalidArgument, NotFound, NotImplementedYet kinds.

    ``defaults`` are options by driver, below those of the document.
    """
    check_fields("CreateRequest", REQUEST, document)
    check_fields("IPAM", IPAM, document.get("IPAM") or {})
    for config in (document.get("IPAM") or {}).get("Config") or []:
        check_fields("IPAMConfig", POOL, config)
    name = str(document.get("Name") or "")
    if not name.strip():
        raise NameEmpty
    driver = document.get("Driver") or "bridge"
    only, source = bool(document.get("ConfigOnly")), _source(document)
    if only:
        _check_configuration(document, source)
    else:
        _check_driver(driver)
    _refuse(document)
    options = {
        **({} if source else (defaults or {}).get(driver, {})),
        **_strings("Options", document.get("Options") or {}),
    }
    ipv4 = _enabled(options, OPTION_ENABLE_4, given=document.get("EnableIPv4"), default=True)
    ipv6 = _enabled(options, OPTION_ENABLE_6, given=document.get("EnableIPv6"), default=False)
    if not ipv4 and not ipv6:
        raise InvalidArgument("IPv4 or IPv6 must be enabled")
    internal = bool(document.get("Internal"))
    ipam = _ipam(document.get("IPAM") or {}, {4: ipv4, 6: ipv6})
    labels = _strings("Labels", document.get("Labels") or {})
    if source:
        _check_configured(document, options, labels, standard=ipv4 and not ipv6)
    return _with_own_subnets(
        replace(
            # No driver takes care of what is only a configuration.
            new_network(name, "null" if only else driver),
            config_only=only,
            config_from=source,
            enable_ipv4=ipv4,
            enable_ipv6=ipv6,
            internal=internal,
            attachable=bool(document.get("Attachable")),
            ipam_options=(document.get("IPAM") or {}).get("Options"),
            ipam=ipam,
            options=options if only else _options(options, internal=internal, ipv6=ipv6),
            labels=labels,
        )
    )


def configured(draft: NetworkRecord, source: NetworkRecord) -> NetworkRecord:
    """A draft with what a configuration-only network says; raises InvalidArgument, NotImplementedYet for its options."""
    return _with_own_subnets(
        replace(
            draft,
            enable_ipv4=source.enable_ipv4,
            enable_ipv6=source.enable_ipv6,
            ipam_options=source.ipam_options,
            ipam=source.ipam,
            options=_options(
                dict(source.options), internal=draft.internal, ipv6=source.enable_ipv6
            ),
            labels=dict(source.labels),
        )
    )


def _with_own_subnets(record: NetworkRecord) -> NetworkRecord:
    chosen = {version: record.pool(version) for version in (4, 6)}
    return replace(
        record,
        own_subnets=bool(chosen[4] and chosen[4].subnet),
        own_subnets_v6=bool(chosen[6] and chosen[6].subnet),
    )


def _source(document: dict[str, Any]) -> str:
    """The name of the configuration that a network is made with; empty for none."""
    reference = document.get("ConfigFrom") or {}
    check_fields("ConfigReference", {"Network": "string"}, reference)
    return reference.get("Network") or ""


def _check_driver(driver: str) -> None:
    if driver in {"host", "null"}:
        raise OnlyOneInstance(driver)
    if driver in _NOT_BUILT:
        raise DriverNotBuilt(driver)
    if driver != "bridge":
        raise DriverMissing(driver)


def _check_configuration(document: dict[str, Any], source: str) -> None:
    if any(document.get(key) for key in ("Ingress", "Internal", "Attachable", "Scope")):
        raise OperatorFields
    if source:
        raise ConfigurationOfConfiguration


def _check_configured(
    document: dict[str, Any], options: dict[str, str], labels: dict[str, str], *, standard: bool
) -> None:
    """A network with a configuration has nothing that would come from there; ``standard``: its IP versions are."""
    ipam = document.get("IPAM") or {}
    if not standard or labels or ipam.get("Options") or ipam.get("Config"):
        raise OwnConfiguration("user specified configurations")
    if options:
        raise OwnConfiguration("network driver options")


def _enabled(options: dict[str, str], key: str, *, given: bool | None, default: bool) -> bool:
    """What the field says, or else the driver option of the same meaning; that one is taken out."""
    text = options.pop(key, None)
    if given is not None:
        return given
    if text is None:
        return default
    if text not in _TRUE | _FALSE:
        raise InvalidArgument(f'driver-opt "{key}" is not a valid bool')
    return text in _TRUE


def _refuse(document: dict[str, Any]) -> None:
    if document.get("Ingress"):
        raise NotImplementedYet("network option Ingress is not implemented yet")
    scope = document.get("Scope") or "local"
    if scope != "local":
        raise NotImplementedYet(f"network scope {scope} is not implemented")
    driver = (document.get("IPAM") or {}).get("Driver") or "default"
    if driver != "default":
        raise DriverMissing(driver)


def _ipam(document: dict[str, Any], enabled: dict[int, bool]) -> tuple[IpamConfig, ...]:
    """The subnets that the client chose, IPv4 first; those of an IP version that the network has not are left out."""
    found: dict[int, IpamConfig] = {}
    problems: list[str] = []
    for config in document.get("Config") or []:
        rest = {key: config.get(key) for key in ("Gateway", "IPRange", "AuxiliaryAddresses")}
        text = config.get("Subnet") or ""
        if not text:
            if any(rest.values()):
                raise InvalidNetwork("invalid network config: no subnet is given")
            continue
        subnet = _subnet(text, "subnet")
        if not enabled[subnet.version]:
            continue
        if subnet.version in found:
            raise SeveralSubnets
        found[subnet.version] = _pool(text, subnet, rest, problems)
    if problems:
        raise InvalidNetwork("\n".join(problems))
    return tuple(found[version] for version in sorted(found))


def _pool(text: str, subnet: IpNetwork, rest: dict[str, Any], problems: list[str]) -> IpamConfig:
    if (
        text.partition("/")[0] != str(subnet.network_address)
        and _address(text, "subnet") != subnet.network_address
    ):
        problems.append(f"invalid subnet {text}: it should be {subnet}")
    if subnet.version == 6 and subnet.is_multicast:
        problems.append(f"multicast subnet '{subnet}' is not allowed")
    if subnet.version == 6 and subnet != _LINK_LOCAL and subnet.overlaps(_LINK_LOCAL):
        problems.append(f"'{subnet}' clashes with the Link-Local prefix 'fe80::/64'")
    gateway = _address(rest["Gateway"], "gateway")
    if gateway is not None:
        problems += _misplaced(f"invalid gateway {gateway}", gateway, subnet)
    ip_range = _subnet(rest["IPRange"], "ip-range") if rest["IPRange"] else None
    if ip_range is not None:
        problems += _misplaced_range(ip_range, subnet)
    auxiliary = _strings("AuxiliaryAddresses", rest["AuxiliaryAddresses"] or {})
    for name, each in auxiliary.items():
        found = _address(each, "auxiliary address")
        if found is not None:
            problems += _misplaced(f"invalid auxiliary address {name}", found, subnet)
    return IpamConfig(
        subnet=str(subnet),
        gateway=str(gateway or ""),
        ip_range=str(ip_range or ""),
        auxiliary=auxiliary,
    )


def _misplaced(what: str, address: IpAddress, subnet: IpNetwork) -> list[str]:
    if address.version != subnet.version:
        return [f"{what}: parent subnet is an IPv{subnet.version} block"]
    if address not in subnet:
        return [f"{what}: parent subnet {subnet} doesn't contain this address"]
    return []


def _misplaced_range(ip_range: IpNetwork, subnet: IpNetwork) -> list[str]:
    what = f"invalid ip-range {ip_range}"
    if ip_range.version != subnet.version:
        return [f"{what}: parent subnet is an IPv{subnet.version} block"]
    if ip_range.prefixlen < subnet.prefixlen:
        return [f"{what}: CIDR block is bigger than its parent subnet {subnet}"]
    if ip_range.network_address not in subnet:
        return [f"{what}: parent subnet {subnet} doesn't contain ip-range"]
    return []


def _subnet(text: str, what: str) -> IpNetwork:
    try:
        if "/" not in text:
            raise ValueError("no prefix length")
        return ip_network(text, strict=False)
    except ValueError:
        raise InvalidNetwork(f"invalid {what} {text}: invalid CIDR block notation") from None


def _address(text: str | None, what: str) -> IpAddress | None:
    if not text:
        return None
    try:
        return ip_address(text.partition("/")[0])
    except ValueError:
        raise InvalidNetwork(f"invalid {what} {text}: invalid address") from None


def _options(given: dict[str, str], *, internal: bool, ipv6: bool) -> dict[str, str]:
    options = dict(given)
    for key, value in options.items():
        if key.startswith(_OURS) and key not in _OPTIONS:
            raise NotImplementedYet(f"network option {key} is not implemented yet")
        if key in _BOOLEANS and value not in _TRUE | _FALSE:
            raise _unparsed(key, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')
        if key in _BOOLEANS:
            options[key] = "true" if value in _TRUE else "false"
        if key in _MODES:
            _check_mode(key, value, internal=internal)
    name = options.get(OPTION_BRIDGE_NAME, "")
    if name and not is_link_name(name):
        raise InvalidArgument(f"invalid bridge name: {name}")
    prefix = options.get(OPTION_PREFIX, "")
    if prefix and not is_link_name(f"{prefix}99"):
        raise _unparsed(OPTION_PREFIX, prefix, "invalid interface name")
    for each in trusted(options):
        if not is_link_name(each):
            raise _unparsed(OPTION_TRUSTED, each, "invalid interface name")
    mtu = options.get(OPTION_MTU)
    smallest = _SMALLEST_MTU_IPV6 if ipv6 else _SMALLEST_MTU
    if mtu is not None and not (is_number(mtu) and int(mtu) >= smallest):
        raise InvalidArgument(f"invalid MTU: {mtu}")
    if OPTION_HOST_BINDING in options:
        _address(options[OPTION_HOST_BINDING], "host binding address")
    return options


def _check_mode(key: str, value: str, *, internal: bool) -> None:
    if value not in set(GatewayMode):
        raise _unparsed(key, value, f"unknown gateway mode {value}")
    if value == GatewayMode.ISOLATED and not internal:
        raise InvalidArgument("gateway mode 'isolated' can only be used for an internal network")


def _unparsed(key: str, value: str, cause: str) -> InvalidArgument:
    return InvalidArgument(f"failed to parse {key} value: {value} ({cause})")


def _strings(name: str, given: Any) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise InvalidArgument(f"invalid JSON: {name} maps strings to strings")
    return dict(given)
