"""A keeper's sleep: what wakes it, and what it leaves for whoever goes on."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable

import pytest

from shim import linux, succession
from shim.loop import READ, Loop


def _rest(act: Callable[[], object], epoll: int) -> float:
    """Have ``act`` happen while somebody rests in a child; the seconds that the rest lasted."""
    began = time.monotonic()
    later = threading.Timer(0.2, act)
    later.start()
    try:
        succession.rest(epoll)
    finally:
        later.join()
    return time.monotonic() - began


def _ready(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def test_wakes_for_what_the_worker_watched() -> None:
    loop = Loop()
    inner, outer = os.pipe()
    loop.watch(inner, READ, lambda _events: None)
    before = set(os.listdir("/proc/self/fd"))
    try:
        assert _rest(lambda: os.write(outer, b"x"), loop.descriptor) >= 0.2
        # Nothing was read: whoever takes over finds it.
        assert os.read(inner, 2) == b"x"
        assert set(os.listdir("/proc/self/fd")) == before
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    finally:
        loop.close()
        os.close(inner)
        os.close(outer)


@pytest.mark.parametrize("early", [False, True])
def test_wakes_for_a_childs_end_and_does_not_reap_it(early: bool) -> None:
    idle, held = os.pipe()
    child = os.posix_spawnp("sleep", ["sleep", "1000"], os.environ)
    try:
        if early:
            os.kill(child, signal.SIGKILL)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            succession.rest(idle)
        else:
            assert _rest(lambda: os.kill(child, signal.SIGKILL), idle) >= 0.2
        assert linux.has_dead_child()
        assert not _ready(idle)
    finally:
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0) == (child, signal.SIGKILL)
        os.close(idle)
        os.close(held)
