"""containerd.services.introspection.v1.Introspection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.empty_pb2 import Empty

from containerd.filters.match import Filter
from wire import typeurl
from wire.errors import InvalidArgument, NotFound
from wire.gen.containerd.services.introspection.v1 import introspection_pb2 as pb
from wire.gen.containerd.types import introspection_pb2, platform_pb2

_GRPC: Final = "io.containerd.grpc.v1"
_RUNTIME: Final = "io.containerd.runtime.v2"
_PLATFORM: Final = platform_pb2.Platform(os="linux", architecture="amd64")

# Asks a shim about its runtime: the runtime's name and its options.
AskRuntime = Callable[[str, any_pb2.Any], Awaitable[introspection_pb2.RuntimeInfo]]


class IntrospectionService:
    """Who the daemon is, and what it consists of."""

    def __init__(
        self,
        uuid: str,
        root: str,
        services: Sequence[str],
        snapshotters: Sequence[str],
        ask_runtime: AskRuntime,
    ) -> None:
        self._uuid = uuid
        self._plugins = list(_plugins(root, services, snapshotters))
        self._ask_runtime = ask_runtime

    async def server(self, _request: Empty, _context: Any) -> pb.ServerResponse:
        """Who we are."""
        inode = await asyncio.to_thread(lambda: os.stat("/proc/self/ns/pid").st_ino)
        return pb.ServerResponse(uuid=self._uuid, pid=os.getpid(), pidns=inode)

    async def plugins(self, request: pb.PluginsRequest, _context: Any) -> pb.PluginsResponse:
        """Those that match."""
        wanted = Filter(request.filters)
        return pb.PluginsResponse(
            plugins=[each for each in self._plugins if wanted.matches(partial(_field, each))]
        )

    async def plugin_info(
        self, request: pb.PluginInfoRequest, _context: Any
    ) -> pb.PluginInfoResponse:
        """One plugin; for the tasks' plugin, with a RuntimeRequest, what the runtime says of itself."""
        for plugin in self._plugins:
            if (plugin.type, plugin.id) == (request.type, request.id):
                break
        else:
            raise NotFound(f"plugin {request.type}.{request.id}: not found")
        response = pb.PluginInfoResponse(plugin=plugin)
        if request.HasField("options"):
            options = typeurl.unpack(request.options)
            if plugin.type != _RUNTIME or not isinstance(options, introspection_pb2.RuntimeRequest):
                raise InvalidArgument(
                    f"options of type {typeurl.name(request.options)} mean nothing to plugin"
                    f" {plugin.type}.{plugin.id}: invalid argument"
                )
            info = await self._ask_runtime(options.runtime_path, options.options)
            response.extra.CopyFrom(typeurl.pack(info))
        return response


def _plugins(
    root: str, services: Sequence[str], snapshotters: Sequence[str]
) -> Iterator[pb.Plugin]:
    """With upstream's names: clients look for some of them before they begin."""
    yield pb.Plugin(
        type="io.containerd.content.v1", id="content", exports={"root": f"{root}/content"}
    )
    for snapshotter in snapshotters:
        yield pb.Plugin(
            type="io.containerd.snapshotter.v1",
            id=snapshotter,
            platforms=[_PLATFORM],
            exports={"root": f"{root}/{snapshotter}"},
        )
    yield pb.Plugin(
        type="io.containerd.metadata.v1",
        id="bolt",
        requires=["io.containerd.content.v1", "io.containerd.snapshotter.v1"],
        exports={"path": f"{root}/metadata.db"},
        capabilities=["nosync=false"],
    )
    yield pb.Plugin(
        type="io.containerd.differ.v1",
        id="walking",
        requires=["io.containerd.metadata.v1"],
        platforms=[_PLATFORM],
    )
    yield pb.Plugin(type="io.containerd.event.v1", id="exchange")
    yield pb.Plugin(
        type="io.containerd.gc.v1", id="scheduler", requires=["io.containerd.metadata.v1"]
    )
    yield pb.Plugin(
        type="io.containerd.lease.v1", id="manager", requires=["io.containerd.metadata.v1"]
    )
    yield pb.Plugin(
        type=_RUNTIME,
        id="task",
        requires=["io.containerd.metadata.v1", "io.containerd.event.v1"],
        platforms=[_PLATFORM],
    )
    yield pb.Plugin(
        type="io.containerd.mount-manager.v1",
        id="bolt",
        requires=["io.containerd.metadata.v1", "io.containerd.mount-handler.v1"],
    )
    yield pb.Plugin(
        type="io.containerd.sandbox.controller.v1",
        id="shim",
        requires=["io.containerd.shim.v1", "io.containerd.event.v1"],
    )
    yield pb.Plugin(type="io.containerd.streaming.v1", id="manager")
    yield pb.Plugin(
        type="io.containerd.transfer.v1", id="local", requires=["io.containerd.metadata.v1"]
    )
    for service in services:
        yield pb.Plugin(type=_GRPC, id=service)


def _field(plugin: pb.Plugin, path: tuple[str, ...]) -> str | None:
    match path:
        case ("type", *_):
            return str(plugin.type)
        case ("id", *_):
            return str(plugin.id)
        case _:
            return None
