"""Docker's progress streams: JSON objects as they come, and failures in them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse

from dockerd.api.streams import WhileReading
from wire.errors import EngineError

_TYPE: Final = "application/json"
_BAR: Final = 50
_STEP: Final = 1000.0
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def line(document: Mapping[str, Any]) -> bytes:
    """One object; progress is told in words, too, for clients that only print it."""
    bar = _bar(document.get("progressDetail") or {})
    told = {**document, "progress": bar} if bar else document
    return json.dumps(told).encode() + b"\r\n"


def _bar(detail: Mapping[str, Any]) -> str:
    current, total = detail.get("current") or 0, detail.get("total") or 0
    if current <= 0 and total <= 0:
        return ""
    if total <= 0:
        return f"{human_size(current):>8}"
    done = min(_BAR, int(current / total * 100) // 2)
    numbers = f"{human_size(current):>8}"
    if current <= total:
        numbers += f"/{human_size(total)}"
    return f"[{'=' * done}>{' ' * (_BAR - done)}] {numbers}"


def human_size(size: float) -> str:
    """As Docker writes bytes: four digits, and powers of 1000."""
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.4g}{_UNITS[unit]}"


def _failure(error: EngineError) -> bytes:
    return line({"errorDetail": {"message": error.message}, "error": error.message})


async def begun(source: AsyncIterator[Mapping[str, Any]]) -> StreamingResponse:
    """An answer that waits for two objects: what fails before that has a status of its own, and is raised."""
    head = [line(each) async for each in _first(source, 2)]

    async def rest() -> AsyncIterator[bytes]:
        for each in head:
            yield each
        async for each in _lines(source):
            yield each

    return StreamingResponse(rest(), media_type=_TYPE)


def at_once(source: AsyncIterator[Mapping[str, Any]]) -> StreamingResponse:
    """An answer that begins with the first object: every failure is in the stream."""
    return StreamingResponse(_lines(source), media_type=_TYPE)


def while_reading(source: AsyncIterator[Mapping[str, Any]]) -> WhileReading:
    """An answer whose source still reads the request's body: every failure is in the stream."""
    return WhileReading(_lines(source), media_type=_TYPE)


async def _first(
    source: AsyncIterator[Mapping[str, Any]], count: int
) -> AsyncIterator[Mapping[str, Any]]:
    for _ in range(count):
        try:
            yield await anext(source)
        except StopAsyncIteration:
            return


async def _lines(source: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    try:
        async for each in source:
            yield line(each)
    except EngineError as error:
        yield _failure(error)
