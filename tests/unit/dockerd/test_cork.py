"""Heads leave with what follows at once, and never later than the loop's next round."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from dockerd.api.cork import Cork


class Transport:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.sent.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


def corked() -> tuple[Cork, Transport]:
    transport = Transport()
    return Cork(cast("Any", transport), asyncio.get_running_loop()), transport


async def test_head_and_body_leave_together() -> None:
    cork, transport = corked()
    cork.write(b"head ")
    cork.write(b"body")
    assert transport.sent == [b"head body"]
    await asyncio.sleep(0)
    assert transport.sent == [b"head body"]


async def test_a_head_waits_for_nobody() -> None:
    cork, transport = corked()
    cork.write(b"head")
    await asyncio.sleep(0)
    assert transport.sent == [b"head"]
    cork.write(b"one")
    cork.write(b"two")
    assert transport.sent == [b"head", b"one", b"two"]


async def test_what_is_held_leaves_before_a_close() -> None:
    cork, transport = corked()
    cork.write(b"head")
    cork.close()
    assert transport.sent == [b"head"]
    assert cork.is_closing()
    await asyncio.sleep(0)
    assert transport.sent == [b"head"]


async def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    cork, transport = corked()
    cork.write(b"head")
    transport.closing = True
    await asyncio.sleep(0)
    assert transport.sent == []
