"""Blocking readers and writers of archives at work in threads, on the bytes of a stream."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO, Final, TypeVar, cast

from containerd.transfer.pipes import Pipe
from containerd.transfer.streams import Stream

_CHUNK: Final = 1 << 18
_Result = TypeVar("_Result")


async def reading(stream: Stream, read: Callable[[BinaryIO], _Result]) -> _Result:
    """Run ``read(file)`` in a thread on what the client sends."""
    pipe = stream.take_pipe()
    if pipe is None:
        return await _in_thread(stream.read(), read)
    with pipe:
        return await _cancellable(pipe, lambda: read(cast("BinaryIO", pipe)))


async def writing(stream: Stream, write: Callable[[BinaryIO], None]) -> None:
    """Run ``write(file)`` in a thread, and send the client what it writes."""
    pipe = stream.take_pipe()
    if pipe is None:
        await stream.write(_produced(write))
        return

    def produce(pipe: Pipe) -> None:
        with io.BufferedWriter(pipe, _CHUNK) as file:
            write(cast("BinaryIO", file))

    with pipe:
        await _cancellable(pipe, lambda: produce(pipe))


async def _cancellable(pipe: Pipe, work: Callable[[], _Result]) -> _Result:
    """Blocking work on a pipe, which is not closed before its thread is out of it."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        pipe.cancel()
        await asyncio.wait([working])
        raise


async def _in_thread(chunks: AsyncIterator[bytes], read: Callable[[BinaryIO], _Result]) -> _Result:
    """Run ``read(file)`` in a thread while the stream's chunks are fed to it through a pipe."""
    source, sink = os.pipe()
    loop = asyncio.get_running_loop()

    def consume() -> _Result:
        with os.fdopen(source, "rb", buffering=_CHUNK) as file:
            return read(file)

    consuming = loop.run_in_executor(None, consume)
    try:
        with os.fdopen(sink, "wb", buffering=0) as file:
            async for chunk in chunks:
                view = memoryview(chunk)
                while view and not consuming.done():
                    written = await asyncio.to_thread(_write_some, file, view)
                    if written < 0:
                        break
                    view = view[written:]
    finally:
        result = await consuming
    return result


def _write_some(file: io.FileIO, view: memoryview) -> int:
    try:
        return file.write(view) or 0
    except BrokenPipeError:
        return -1


async def _produced(write: Callable[[BinaryIO], None]) -> AsyncIterator[bytes]:
    """The bytes that ``write(file)`` writes in a thread, as they come."""
    source, sink = os.pipe()
    loop = asyncio.get_running_loop()

    def produce() -> None:
        with os.fdopen(sink, "wb", buffering=_CHUNK) as file:
            write(file)

    producing = loop.run_in_executor(None, produce)
    with os.fdopen(source, "rb", buffering=0) as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    await producing
