"""containerd's transfer service: what moves images in and out, with its streams and its progress."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from dockerd.config import LiveConfig
from dockerd.containerd_client.client import Containerd
from dockerd.images.pipe import Pipe
from wire import transfer_limits, typeurl
from wire.errors import EngineError, NotImplementedYet, Unavailable
from wire.gen.containerd.services.streaming.v1 import streaming_pb2
from wire.gen.containerd.services.transfer.v1 import transfer_pb2
from wire.gen.containerd.types import platform_pb2
from wire.gen.containerd.types.transfer import imagestore_pb2, progress_pb2, registry_pb2
from wire.gen.containerd.types.transfer import streaming_pb2 as transfer_streaming
from wire.grpc_adapter import error_of
from wire.pipes import OPENED
from wire.registry import proxies

_WINDOW: Final = (1 << 31) - 1
_LARGEST: Final = 1 << 20
_REST: Final = 1.0
_LACKING: Final = (
    "this containerd has no transfer service, which pull, push, load, save and import need:"
    " use containerd 1.7 or newer, or bring images in with `ctr --namespace moby images`"
)
# The image is unpacked for this machine.
UNPACKS: Final = (
    imagestore_pb2.UnpackConfiguration(
        platform=platform_pb2.Platform(os="linux", architecture="amd64"), snapshotter="overlayfs"
    ),
)
_HUB: Final = "docker.io"
_HUB_SERVER: Final = "registry-1.docker.io"


class Transfers:
    """Runs transfers."""

    def __init__(self, containerd: Containerd, pipes: str, config: LiveConfig) -> None:
        """``pipes`` is a folder for the FIFOs of transfers that begin; it is emptied."""
        self._containerd = containerd
        self._config = config
        self._pipes = pipes
        shutil.rmtree(pipes, ignore_errors=True)

    async def stream(self) -> ByteStream:
        """A stream that a transfer can name."""
        return await self._open(None)

    async def source(self) -> ByteStream:
        """A stream of bytes that we send."""
        return await self._open(Pipe(self._pipes, writes=True))

    async def sink(self) -> ByteStream:
        """A stream of bytes that we get."""
        return await self._open(Pipe(self._pipes, writes=False))

    async def _open(self, pipe: Pipe | None) -> ByteStream:
        try:
            return await ByteStream.open(self._containerd, pipe)
        except EngineError as error:
            # A stream that the other side does not know fails in many ways; a plain call tells why.
            if await self._served():
                raise
            raise NotImplementedYet(_LACKING) from error

    async def _served(self) -> bool:
        """Whether this containerd has the service; one that is away counts as one that has."""
        try:
            request = transfer_pb2.TransferRequest()
            await self._containerd.call(
                "transfer.v1.Transfer", "Transfer", request, Empty, wait=False
            )
        except NotImplementedYet as error:
            return "unknown service" not in error.message
        except EngineError:
            pass
        return True

    async def run(self, source: Any, destination: Any) -> AsyncIterator[progress_pb2.Progress]:
        """Transfer, and yield containerd's progress; raises EngineError kinds."""
        progress = await self.stream()
        running = self.begin(source, destination, progress.name)
        try:
            while (message := await progress.receive()) is not None:
                if isinstance(message, progress_pb2.Progress):
                    yield message
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            progress.close()

    def begin(self, source: Any, destination: Any, progress: str = "") -> asyncio.Task[Empty]:
        """Transfer in the background; the caller waits for the task, or cancels it."""
        request = transfer_pb2.TransferRequest(
            source=typeurl.pack(source),
            destination=typeurl.pack(destination),
            options=transfer_pb2.TransferOptions(progress_stream=progress),
        )
        return asyncio.get_running_loop().create_task(
            self._containerd.call(
                "transfer.v1.Transfer",
                "Transfer",
                request,
                Empty,
                headers=self._limits(source, destination),
            )
        )

    def _limits(self, source: Any, destination: Any) -> tuple[tuple[str, str], ...]:
        config = self._config.current
        attempts = config.max_download_attempts
        if isinstance(source, registry_pb2.OCIRegistry):
            parallel = config.max_concurrent_downloads
        elif isinstance(destination, registry_pb2.OCIRegistry):
            parallel = config.max_concurrent_uploads
        else:
            return ()
        return (transfer_limits.header(parallel, attempts), *proxies.header())


class ByteStream:
    """One stream of the Streaming service; data goes in windows that the receiver opens."""

    _count = 0

    def __init__(self, name: str, call: Any, pipe: Pipe | None) -> None:
        self.name = name
        self._call = call
        self._pipe = pipe

    @classmethod
    async def open(cls, containerd: Containerd, pipe: Pipe | None = None) -> ByteStream:
        """A new stream; its bytes go through ``pipe`` if containerd can open that, else in messages."""
        cls._count += 1
        name = f"dockerd-{id(containerd):x}-{cls._count}"
        stream = cls(name, containerd.open_stream(pipe.header if pipe else None), pipe)
        try:
            await stream.write(streaming_pb2.StreamInit(id=name))
            await stream.receive()
            if pipe is not None:
                await stream._settle(pipe)
        except BaseException:
            stream.close()
            raise
        return stream

    async def _settle(self, pipe: Pipe) -> None:
        if any(key == OPENED for key, _ in await self._call.initial_metadata() or ()):
            pipe.settle()
        else:
            self._pipe = None
            pipe.close()

    async def write(self, message: Message) -> None:
        """Send a message; raises EngineError kinds."""
        try:
            await self._call.write(typeurl.pack(message))
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure) from failure
        except asyncio.InvalidStateError as failure:
            raise Unavailable("the stream to containerd has ended") from failure

    async def receive(self) -> Any:
        """The next message; None at the end."""
        try:
            packed = await self._call.read()
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure) from failure
        return None if packed is grpc.aio.EOF else typeurl.unpack(packed)

    async def feed(self, chunks: AsyncIterator[bytes]) -> None:
        """Send data, as far as there is room."""
        if self._pipe is not None:
            await self._pipe.feed(chunks)
            return
        room = 0
        async for chunk in chunks:
            view = bytes(chunk)
            while view:
                while room <= 0:
                    message = await self.receive()
                    if message is None:
                        return
                    if isinstance(message, transfer_streaming.WindowUpdate):
                        room += message.update
                part, view = view[: min(room, _LARGEST)], view[min(room, _LARGEST) :]
                await self.write(transfer_streaming.Data(data=part))
                room -= len(part)
        await self._call.done_writing()

    async def chunks(self, running: asyncio.Task[Any]) -> AsyncIterator[bytes]:
        """The data that the other side sends, for a transfer that is ``running``."""
        if self._pipe is not None:
            async for data in self._pipe.chunks():
                yield data
            return
        # HTTP/2 holds the sender back already. Updates are rare, because grpc.aio (1.85) drops what is still unread when a
        # write meets a stream that the other side has just ended.
        await self.write(transfer_streaming.WindowUpdate(update=_WINDOW))
        taken = 0
        while (message := await self._receive_of(running)) is not None:
            if isinstance(message, transfer_streaming.Data):
                yield message.data
                taken += len(message.data)
                if taken >= _WINDOW // 2:
                    update = transfer_streaming.WindowUpdate(update=taken)
                    await self.write(update)
                    taken = 0

    async def _receive_of(self, running: asyncio.Task[Any]) -> Any:
        """The next message of a transfer; None at its end, which containerd 2.2 does not tell the stream."""
        reading = asyncio.get_running_loop().create_task(self.receive())
        try:
            await asyncio.wait({reading, running}, return_when=asyncio.FIRST_COMPLETED)
            # The rest may come after the call's answer, but it has been sent.
            return await asyncio.wait_for(reading, _REST if running.done() else None)
        except TimeoutError:
            return None
        finally:
            reading.cancel()

    async def answer(self, auth: Mapping[str, str], registry: str) -> None:
        """Answer requests for the credentials of a registry, for as long as they come; its mirrors do not get them."""
        ours = {registry, _HUB_SERVER} if registry == _HUB else {registry}
        while (message := await self.receive()) is not None:
            if isinstance(message, registry_pb2.AuthRequest):
                if message.host not in ours:
                    nothing = registry_pb2.AuthResponse(authType=registry_pb2.NONE)
                    await self.write(nothing)
                    continue
                await self.write(_answer(auth))

    def close(self) -> None:
        """Give it up."""
        self._call.cancel()
        if self._pipe is not None:
            self._pipe.close()


def _answer(auth: Mapping[str, str]) -> registry_pb2.AuthResponse:
    """Docker's credentials in containerd's words: a registry's token first, then an identity token, then a password."""
    if token := auth.get("registrytoken"):
        return registry_pb2.AuthResponse(authType=registry_pb2.HEADER, secret=f"Bearer {token}")
    if token := auth.get("identitytoken"):
        return registry_pb2.AuthResponse(authType=registry_pb2.REFRESH, secret=token)
    return registry_pb2.AuthResponse(
        authType=registry_pb2.CREDENTIALS,
        username=auth.get("username") or "",
        secret=auth.get("password") or "",
    )
