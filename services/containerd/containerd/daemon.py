"""The composition root: stores, managers and services, wired by hand."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sqlite3
import uuid
from typing import Final

import grpc

from containerd.config import Config
from containerd.content.local import ContentStore
from containerd.events.exchange import Exchange
from containerd.gc.collector import Collector
from containerd.metadata.db import Database
from containerd.metadata.records import RecordStore
from containerd.services.basics import (
    EventsService,
    IntrospectionService,
    StreamingService,
    VersionService,
)
from containerd.services.containers import ContainersService
from containerd.services.content import ContentService
from containerd.services.handlers import handlers
from containerd.services.images import ImagesService
from containerd.services.snapshots import SnapshotsService
from containerd.services.tasks import TasksService
from containerd.services.transfer import TransferService
from containerd.snapshots.overlay import OverlaySnapshotter
from containerd.tasks.manager import TaskManager
from containerd.tasks.shim_process import ShimSettings, ShimStarter
from containerd.transfer.pull import Puller
from containerd.transfer.streams import Streams
from containerd.unpack.unpacker import Unpacker
from wire import stacks
from wire.atomic import FileLock, write_atomic
from wire.gen.containerd.services.containers.v1 import containers_pb2
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.gen.containerd.services.events.v1 import events_pb2
from wire.gen.containerd.services.images.v1 import images_pb2
from wire.gen.containerd.services.introspection.v1 import introspection_pb2
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2
from wire.gen.containerd.services.streaming.v1 import streaming_pb2
from wire.gen.containerd.services.tasks.v1 import tasks_pb2
from wire.gen.containerd.services.transfer.v1 import transfer_pb2
from wire.gen.containerd.services.version.v1 import version_pb2
from wire.gen.shim.events.v1 import events_pb2 as shim_events_pb2
from wire.grpc_adapter import SERVER_OPTIONS, ServerInterceptor
from wire.oci.image import Descriptor
from wire.ttrpc.server import Method, Server

logger = logging.getLogger(__name__)

_GRACE: Final = 1.0


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT; tasks go on."""
    for directory in (config.root, config.state, os.path.dirname(config.address)):
        os.makedirs(directory, mode=0o711, exist_ok=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stacks.dump_on_signal(loop)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_locked(config))
        database = Database(os.path.join(config.root, "metadata.db"))
        stack.callback(database.close)
        content = ContentStore(os.path.join(config.root, "content"), database)
        snapshotter = OverlaySnapshotter(os.path.join(config.root, "overlayfs"), database)
        images = RecordStore(database, "image")
        containers = RecordStore(database, "container")
        exchange = Exchange()
        collector = Collector(database, content, snapshotter, _roots)
        stack.push_async_callback(collector.close)
        unpacker = Unpacker(content, snapshotter)
        streams = Streams()
        starter = ShimStarter(
            ShimSettings(
                shim_dir=config.shim_dir,
                state=config.state,
                address=config.address,
                ttrpc_address=config.ttrpc_address,
                debug=config.log_level == "debug",
            )
        )
        stack.push_async_callback(starter.close)
        manager = TaskManager(config.state, starter, exchange)
        # Shims report to this one; it must be there before they are asked anything.
        events = Server(_forwarding(exchange))
        await events.start(config.ttrpc_address)
        stack.push_async_callback(events.close)
        await asyncio.gather(starter.open(), manager.restore(), snapshotter.sweep())
        server = grpc.aio.server(interceptors=[ServerInterceptor()], options=SERVER_OPTIONS)
        server.add_generic_rpc_handlers(
            (
                handlers(
                    containers_pb2, "Containers", ContainersService(containers, exchange, collector)
                ),
                handlers(content_pb2, "Content", ContentService(content, collector)),
                handlers(events_pb2, "Events", EventsService(exchange)),
                handlers(images_pb2, "Images", ImagesService(images, exchange, collector)),
                handlers(
                    introspection_pb2, "Introspection", IntrospectionService(_uuid(config.root))
                ),
                handlers(snapshots_pb2, "Snapshots", SnapshotsService(snapshotter)),
                handlers(streaming_pb2, "Streaming", StreamingService(streams)),
                handlers(tasks_pb2, "Tasks", TasksService(manager, containers)),
                handlers(
                    transfer_pb2,
                    "Transfer",
                    TransferService(
                        content=content,
                        images=images,
                        unpacker=unpacker,
                        puller=Puller(content, unpacker),
                        streams=streams,
                        exchange=exchange,
                        collector=collector,
                    ),
                ),
                handlers(version_pb2, "Version", VersionService()),
            )
        )
        # Bound under another name and renamed, so that nobody finds a socket that does not answer.
        fresh = f"{config.address}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        server.add_insecure_port(f"unix:{fresh}")
        await server.start()
        os.chmod(fresh, 0o660)
        os.rename(fresh, config.address)
        stack.push_async_callback(server.stop, _GRACE)
        collector.schedule()
        _notify_ready()
        logger.info("serving", extra={"address": config.address})
        await stop.wait()


def _locked(config: Config) -> FileLock:
    lock = FileLock(os.path.join(config.root, "containerd.lock"))
    lock.acquire()
    lock.release()
    return lock


def _roots(
    connection: sqlite3.Connection,
) -> tuple[list[tuple[str, Descriptor]], set[tuple[str, str]]]:
    """The targets of all images and the snapshots of all containers."""
    targets = []
    for namespace, data in connection.execute(
        "SELECT namespace, data FROM records WHERE kind = 'image'"
    ):
        target = images_pb2.Image.FromString(data).target
        targets.append(
            (
                namespace,
                Descriptor(media_type=target.media_type, digest=target.digest, size=target.size),
            )
        )
    keys = set()
    for namespace, data in connection.execute(
        "SELECT namespace, data FROM records WHERE kind = 'container'"
    ):
        keys.add((str(namespace), str(containers_pb2.Container.FromString(data).snapshot_key)))
    return targets, keys


def _forwarding(exchange: Exchange) -> dict[tuple[str, str], Method]:
    async def forward(request: object) -> object:
        assert isinstance(request, shim_events_pb2.ForwardRequest)
        exchange.forward(request.envelope)
        from google.protobuf.empty_pb2 import Empty

        return Empty()

    service = "containerd.services.events.ttrpc.v1.Events"
    return {(service, "Forward"): Method(shim_events_pb2.ForwardRequest, forward)}  # type: ignore[arg-type]


def _uuid(root: str) -> str:
    path = os.path.join(root, "uuid")
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        fresh = str(uuid.uuid4())
        write_atomic(path, fresh.encode())
        return fresh


def _notify_ready() -> None:
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", path)
