"""The one door to the networks: attaches containers, detaches them, lists networks, and reconciles after a restart.

All work with the kernel happens on one thread of its own, because it steps into namespaces and shares one netlink
socket; a start costs it 2 ms.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from dockerd.linux import namespaces as linux_namespaces
from dockerd.networks.catalog import NetworkCatalog
from dockerd.networks.dns import Resolver
from dockerd.networks.drivers.base import Driver
from dockerd.networks.drivers.bridge import BridgeDriver
from dockerd.networks.drivers.host import HostDriver
from dockerd.networks.drivers.null import NullDriver
from dockerd.networks.firewall import rules
from dockerd.networks.firewall.nftables import Firewall
from dockerd.networks.ipam.allocator import AddressAllocator
from dockerd.networks.model import (
    Attachment,
    AttachRequest,
    EndpointRequest,
    NetworkAttachment,
    NetworkRecord,
    NetworkSettings,
    NetworkView,
)
from dockerd.networks.netlink import namespaces
from dockerd.networks.netlink.connection import NetlinkConnection
from dockerd.networks.netlink.monitor import Monitor
from dockerd.networks.ports.reservations import OnRelease, OnReserve, PortReservations
from dockerd.networks.sandboxes import JOINED, Sandboxes
from dockerd.networks.store import NetworkStore

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


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
        self._resolver = Resolver(settings.exec_root, self._resolver_runs)
        self._loop: asyncio.AbstractEventLoop | None = None
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
        self._loop = asyncio.get_running_loop()
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
        """Make a container's namespace and endpoints before its start.

        Raises NetworkNotFound, NamespaceNotRunning, ConnectivityFailed (a host port is taken), InvalidArgument kinds.
        """
        return await self._run(self._attach, request)

    async def connect(self, request: AttachRequest, wanted: EndpointRequest) -> Attachment:
        """Give a running container one more endpoint; raises EndpointExists and what ``attach`` raises."""
        return await self._run(self._sandboxes.connect, request, wanted)

    async def disconnect(self, request: AttachRequest, reference: str) -> Attachment:
        """Take a running container from a network; raises NetworkNotFound, NotConnected."""
        return await self._run(self._sandboxes.disconnect, request, reference)

    async def detach(self, container_id: str) -> None:
        """Undo ``attach`` after the container's end; harmless for one that is not attached."""
        await self._run(self._sandboxes.detach, container_id)

    def attachment(self, container_id: str) -> Attachment | None:
        """What a running container has, for inspect and list; None if it has no endpoint."""
        return self._sandboxes.attachment(container_id)

    async def rename(self, container_id: str, name: str) -> None:
        """Show a container under its new name."""
        await self._run(self._sandboxes.rename, container_id, name)

    # -- networks

    def list_networks(self) -> tuple[NetworkView, ...]:
        """Every network with its containers."""
        return tuple(self._view(record) for record in self._catalog.every())

    def find(self, reference: str) -> NetworkRecord:
        """The record of a network, without looking at its endpoints; raises as ``inspect``."""
        return self._catalog.find(reference)

    def configuration(self, name: str) -> NetworkRecord:
        """A configuration-only network; raises ConfigurationNotFound."""
        return self._catalog.configuration(name)

    def inspect(self, reference: str) -> NetworkView:
        """A network by name, id or unambiguous prefix of its id; raises NetworkNotFound, AmbiguousNetwork."""
        return self._view(self._catalog.find(reference))

    async def create(self, draft: NetworkRecord, *, namesakes: bool = False) -> NetworkRecord:
        """Make a user-defined network, with ``namesakes`` also of a name that is taken.

        Raises NameTaken, PoolOverlaps, PredefinedCreation, ConfigurationNotFound.
        """
        return await self._run(partial(self._catalog.create, namesakes=namesakes), draft)

    async def remove(self, reference: str) -> NetworkRecord:
        """Remove a network; raises NetworkNotFound, PredefinedRemoval, HasEndpoints, ConfigurationInUse."""
        return await self._run(self._catalog.remove, reference)

    # -- the resolver's process

    def _resolver_runs(self, pid: int) -> None:
        """On the networks' thread: there is a resolver, new or old."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._watch_resolver, pid)

    def _watch_resolver(self, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            self._repair_soon(self._sandboxes.restore_names)
            return
        asyncio.get_running_loop().add_reader(descriptor, self._resolver_ended, descriptor)

    def _resolver_ended(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        logger.info("resolver ended")
        self._repair_soon(self._renew_names)

    # -- on the networks' thread

    def _renew_names(self) -> None:
        self._resolver.close()
        self._sandboxes.restore_names()

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
            allocator=AddressAllocator(),
            reservations=self._reservations,
            firewall=self._firewall,
        )
        self._drivers = {
            "bridge": self._bridge,
            "host": HostDriver(),
            "null": NullDriver(self._home),
        }
        self._catalog = NetworkCatalog(
            settings=self._settings,
            store=self._store,
            bridge=self._bridge,
            firewall=self._firewall,
            connection=self._connection,
        )
        self._sandboxes = Sandboxes(
            settings=self._settings,
            store=self._store,
            catalog=self._catalog,
            drivers=self._drivers,
            resolver=self._resolver,
            netns_dir=self._netns_dir,
            home=self._home,
        )
        self._catalog.open()
        for record in self._store.endpoints():
            self._drivers[record.driver].restore(record)
        self._firewall.ensure()

    def _close(self) -> None:
        self._resolver.close()
        self._reservations.close()
        self._firewall.close()
        self._connection.close()
        os.close(self._home)

    def _attach(self, request: AttachRequest) -> Attachment:
        if not request.network.startswith(JOINED):
            self._earlier.discard(request.container_id)
        return self._sandboxes.attach(request)

    def _reconcile(self, running: frozenset[str]) -> None:
        # Those of an earlier life only: a container that is just being started is not in ``running`` yet.
        for container_id in self._earlier - running:
            self._sandboxes.detach(container_id)
        self._earlier.clear()
        self._reservations.drop_adopted()
        known = {os.path.basename(record.netns_path) for record in self._store.endpoints()}
        for name in os.listdir(self._netns_dir):
            if name not in known:
                namespaces.remove(os.path.join(self._netns_dir, name))
        self._repair_links()
        self._sandboxes.restore_names()

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

    def _view(self, record: NetworkRecord) -> NetworkView:
        return NetworkView(
            network=record,
            containers=tuple(
                NetworkAttachment(
                    container_id=each.container_id,
                    name=each.container_name,
                    endpoint_id=each.endpoint_id,
                    mac=each.mac,
                    ipv4=f"{each.ipv4}/{each.prefix}" if each.ipv4 else "",
                    ipv6=f"{each.ipv6}/{each.prefix6}" if each.ipv6 else "",
                )
                for each in self._store.endpoints()
                if each.network_id == record.network_id
            ),
        )
