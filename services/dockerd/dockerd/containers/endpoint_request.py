"""What a container asks of the networks: from its HostConfig, and its settings for each network."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from dockerd.containers import joined, links
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.networks.errors import InvalidEndpoint
from dockerd.networks.model import (
    AttachRequest,
    ContainerId,
    EndpointRequest,
    PortBinding,
)
from dockerd.networks.sandbox import options
from wire.errors import InvalidArgument


def of(container: Container, store: ContainerStore) -> AttachRequest:
    """The request of a container; raises InvalidArgument for a link to nobody."""
    host, config = container.host, container.config
    settings = endpoints(container)
    mode = primary(container)
    if config.get("NetworkDisabled") and mode != "host" and not mode.startswith(joined.JOINED):
        mode, settings = "none", {}
    first = endpoint(mode, settings.get(mode) or {})
    return AttachRequest(
        container_id=ContainerId(container.container_id),
        container_name=container.name,
        network=mode,
        hostname=config.get("Hostname") or "",
        domainname=config.get("Domainname") or "",
        exposed_ports=tuple(config.get("ExposedPorts") or {}),
        port_bindings=_bindings(host),
        publish_all=bool(host.get("PublishAllPorts")),
        primary=replace(first, mac=first.mac or config.get("MacAddress") or None),
        others=tuple(endpoint(name, each or {}) for name, each in settings.items() if name != mode),
        links=links.on_networks(container, store),
        dns=tuple(host.get("Dns") or ()),
        dns_search=tuple(host.get("DnsSearch") or ()),
        dns_options=tuple(host.get("DnsOptions") or ()),
        extra_hosts=(*(host.get("ExtraHosts") or ()), *links.hosts(container, store)),
    )


def endpoints(container: Container) -> dict[str, dict[str, Any]]:
    """The settings of each network by its name, as clients gave them."""
    found = container.networking.get("EndpointsConfig")
    return found if isinstance(found, dict) else {}


def primary(container: Container) -> str:
    """The network that comes first and has the published ports: that of NetworkMode, unless it was taken from that one."""
    mode = joined.network_mode(container.host)
    settings = endpoints(container)
    return mode if mode in settings else next(iter(settings), mode)


def normalised(networking: dict[str, Any], mode: str) -> dict[str, Any]:
    """A NetworkingConfig that has the network of ``mode``, too; raises InvalidArgument for a malformed one.

    From then on it says which networks the container is on.
    """
    settings = networking.get("EndpointsConfig") or {}
    if not isinstance(settings, dict) or not all(
        each is None or isinstance(each, dict) for each in settings.values()
    ):
        raise InvalidArgument(
            "invalid JSON: json: cannot unmarshal value into Go struct field NetworkingConfig.EndpointsConfig"
        )
    found = {"bridge" if name == "default" else name: each or {} for name, each in settings.items()}
    for name, each in found.items():
        endpoint(name, each)
    if not mode.startswith(joined.JOINED):
        found.setdefault(mode, {})
    return {"EndpointsConfig": found}


def endpoint(network: str, settings: dict[str, Any]) -> EndpointRequest:
    """The request for one network; raises InvalidEndpoint for addresses that are none, and options that there are not."""
    addresses = settings.get("IPAMConfig") or {}
    given = settings.get("DriverOpts") or {}
    link_local = tuple(addresses.get("LinkLocalIPs") or ())
    options.check(given)
    options.link_local(link_local)
    return EndpointRequest(
        network=network,
        mac=settings.get("MacAddress") or None,
        ipv4=_address(addresses.get("IPv4Address"), 4),
        ipv6=_address(addresses.get("IPv6Address"), 6),
        link_local=link_local,
        options=given,
        aliases=tuple(settings.get("Aliases") or ()),
        gateway_priority=int(settings.get("GwPriority") or 0),
    )


def _address(text: str | None, version: int) -> str | None:
    """A static address in its canonical form; raises InvalidEndpoint."""
    if not text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        raise InvalidEndpoint(f"invalid IPv{version} address: {text}") from None
    if address.version != version or address.is_unspecified or "%" in text:
        raise InvalidEndpoint(f"invalid IPv{version} address: {text}")
    return str(address)


def _bindings(host: dict[str, Any]) -> dict[str, tuple[PortBinding, ...]]:
    return {
        key: tuple(
            PortBinding(host_ip=each.get("HostIp") or "", host_port=str(each.get("HostPort") or ""))
            for each in values or [{}]
        )
        for key, values in (host.get("PortBindings") or {}).items()
    }
