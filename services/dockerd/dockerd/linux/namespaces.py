"""Entering and creating namespaces; each call concerns the calling thread alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dockerd.linux.syscalls import checked, libc

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWNET: Final = 0x40000000

OWN_NETNS: Final = "/proc/thread-self/ns/net"


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces of the given kinds."""
    checked(libc().unshare(flags))


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into the namespace behind a descriptor."""
    checked(libc().setns(descriptor, kind))


@contextmanager
def entered(descriptor: int, kind: int = CLONE_NEWNET) -> Iterator[None]:
    """Be in another network namespace for a block, and back in the old one after it."""
    home = os.open(OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(descriptor, kind)
        try:
            yield
        finally:
            setns(home, kind)
    finally:
        os.close(home)
