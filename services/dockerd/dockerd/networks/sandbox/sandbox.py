"""The three files of a container's /etc that depend on its network."""

from __future__ import annotations

from pathlib import Path

from dockerd.networks.model import AttachRequest, NetworkSettings, SandboxFiles
from dockerd.networks.netlink import namespaces
from dockerd.networks.sandbox import hosts, resolvconf


def files(
    request: AttachRequest,
    settings: NetworkSettings,
    *,
    addresses: tuple[str, ...],
    own_namespace: bool,
    host_gateway: str | None,
    ipv6: bool,
    embedded_dns: bool = False,
) -> SandboxFiles:
    """The content for a container with these addresses; ``own_namespace`` is false with ``--network host``.

    ``ipv6`` says whether it has more of IPv6 than its loopback.
    """
    hostname = request.hostname or request.container_id[:12]
    extra = hosts.parse_extra(request.extra_hosts, host_gateway)
    if own_namespace or extra:
        hosts_text = hosts.build(
            hostname=hostname,
            domainname=request.domainname,
            addresses=addresses,
            extra=extra,
            ipv6=namespaces.has_ipv6(),
        )
    else:
        hosts_text = _host_file("/etc/hosts")
    return SandboxFiles(
        hostname=hostname + "\n",
        hosts=hosts_text,
        resolv_conf=resolvconf.build(
            resolvconf.load_host(),
            own_namespace=own_namespace,
            dns=request.dns or settings.dns,
            search=request.dns_search or settings.dns_search,
            options=request.dns_options or settings.dns_options,
            ipv6=ipv6,
            embedded=embedded_dns,
        ),
    )


def _host_file(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return hosts.build(hostname="localhost")
