"""The one door to the networks: attaches containers, detaches them, lists networks, and reconciles after a restart.

All work with the kernel happens on one thread of its own, because it steps into namespaces and shares one netlink
socket; a start costs it 2 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Interface
from typing import Final, TypeVar

from dockerd.linux import namespaces as linux_namespaces
from dockerd.networks.drivers.base import Driver
from dockerd.networks.drivers.bridge import BridgeDriver
from dockerd.networks.drivers.host import HostDriver
from dockerd.networks.drivers.null import NullDriver
from dockerd.networks.errors import (
    AmbiguousNetwork,
    NamespaceNotRunning,
    NetworkNotFound,
    PredefinedCreation,
    PredefinedRemoval,
    UserNetworksMissing,
)
from dockerd.networks.firewall import rules
from dockerd.networks.firewall.nftables import Firewall
from dockerd.networks.ipam.allocator import AddressAllocator
from dockerd.networks.ipam.pools import choose_subnet
from dockerd.networks.model import (
    OPTION_BRIDGE_NAME,
    OPTION_DEFAULT_BRIDGE,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MTU,
    PREDEFINED,
    Attachment,
    AttachRequest,
    BridgeConfig,
    ContainerId,
    EndpointRecord,
    IpamConfig,
    NetworkAttachment,
    NetworkId,
    NetworkRecord,
    NetworkSettings,
    NetworkView,
    SandboxFiles,
)
from dockerd.networks.netlink import links, namespaces, routes
from dockerd.networks.netlink.connection import NetlinkConnection
from dockerd.networks.netlink.monitor import Monitor
from dockerd.networks.ports.bindings import exposed_keys
from dockerd.networks.ports.reservations import OnRelease, OnReserve, PortReservations, summary
from dockerd.networks.sandbox import endpoint as naming
from dockerd.networks.sandbox import sandbox
from dockerd.networks.store import NetworkStore

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_JOINED: Final = "container:"
_NETNS_NAME: Final = 12


class NetworkController:
    """Networks and endpoints of one daemon."""

    def __init__(
        self,
        settings: NetworkSettings,
        *,
        on_reserve: OnReserve | None = None,
        on_release: OnRelease | None = None,
    ) -> None:
        """``on_reserve(name, fd)`` and ``on_release(name)`` hear of every bound host port, on the networks' thread."""
        self._settings = settings
        self._store = NetworkStore(settings.data_root)
        self._netns_dir = os.path.join(settings.exec_root, "netns")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="networks")
        self._reservations = PortReservations(on_reserve=on_reserve, on_release=on_release)
        self._allocator = AddressAllocator()
        self._by_name: dict[str, NetworkRecord] = {}
        self._drivers: dict[str, Driver] = {}
        self._monitor: Monitor | None = None
        self._repairs: set[asyncio.Task[None]] = set()
        self._earlier: set[str] = set()

    # -- life

    async def open(self, adopted: Collection[tuple[str, int]] = ()) -> None:
        """Load the records, make the default bridge and the firewall table, and hold what recorded endpoints have.

        ``adopted`` are port sockets (name, fd) that an earlier daemon left in the fd store. Raises ForeignBridge,
        FirewallUnavailable.
        """
        await self._run(self._open, tuple(adopted))
        self._monitor = Monitor(
            table=self._firewall.table,
            bridges=self._bridge.bridge_names,
            on_table=lambda: self._repair_soon(self._verify_table),
            on_foreign=lambda: self._repair_soon(self._firewall.serve_foreign),
            on_bridge=lambda: self._repair_soon(self._repair_links),
        )
        self._monitor.start(asyncio.get_running_loop())

    async def close(self) -> None:
        """Stop; everything in the kernel stays as it is."""
        if self._monitor is not None:
            self._monitor.close()
        for task in tuple(self._repairs):
            task.cancel()
        await self._run(self._close)
        self._thread.shutdown()

    async def reconcile(self, running: Collection[str]) -> None:
        """Tear down what an earlier life left of containers that are not in ``running``, and repair the others."""
        await self._run(self._reconcile, frozenset(running))

    # -- endpoints

    async def attach(self, request: AttachRequest) -> Attachment:
        """Make a container's namespace and endpoint before its start.

        Raises NetworkNotFound, NamespaceNotRunning, ConnectivityFailed (a host port is taken), InvalidArgument kinds.
        """
        return await self._run(self._attach, request)

    async def detach(self, container_id: str) -> None:
        """Undo ``attach`` after the container's end; harmless for one that is not attached."""
        await self._run(self._detach, container_id)

    def attachment(self, container_id: str) -> Attachment | None:
        """What a running container has, for inspect and list; None if it has no endpoint."""
        endpoints = self._store.of_container(container_id)
        return self._attachment(endpoints) if endpoints else None

    async def rename(self, container_id: str, name: str) -> None:
        """Show a container under its new name."""
        await self._run(self._rename, container_id, name)

    # -- networks

    def list_networks(self) -> tuple[NetworkView, ...]:
        """Every network with its containers."""
        return tuple(self._view(record) for record in self._by_name.values())

    def inspect(self, reference: str) -> NetworkView:
        """A network by name, id or unambiguous prefix of its id; raises NetworkNotFound, AmbiguousNetwork."""
        return self._view(self._find(reference))

    async def create(self, name: str) -> NetworkRecord:
        """User-defined networks are not built yet: raises PredefinedCreation or UserNetworksMissing."""
        if name in PREDEFINED:
            raise PredefinedCreation(name)
        raise UserNetworksMissing("create")

    async def remove(self, reference: str) -> None:
        """Only predefined networks exist, and they stay: raises NetworkNotFound or PredefinedRemoval."""
        raise PredefinedRemoval(self._find(reference).name)

    # -- on the networks' thread

    async def _run(self, function: Callable[..., _T], *arguments: object) -> _T:
        # Shielded: a client that goes away must not leave half an endpoint behind a cancelled future.
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, function, *arguments))

    def _open(self, adopted: tuple[tuple[str, int], ...]) -> None:
        os.makedirs(self._netns_dir, mode=0o755, exist_ok=True)
        self._home = os.open(linux_namespaces.OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
        self._connection = NetlinkConnection()
        self._store.load()
        self._earlier = set(self._store.containers())
        for name, descriptor in adopted:
            self._reservations.adopt(descriptor, name)
        table = self._settings.table or rules.table_name(self._settings.bridge)
        self._firewall = Firewall(table)
        self._bridge = BridgeDriver(
            settings=self._settings,
            home=self._home,
            connection=self._connection,
            allocator=self._allocator,
            reservations=self._reservations,
            firewall=self._firewall,
        )
        self._drivers = {
            "bridge": self._bridge,
            "host": HostDriver(),
            "null": NullDriver(self._home),
        }
        self._open_networks()
        for record in self._store.endpoints():
            self._drivers[record.driver].restore(record)
        self._firewall.ensure()

    def _open_networks(self) -> None:
        known = {record.name: record for record in self._store.networks()}
        bridge = self._default_bridge(known.get("bridge"))
        for record in (
            bridge,
            known.get("host") or _new_network("host", "host"),
            known.get("none") or _new_network("none", "null"),
        ):
            if known.get(record.name) != record:
                self._store.save_network(record)
            self._by_name[record.name] = record
        address = IPv4Interface(
            f"{bridge.ipam[0].gateway}/{bridge.ipam[0].subnet.partition('/')[2]}"
        )
        self._bridge.add_network(
            bridge,
            BridgeConfig(
                name=self._settings.bridge,
                subnet=address.network,
                gateway=address.ip,
                mtu=self._settings.mtu,
                icc=self._settings.enable_icc,
                masquerade=self._settings.enable_ip_masquerade,
                owner=self._firewall.table,
            ),
        )

    def _default_bridge(self, known: NetworkRecord | None) -> NetworkRecord:
        """The record of the default bridge with today's settings; its id and, without --bip, its subnet stay."""
        settings = self._settings
        if settings.bip:
            address = IPv4Interface(settings.bip)
            ipam = IpamConfig(
                subnet=str(address.network),
                gateway=str(address.ip),
                ip_range=settings.fixed_cidr or "",
            )
        elif known is not None and known.ipam:
            ipam = replace(known.ipam[0], ip_range=settings.fixed_cidr or "")
        else:
            used = routes.destinations(self._connection)
            subnet = choose_subnet(used)
            ipam = IpamConfig(
                subnet=str(subnet),
                gateway=str(subnet.network_address + 1),
                ip_range=settings.fixed_cidr or "",
            )
        return replace(
            known or _new_network("bridge", "bridge"),
            ipam=(ipam,),
            options={
                OPTION_DEFAULT_BRIDGE: "true",
                OPTION_ICC: _boolean(settings.enable_icc),
                OPTION_MASQUERADE: _boolean(settings.enable_ip_masquerade),
                OPTION_HOST_BINDING: settings.default_host_ip,
                OPTION_BRIDGE_NAME: settings.bridge,
                OPTION_MTU: str(settings.mtu),
            },
        )

    def _close(self) -> None:
        self._reservations.close()
        self._firewall.close()
        self._connection.close()
        os.close(self._home)

    def _attach(self, request: AttachRequest) -> Attachment:
        self._earlier.discard(request.container_id)
        if request.network.startswith(_JOINED):
            return self._join(request)
        stale = self._store.of_container(request.container_id)
        if stale:
            self._teardown(stale)
        network = self._find("bridge" if request.network in {"", "default"} else request.network)
        driver = self._drivers[network.driver]
        sandbox_id = naming.new_sandbox_id()
        draft = EndpointRecord(
            endpoint_id=naming.new_endpoint_id(),
            network_id=network.network_id,
            network_name=network.name,
            container_id=ContainerId(request.container_id),
            container_name=request.container_name,
            sandbox_id=sandbox_id,
            netns_path=os.path.join(self._netns_dir, sandbox_id[:_NETNS_NAME]),
            driver=network.driver,
            hostname=request.hostname,
            aliases=request.aliases,
            requested_ipv4=request.ipv4 or "",
            requested_mac=request.mac or "",
            exposed=tuple(exposed_keys(request.exposed_ports)),
        )
        planned = driver.plan(network, request, draft)
        with contextlib.ExitStack() as undo:
            undo.callback(driver.teardown, planned)
            files = self._files(request, planned)
            (record,) = self._store.save_endpoints((planned,))
            undo.callback(self._store.remove_endpoints, request.container_id)
            driver.build(record)
            undo.pop_all()
        return replace(self._attachment((record,)), files=files)

    def _join(self, request: AttachRequest) -> Attachment:
        target = request.network.removeprefix(_JOINED)
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

    def _files(self, request: AttachRequest, record: EndpointRecord) -> SandboxFiles:
        own = record.driver != "host"
        gateway = self._settings.host_gateway or self._by_name["bridge"].ipam[0].gateway
        return sandbox.files(
            request,
            self._settings,
            addresses=(record.ipv4,) if record.ipv4 else (),
            own_namespace=own,
            host_gateway=gateway,
            ipv6=False,
        )

    def _attachment(self, endpoints: tuple[EndpointRecord, ...]) -> Attachment:
        first = endpoints[0]
        return Attachment(
            container_id=first.container_id,
            sandbox_id=first.sandbox_id,
            netns_path=first.netns_path or None,
            endpoints=endpoints,
            ports={
                key: value
                for record in endpoints
                if record.driver == "bridge"
                for key, value in summary(record.exposed, record.ports).items()
            },
        )

    def _detach(self, container_id: str) -> None:
        endpoints = self._store.of_container(container_id)
        if endpoints:
            self._teardown(endpoints)

    def _teardown(self, endpoints: tuple[EndpointRecord, ...]) -> None:
        for record in endpoints:
            self._drivers[record.driver].teardown(record)
        # Last: as long as the record stands, a restarted daemon finishes this.
        self._store.remove_endpoints(endpoints[0].container_id)

    def _rename(self, container_id: str, name: str) -> None:
        endpoints = self._store.of_container(container_id)
        if endpoints:
            self._store.save_endpoints(replace(record, container_name=name) for record in endpoints)

    def _reconcile(self, running: frozenset[str]) -> None:
        # Those of an earlier life only: a container that is just being started is not in ``running`` yet.
        for container_id in self._earlier - running:
            if endpoints := self._store.of_container(container_id):
                self._teardown(endpoints)
        self._earlier.clear()
        self._reservations.drop_adopted()
        known = {os.path.basename(record.netns_path) for record in self._store.endpoints()}
        for name in os.listdir(self._netns_dir):
            if name not in known:
                namespaces.remove(os.path.join(self._netns_dir, name))
        self._repair_links()

    def _repair_links(self) -> None:
        for driver in self._drivers.values():
            driver.repair(self._store.endpoints())

    def _verify_table(self) -> None:
        if not self._firewall.verify():
            logger.warning("firewall table was changed", extra={"table": self._firewall.table})
            self._firewall.ensure()

    def _repair_soon(self, repair: Callable[[], None]) -> None:
        async def run() -> None:
            try:
                await self._run(repair)
            except OSError as error:
                logger.warning("network repair failed", extra={"error": str(error)})

        task = asyncio.get_running_loop().create_task(run())
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)

    # -- views

    def _find(self, reference: str) -> NetworkRecord:
        named = self._by_name.get(reference)
        if named is not None:
            return named
        matches = [
            record
            for record in self._by_name.values()
            if reference and record.network_id.startswith(reference)
        ]
        if len(matches) > 1:
            raise AmbiguousNetwork(reference, len(matches))
        if not matches:
            raise NetworkNotFound(reference)
        return matches[0]

    def _view(self, record: NetworkRecord) -> NetworkView:
        return NetworkView(
            network=record,
            containers=tuple(
                NetworkAttachment(
                    container_id=each.container_id,
                    name=each.container_name,
                    endpoint_id=each.endpoint_id,
                    mac=each.mac,
                    ipv4=str(each.address) if each.address else "",
                )
                for each in self._store.endpoints()
                if each.network_id == record.network_id
            ),
        )


def remove_leftovers(settings: NetworkSettings) -> None:
    """Take the stack's bridge, table and namespaces out of the kernel: the end of the stack (`dockyard clean`)."""
    table = settings.table or rules.table_name(settings.bridge)
    firewall = Firewall(table)
    try:
        firewall.remove()
    finally:
        firewall.close()
    with NetlinkConnection() as connection:
        link = links.find(connection, settings.bridge)
        if link is not None and link.alias == f"dockyard:{table}":
            links.delete(connection, link.index)
    directory = os.path.join(settings.exec_root, "netns")
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            namespaces.remove(os.path.join(directory, name))


def _new_network(name: str, driver: str) -> NetworkRecord:
    return NetworkRecord(
        network_id=NetworkId(os.urandom(32).hex()),
        name=name,
        driver=driver,
        created=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    )


def _boolean(value: bool) -> str:  # noqa: FBT001
    return "true" if value else "false"
