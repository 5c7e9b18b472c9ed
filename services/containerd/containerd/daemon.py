"""The composition root: stores, managers and services, wired by hand."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sqlite3
from collections.abc import Mapping
from types import ModuleType
from typing import Final

import grpc

from containerd.config import Config
from containerd.content.ingest import Ingests
from containerd.content.local import ContentStore
from containerd.events.exchange import Exchange
from containerd.gc.collector import Collector
from containerd.gc.graph import SNAPSHOTTER, Reader, Record
from containerd.gc.scheduler import Rules
from containerd.images.labels import kept
from containerd.metadata.db import Database
from containerd.metadata.leases import LeaseStore
from containerd.metadata.namespaces import NamespaceStore
from containerd.metadata.records import RecordStore
from containerd.mounts.manager import MountManager
from containerd.services.checkpoints import Checkpoints
from containerd.services.containers import ContainersService
from containerd.services.content import ContentService
from containerd.services.diff import DiffService
from containerd.services.events import EventsService, StreamingService, VersionService
from containerd.services.handlers import Unknown, handlers
from containerd.services.health import HealthService
from containerd.services.images import ImagesService
from containerd.services.introspection import IntrospectionService
from containerd.services.leases import LeasesService
from containerd.services.mounts import MountsService
from containerd.services.namespaces import NamespacesService
from containerd.services.sandbox_controller import SandboxControllerService
from containerd.services.sandboxes import SandboxStoreService
from containerd.services.snapshots import SnapshotsService
from containerd.services.tasks import TasksService
from containerd.services.transfer import TransferService
from containerd.settings import GRPC, Settings, seconds
from containerd.snapshots.native import NativeSnapshotter
from containerd.snapshots.overlay import OverlaySnapshotter
from containerd.span_socket import gathering
from containerd.tasks.manager import TaskManager
from containerd.tasks.sandboxes import SandboxManager
from containerd.tasks.shim_process import ShimSettings, ShimStarter
from containerd.transfer.pull import Puller
from containerd.transfer.push import Pusher
from containerd.transfer.streams import Streams
from containerd.unpack.native import NativeUnpacker
from containerd.unpack.unpacker import Unpacker
from wire import namespaces, otlp, stacks
from wire.atomic import FileLock, ensure_directory
from wire.errors import NotFound
from wire.gen.containerd.services.containers.v1 import containers_pb2
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.gen.containerd.services.diff.v1 import diff_pb2
from wire.gen.containerd.services.events.v1 import events_pb2
from wire.gen.containerd.services.images.v1 import images_pb2
from wire.gen.containerd.services.introspection.v1 import introspection_pb2
from wire.gen.containerd.services.leases.v1 import leases_pb2
from wire.gen.containerd.services.mounts.v1 import mounts_pb2
from wire.gen.containerd.services.namespaces.v1 import namespace_pb2
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2
from wire.gen.containerd.services.streaming.v1 import streaming_pb2
from wire.gen.containerd.services.tasks.v1 import tasks_pb2
from wire.gen.containerd.services.transfer.v1 import transfer_pb2
from wire.gen.containerd.services.version.v1 import version_pb2
from wire.gen.containerd.types.mount_pb2 import ActivationInfo
from wire.gen.containerd.types.sandbox_pb2 import Sandbox as TypeSandbox
from wire.gen.health.v1 import health_pb2
from wire.gen.shim.events.v1 import events_pb2 as shim_events_pb2
from wire.grpc_adapter import ServerInterceptor, server_options
from wire.identity import lasting_id
from wire.oci.image import Descriptor
from wire.ttrpc.server import Method, Server

logger = logging.getLogger(__name__)

_GRACE: Final = 1.0


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT; tasks go on."""
    settings = config.settings
    for directory in (
        config.root,
        config.state,
        os.path.dirname(config.address),
        os.path.dirname(config.ttrpc_address),
    ):
        ensure_directory(directory, 0o711)
    # Also one that an earlier version made: content and records are nobody else's (CVE-2024-25621).
    os.chmod(config.root, 0o700)
    # Ours alone: a runtime that inherits it would take it for its container's.
    notify = os.environ.pop("NOTIFY_SOCKET", None)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stacks.dump_on_signal(loop)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_locked(config))
        exporter = stack.enter_context(otlp.exporting("containerd"))
        await stack.enter_async_context(gathering(exporter, config.state))
        overlay_root = settings.overlay_root or os.path.join(config.root, "overlayfs")
        native_root = settings.native_root or os.path.join(config.root, "native")
        database = Database(
            os.path.join(config.root, "metadata.db"),
            (
                os.path.join(config.root, "content", "blobs"),
                os.path.join(overlay_root, "snapshots"),
                os.path.join(native_root, "snapshots"),
            ),
        )
        stack.callback(database.close)
        content = ContentStore(os.path.join(config.root, "content"), database)
        ingests = Ingests(content, database)
        exchange = Exchange()
        snapshotter = OverlaySnapshotter(overlay_root, database, exchange)
        native = NativeSnapshotter(native_root, database, exchange)
        snapshotters = {each.name: each for each in (snapshotter, native)}
        images = RecordStore(database, "image")
        containers = RecordStore(database, "container")
        sandbox_records = RecordStore(database, "sandbox")
        leases = LeaseStore(database)
        mounts = MountManager(
            os.path.join(config.state, "io.containerd.mount-manager.v1.bolt"),
            database,
            (config.root,),
        )
        collector = Collector(
            database, content, snapshotters, mounts, exchange, _READERS, _rules(settings)
        )
        stack.push_async_callback(collector.close)
        unpackers = {snapshotter.name: Unpacker(content, snapshotter)}
        usable = {snapshotter.name: snapshotter}
        if f"io.containerd.snapshotter.v1.{native.name}" not in settings.disabled:
            unpackers[native.name] = NativeUnpacker(content, native)
            usable[native.name] = native
        # Trees are mounted here, in namespaces of passing threads only.
        place = os.path.join(config.state, "mount")
        os.makedirs(place, mode=0o700, exist_ok=True)
        streams = Streams()
        starter = ShimStarter(
            ShimSettings(
                shim_dir=config.shim_dir,
                shim_cgroup=config.shim_cgroup,
                state=config.state,
                address=config.address,
                ttrpc_address=config.ttrpc_address,
                debug=config.log_level in ("debug", "trace"),
            )
        )
        stack.push_async_callback(starter.close)
        manager = TaskManager(config.state, starter, exchange)
        sandboxes = SandboxManager(config.state, starter, exchange)
        # Shims report to this one; it must be there before they are asked anything.
        events = Server(_forwarding(exchange))
        await events.start(config.ttrpc_address)
        if settings.ttrpc_uid or settings.ttrpc_gid:
            os.chown(config.ttrpc_address, settings.ttrpc_uid, settings.ttrpc_gid)
        stack.push_async_callback(events.close)
        await _migrate(database, content)
        await asyncio.gather(
            starter.open(),
            sandboxes.restore(),
            manager.restore(),
            *(each.sweep() for each in snapshotters.values()),
            mounts.restore(),
            leases.forget_transfers(),
        )
        server = grpc.aio.server(
            interceptors=[ServerInterceptor()],
            options=server_options(settings.max_recv, settings.max_send),
        )
        services: dict[tuple[ModuleType, str], object] = {
            (containers_pb2, "Containers"): ContainersService(containers, exchange, collector),
            (content_pb2, "Content"): ContentService(content, ingests, collector, exchange),
            (diff_pb2, "Diff"): DiffService(content, ingests, exchange, place),
            (events_pb2, "Events"): EventsService(exchange),
            (images_pb2, "Images"): ImagesService(images, exchange, collector),
            (leases_pb2, "Leases"): LeasesService(leases, collector),
            (mounts_pb2, "Mounts"): MountsService(mounts),
            (namespace_pb2, "Namespaces"): NamespacesService(NamespaceStore(database), exchange),
            (sandbox_pb2, "Controller"): SandboxControllerService(
                sandboxes, sandbox_records, exchange
            ),
            (sandbox_pb2, "Store"): SandboxStoreService(sandbox_records, collector),
            (snapshots_pb2, "Snapshots"): SnapshotsService(usable, collector),
            (streaming_pb2, "Streaming"): StreamingService(streams),
            (tasks_pb2, "Tasks"): TasksService(
                manager,
                containers,
                sandboxes,
                sandbox_records,
                mounts,
                Checkpoints(content, ingests, exchange, place),
            ),
            (transfer_pb2, "Transfer"): TransferService(
                content=content,
                images=images,
                unpackers=unpackers,
                puller=Puller(content),
                pusher=Pusher(content),
                streams=streams,
                exchange=exchange,
                collector=collector,
                leases=leases,
                hosts_dir=settings.hosts_dir,
            ),
            (version_pb2, "Version"): VersionService(),
        }
        names = sorted([_plugin(name) for _, name in services])
        names += ["healthcheck", "introspection"]
        services[introspection_pb2, "Introspection"] = IntrospectionService(
            lasting_id(os.path.join(config.root, "uuid")),
            config.root,
            [name for name in names if f"{GRPC}{name}" not in settings.disabled],
            list(usable),
            starter.describe,
        )
        served = [module.DESCRIPTOR.services_by_name[name].full_name for module, name in services]
        services[health_pb2, "Health"] = HealthService(served, stop)
        for module, name in list(services):
            if f"{GRPC}{_plugin(name)}" in settings.disabled:
                del services[module, name]
        server.add_generic_rpc_handlers(
            tuple(handlers(module, name, service) for (module, name), service in services.items())
        )
        known = [module.DESCRIPTOR.services_by_name[name].full_name for module, name in services]
        server.add_generic_rpc_handlers((Unknown(known),))
        # Bound under another name and renamed, so that nobody finds a socket that does not answer.
        fresh = f"{config.address}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        server.add_insecure_port(f"unix:{fresh}")
        await server.start()
        if settings.uid or settings.gid:
            os.chown(fresh, settings.uid, settings.gid)
        os.chmod(fresh, 0o660)
        os.rename(fresh, config.address)
        stack.push_async_callback(server.stop, _GRACE)
        collector.start()
        # What is alive now lives for ever: Python's collector need not look at it again and again.
        gc.freeze()
        _notify_ready(notify)
        logger.info("serving", extra={"address": config.address})
        await stop.wait()


def _locked(config: Config) -> FileLock:
    lock = FileLock(os.path.join(config.root, "containerd.lock"))
    lock.acquire()
    lock.release()
    return lock


def _plugin(service: str) -> str:
    """The original's name of the plugin that is a service."""
    return _PLUGIN_NAMES.get(service, service.lower())


def _rules(settings: Settings) -> Rules:
    return Rules(
        pause_threshold=settings.gc_pause,
        deletion_threshold=settings.gc_deletions,
        mutation_threshold=settings.gc_mutations,
        schedule_delay=seconds(settings.gc_delay, "schedule_delay"),
        startup_delay=seconds(settings.gc_startup, "startup_delay"),
    )


def _read_image(data: bytes) -> Record:
    image = images_pb2.Image.FromString(data)
    return Record(image.labels, [("content", image.target.digest)])


def _read_container(data: bytes) -> Record:
    container = containers_pb2.Container.FromString(data)
    snapshotter = container.snapshotter or SNAPSHOTTER
    return Record(container.labels, [("snapshot", f"{snapshotter}/{container.snapshot_key}")])


def _read_sandbox(data: bytes) -> Record:
    return Record(TypeSandbox.FromString(data).labels)


def _read_mount(data: bytes) -> Record:
    return Record(ActivationInfo.FromString(data).labels)


# What the collector reads from records.
_READERS: Final[Mapping[str, Reader]] = {
    "image": _read_image,
    "container": _read_container,
    "sandbox": _read_sandbox,
    "mount": _read_mount,
}
_PLUGIN_NAMES: Final = {
    "Store": "sandboxes",
    "Controller": "sandbox-controllers",
    "Health": "healthcheck",
}


async def _migrate(database: Database, content: ContentStore) -> None:
    """Give content of earlier versions the labels by which it is kept now."""
    if database.current:
        return

    def select(connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
        query = "SELECT namespace, data FROM records WHERE kind = 'image'"
        return [(row[0], row[1]) for row in connection.execute(query)]

    for namespace, data in await database.call(select):
        target = images_pb2.Image.FromString(data).target
        descriptor = Descriptor(
            media_type=target.media_type, digest=target.digest, size=target.size
        )
        with namespaces.bind(namespace):
            for digest, labels in kept(content.read, descriptor, SNAPSHOTTER).items():
                with contextlib.suppress(NotFound):
                    await content.record(digest, labels)

    def known(connection: sqlite3.Connection) -> None:
        for table in ("records", "blobs", "snapshots", "leases"):
            connection.execute(
                f"INSERT OR IGNORE INTO namespaces (name) SELECT DISTINCT namespace FROM {table}"  # noqa: S608
            )

    await database.call(known)
    database.migrated()


def _forwarding(exchange: Exchange) -> dict[tuple[str, str], Method]:
    async def forward(request: object) -> object:
        assert isinstance(request, shim_events_pb2.ForwardRequest)
        exchange.forward(request.envelope)
        from google.protobuf.empty_pb2 import Empty

        return Empty()

    service = "containerd.services.events.ttrpc.v1.Events"
    return {(service, "Forward"): Method(shim_events_pb2.ForwardRequest, forward)}  # type: ignore[arg-type]


def _notify_ready(path: str | None) -> None:
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", path)
