"""What a container's start asks of the networks."""

from __future__ import annotations

from dockerd.containers import joined
from dockerd.containers.model import Container
from dockerd.networks.model import AttachRequest, ContainerId, PortBinding


def of(container: Container) -> AttachRequest:
    """The request of a container, from its HostConfig and its networking configuration."""
    host, config = container.host, container.config
    mode = joined.network_mode(host)
    bindings = {
        key: tuple(
            PortBinding(host_ip=each.get("HostIp") or "", host_port=str(each.get("HostPort") or ""))
            for each in values or [{}]
        )
        for key, values in (host.get("PortBindings") or {}).items()
    }
    endpoint = (container.networking.get("EndpointsConfig") or {}).get(mode) or {}
    return AttachRequest(
        container_id=ContainerId(container.container_id),
        container_name=container.name,
        network=mode,
        hostname=config.get("Hostname") or "",
        domainname=config.get("Domainname") or "",
        exposed_ports=tuple(config.get("ExposedPorts") or {}),
        port_bindings=bindings,
        publish_all=bool(host.get("PublishAllPorts")),
        mac=endpoint.get("MacAddress") or config.get("MacAddress") or None,
        ipv4=((endpoint.get("IPAMConfig") or {}).get("IPv4Address")) or None,
        dns=tuple(host.get("Dns") or ()),
        dns_search=tuple(host.get("DnsSearch") or ()),
        dns_options=tuple(host.get("DnsOptions") or ()),
        extra_hosts=tuple(host.get("ExtraHosts") or ()),
    )
