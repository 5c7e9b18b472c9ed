"""The places of containers on networks: one namespace each, with an endpoint for each network. On the networks' thread only."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dockerd.networks.catalog import NetworkCatalog
from dockerd.networks.dns import Resolver, names_of
from dockerd.networks.drivers.base import Driver
from dockerd.networks.errors import EndpointExists, NamespaceNotRunning, NotConnected
from dockerd.networks.model import (
    Attachment,
    AttachRequest,
    ContainerId,
    EndpointRecord,
    EndpointRequest,
    NetworkId,
    NetworkRecord,
    NetworkSettings,
    SandboxFiles,
)
from dockerd.networks.netlink import namespaces
from dockerd.networks.ports.bindings import exposed_keys
from dockerd.networks.ports.reservations import summary
from dockerd.networks.sandbox import endpoint as naming
from dockerd.networks.sandbox import options, resolvconf, sandbox
from dockerd.networks.store import NetworkStore

logger = logging.getLogger(__name__)

JOINED: Final = "container:"
_NETNS_NAME: Final = 12


class Sandboxes:
    """Attaches and detaches containers."""

    def __init__(
        self,
        *,
        settings: NetworkSettings,
        store: NetworkStore,
        catalog: NetworkCatalog,
        drivers: Mapping[str, Driver],
        resolver: Resolver,
        netns_dir: str,
        home: int,
    ) -> None:
        """``home`` is a descriptor of the host's network namespace."""
        self._settings = settings
        self._store = store
        self._catalog = catalog
        self._drivers = drivers
        self._resolver = resolver
        self._netns_dir = netns_dir
        self._home = home

    # -- verbs

    def attach(self, request: AttachRequest) -> Attachment:
        """Make a container's namespace and all its endpoints; undone as a whole if one fails."""
        if request.network.startswith(JOINED):
            return self._join(request)
        self.detach(request.container_id)
        wanted = [
            request.primary or EndpointRequest(network=request.network),
            *request.others,
        ]
        sandbox_id = naming.new_sandbox_id()
        netns = os.path.join(self._netns_dir, sandbox_id[:_NETNS_NAME])
        with contextlib.ExitStack() as undo:
            undo.callback(namespaces.remove, netns)
            planned: list[EndpointRecord] = []
            for each in wanted:
                network = self._catalog.joinable(_name(each.network))
                if any(other.network_id == network.network_id for other in planned):
                    # Named twice, by name and by id.
                    continue
                draft = replace(
                    _draft(request, each, network, planned),
                    sandbox_id=sandbox_id,
                    netns_path=netns,
                )
                own = replace(request, port_bindings={}, publish_all=False) if planned else request
                record = self._drivers[network.driver].plan(network, own, each, draft)
                undo.callback(self._drivers[network.driver].teardown, record)
                planned.append(self._named(record, network, request, each))
            records = self._store.save_endpoints(_with_route(planned))
            undo.callback(self._store.remove_endpoints, request.container_id)
            for record in records:
                self._drivers[record.driver].build(record)
            if any(record.dns_names for record in records):
                undo.callback(self._resolver.close_sandbox, sandbox_id)
                self._resolver.open(records[0], self._home)
                self._tell(records)
            undo.pop_all()
        return replace(self.attachment_of(records), files=self._files(request, records))

    def connect(self, request: AttachRequest, wanted: EndpointRequest) -> Attachment:
        """Give a running container one more endpoint; raises EndpointExists and what ``attach`` raises."""
        present = self._store.of_container(request.container_id)
        network = self._catalog.joinable(wanted.network)
        if any(each.network_id == network.network_id for each in present):
            raise EndpointExists(request.container_name, network.name)
        driver = self._drivers[network.driver]
        draft = replace(
            _draft(request, wanted, network, present),
            sandbox_id=present[0].sandbox_id,
            netns_path=present[0].netns_path,
        )
        own = replace(request, port_bindings={}, publish_all=False)
        planned = self._named(driver.plan(network, own, wanted, draft), network, request, wanted)
        with contextlib.ExitStack() as undo:
            undo.callback(driver.unplug, planned)
            undo.callback(self._store.save_endpoints, present)
            records = self._store.save_endpoints(_with_route([*present, planned]))
            # The route is led elsewhere afterwards, in one step.
            driver.build(replace(records[-1], default_route=False, default_route6=False))
            self._reroute(records)
            if planned.dns_names and not any(each.dns_names for each in present):
                self._resolver.open(records[-1], self._home)
            if any(each.dns_names for each in records):
                self._tell(records)
            undo.pop_all()
        return replace(self.attachment_of(records), files=self._files(request, records))

    def disconnect(self, request: AttachRequest, reference: str) -> Attachment:
        """Take one endpoint of a running container away; raises NotConnected."""
        present = self._store.of_container(request.container_id)
        network = self._catalog.find(reference)
        gone = [each for each in present if each.network_id == network.network_id]
        if not gone:
            raise NotConnected(request.container_id, network.name)
        left = [each for each in present if each.network_id != network.network_id]
        self._drivers[network.driver].unplug(gone[0])
        if left:
            records = self._store.save_endpoints(_with_route(left))
            self._reroute(records)
        else:
            # The namespace stays with nothing but loopback, as on the network none.
            null = replace(
                gone[0], network_id=NetworkId(""), network_name="", driver="null", interface="",
                host_interface="", mac="", ipv4="", prefix=0, gateway="", ipv6="", prefix6=0, gateway6="", link_local=(),
                sysctls={}, ports=(), dns_names=(),
            )  # fmt: skip
            records = self._store.save_endpoints((null,))
        self._tell_network(network)
        if any(each.dns_names for each in records):
            self._tell(records)
        elif gone[0].dns_names:
            self._resolver.close_sandbox(gone[0].sandbox_id)
        return replace(self.attachment_of(records), files=self._files(request, records))

    def detach(self, container_id: str) -> None:
        """Undo ``attach``; harmless for a container that is not attached."""
        endpoints = self._store.of_container(container_id)
        if not endpoints:
            return
        first = endpoints[0]
        served = any(each.dns_names for each in endpoints)
        if served:
            self._resolver.close_sandbox(first.sandbox_id)
        for record in endpoints:
            self._drivers[record.driver].teardown(record)
        if first.netns_path:
            namespaces.remove(first.netns_path)
        # Last: as long as the record stands, a restarted daemon finishes this.
        self._store.remove_endpoints(container_id)
        if served:
            self._tell_networks(endpoints)

    def rename(self, container_id: str, name: str) -> None:
        """Show a container under its new name, to its neighbours, too."""
        endpoints = self._store.of_container(container_id)
        if not endpoints:
            return
        old = endpoints[0].container_name
        self._store.save_endpoints(
            replace(
                record,
                container_name=name,
                dns_names=tuple(name if each == old else each for each in record.dns_names),
            )
            for record in endpoints
        )
        self._tell_networks(endpoints)

    # -- views

    def attachment(self, container_id: str) -> Attachment | None:
        """What a running container has; None if it has no endpoint."""
        endpoints = self._store.of_container(container_id)
        return self.attachment_of(endpoints) if endpoints else None

    def attachment_of(self, endpoints: Sequence[EndpointRecord]) -> Attachment:
        """The same from its endpoints."""
        first = endpoints[0]
        shown = tuple(each for each in endpoints if each.network_id)
        ports: dict[str, list[dict[str, str]] | None] = {}
        for record in shown:
            if record.driver == "bridge":
                for key, value in summary(record.exposed, record.ports).items():
                    # Published on one network, the port is merely exposed on the others.
                    ports[key] = value or ports.get(key)
        return Attachment(
            container_id=first.container_id,
            sandbox_id=first.sandbox_id,
            netns_path=first.netns_path or None,
            endpoints=shown,
            ports=ports,
        )

    # -- reconciling

    def restore_names(self) -> None:
        """After a start of dockerd or of the resolver: sockets where they are missing, and every name."""
        served = [
            endpoints
            for endpoints in map(self._store.of_container, self._store.containers())
            if any(each.dns_names for each in endpoints)
        ]
        if not served:
            return
        present = self._resolver.sandboxes()
        for sandbox_id in present - {endpoints[0].sandbox_id for endpoints in served}:
            self._resolver.close_sandbox(sandbox_id)
        for endpoints in served:
            try:
                if endpoints[0].sandbox_id not in present:
                    self._resolver.open(endpoints[0], self._home)
                self._tell(endpoints)
            except OSError as error:
                logger.warning(
                    "names not served",
                    extra={"container": endpoints[0].container_id, "error": str(error)},
                )

    # -- inside

    def _join(self, request: AttachRequest) -> Attachment:
        target = request.network.removeprefix(JOINED)
        endpoints = self._store.of_container(target)
        if not endpoints:
            raise NamespaceNotRunning(target)
        return Attachment(
            container_id=ContainerId(request.container_id),
            sandbox_id=endpoints[0].sandbox_id,
            netns_path=endpoints[0].netns_path or None,
            endpoints=(),
            ports={},
        )

    def _named(
        self,
        record: EndpointRecord,
        network: NetworkRecord,
        request: AttachRequest,
        wanted: EndpointRequest,
    ) -> EndpointRecord:
        """With DNS names, which predefined networks do not have."""
        if network.predefined:
            return record
        return replace(
            record,
            dns_names=names_of(record, wanted.aliases),
            servers=resolvconf.servers(request.dns or self._settings.dns),
            links=dict(request.links),
        )

    def _tell(self, endpoints: Sequence[EndpointRecord]) -> None:
        """Tell the resolver what a container sees, and its neighbours' networks about it."""
        self._tell_networks(endpoints)
        networks = {each.network_id: each for each in self._catalog.every()}
        outside = any(
            each.network_id in networks and not networks[each.network_id].internal
            for each in endpoints
        )
        shown = [each for each in endpoints if each.dns_names]
        servers = next((each.servers for each in shown), ()) if outside else ()
        self._resolver.set_view(endpoints[0].sandbox_id, shown, servers)

    def _tell_networks(self, endpoints: Iterable[EndpointRecord]) -> None:
        for record in endpoints:
            for network in self._catalog.every():
                if network.network_id == record.network_id and not network.predefined:
                    self._tell_network(network)

    def _tell_network(self, network: NetworkRecord) -> None:
        if network.predefined:
            return
        known = [each for each in self._store.endpoints() if each.network_id == network.network_id]
        with contextlib.suppress(OSError):
            if known:
                self._resolver.set_network(network.network_id, known)
            else:
                self._resolver.forget_network(network.network_id)

    def _reroute(self, endpoints: Sequence[EndpointRecord]) -> None:
        for record in endpoints:
            if record.routes:
                namespaces.replace_defaults(
                    record.netns_path, self._home, record.interface, record.routes
                )

    def _files(self, request: AttachRequest, records: Sequence[EndpointRecord]) -> SandboxFiles:
        gateways = [each.gateway for each in self._catalog.find("bridge").ipam if each.gateway]
        return sandbox.files(
            request,
            self._settings,
            addresses=tuple(each for record in records for each in record.addresses),
            own_namespace=records[0].driver != "host",
            host_gateway=self._settings.host_gateway or ",".join(gateways),
            ipv6=any(record.ipv6 for record in records),
            embedded_dns=any(record.dns_names for record in records),
        )


def _name(reference: str) -> str:
    return "bridge" if reference in {"", "default"} else reference


def _draft(
    request: AttachRequest,
    wanted: EndpointRequest,
    network: NetworkRecord,
    present: Sequence[EndpointRecord],
) -> EndpointRecord:
    """An endpoint beside those that are ``present``, with an interface name that none of them has."""
    interface = options.interface(wanted.options, network, [each.interface for each in present])
    return EndpointRecord(
        endpoint_id=naming.new_endpoint_id(),
        network_id=network.network_id,
        network_name=network.name,
        container_id=ContainerId(request.container_id),
        container_name=request.container_name,
        sandbox_id=naming.new_sandbox_id(),
        netns_path="",
        driver=network.driver,
        interface=interface,
        link_local=options.link_local(wanted.link_local),
        sysctls=options.sysctls(wanted.options, interface),
        hostname=request.hostname,
        aliases=wanted.aliases,
        requested_ipv4=wanted.ipv4 or "",
        requested_ipv6=wanted.ipv6 or "",
        requested_mac=wanted.mac or "",
        gateway_priority=wanted.gateway_priority,
        exposed=tuple(exposed_keys(request.exposed_ports)),
    )


def _with_route(records: Sequence[EndpointRecord]) -> list[EndpointRecord]:
    """One endpoint has the default route of each IP version: the highest priority, then the first network by name."""

    def chosen(able: Iterable[EndpointRecord]) -> str:
        best = min(able, key=lambda each: (-each.gateway_priority, each.network_name), default=None)
        return best.endpoint_id if best is not None else ""

    first = chosen(each for each in records if each.gateway)
    first6 = chosen(each for each in records if each.gateway6)
    return [
        replace(
            each,
            default_route=each.endpoint_id == first,
            default_route6=each.endpoint_id == first6,
        )
        for each in records
    ]
