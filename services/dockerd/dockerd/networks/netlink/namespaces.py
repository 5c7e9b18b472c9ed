"""Network namespaces that live as bind mounts under the exec root.

Everything here runs on the networks' own thread: it steps into a namespace and back, which no event loop may do.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dockerd.linux import mounts, namespaces
from dockerd.networks.model import IpAddress, IpInterface
from dockerd.networks.netlink import addresses, links, routes
from dockerd.networks.netlink.connection import NetlinkConnection, Request

LOOPBACK_INDEX: Final = 1
_SETTINGS: Final = "/proc/sys"
_IPV6_SETTINGS: Final = f"{_SETTINGS}/net/ipv6"


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerLink:
    """The container's end of a veth pair and all that is configured on it."""

    name: str
    host_name: str
    mac: str
    mtu: int
    master: int
    addresses: tuple[IpInterface, ...]
    gateways: tuple[IpAddress, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """Settings that the user wants, by their paths below /proc/sys."""

    @property
    def ipv6(self) -> bool:
        """Whether the interface has IPv6 at all."""
        return any(each.version == 6 for each in self.addresses)


@contextlib.contextmanager
def created(path: str, home: int) -> Iterator[NetlinkConnection]:
    """Make a namespace, be in it for the block with a netlink socket of its own, and come back to ``home``.

    The bind mount at ``path`` stays; if the block fails it goes again.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        try:
            mounts.bind(namespaces.OWN_NETNS, path)
            with NetlinkConnection() as connection:
                yield connection
        finally:
            namespaces.setns(home, namespaces.CLONE_NEWNET)
    except BaseException:
        remove(path)
        raise


@contextlib.contextmanager
def joined(path: str, home: int) -> Iterator[NetlinkConnection]:
    """Be in an existing namespace for the block, with a netlink socket of its own, and come back to ``home``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.setns(descriptor, namespaces.CLONE_NEWNET)
        try:
            with NetlinkConnection() as connection:
                yield connection
        finally:
            namespaces.setns(home, namespaces.CLONE_NEWNET)
    finally:
        os.close(descriptor)


def replace_defaults(path: str, home: int, name: str, gateways: Sequence[IpAddress]) -> None:
    """Lead everything in a namespace to other gateways, behind the interface of that name."""
    with joined(path, home) as connection:
        index = _inner_index(connection, name)
        connection.run([routes.default(each, index, replace=True) for each in gateways])


def loopback_up(connection: NetlinkConnection) -> None:
    """Bring up lo, all that a container without a network has."""
    connection.run([links.set_up(LOOPBACK_INDEX)])


def furnish(host: NetlinkConnection, inner: NetlinkConnection, link: InnerLink) -> None:
    """Give the namespace that the thread is in its interface, address and route.

    ``host`` is a socket of the host's namespace. Three messages' worth of kernel time: the pair, and one batch.
    """
    netns = os.open(namespaces.OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        links.create_veth(
            host,
            host_name=link.host_name,
            inner_name=link.name,
            netns=netns,
            mac=link.mac,
            mtu=link.mtu,
            master=link.master,
        )
    finally:
        os.close(netns)
    index = _inner_index(inner, link.name)
    _configure_ipv6(link.name, enabled=link.ipv6)
    batch: list[Request] = [
        links.set_up(LOOPBACK_INDEX),
        *(addresses.add(index, each) for each in link.addresses),
        links.set_up(index),
        *(routes.default(each, index) for each in link.gateways),
    ]
    inner.run(batch)
    for path, value in link.sysctls.items():
        with open(f"{_SETTINGS}/{path}", "wb", buffering=0) as setting:
            setting.write(value.encode())


def remove(path: str) -> None:
    """Drop a namespace's bind mount and file; the kernel destroys it when nobody is left in it."""
    with contextlib.suppress(FileNotFoundError):
        try:
            mounts.umount(path, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
        except OSError as error:
            # EINVAL: the file is there, the mount is not (a crash in between, or a reboot).
            if error.errno not in {errno.EINVAL, errno.ENOENT}:
                raise
        os.unlink(path)


def is_mounted(path: str) -> bool:
    """Whether a namespace is really bound at the path: a plain file is left after a reboot."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return os.fstat(descriptor).st_dev == os.stat(namespaces.OWN_NETNS).st_dev
    finally:
        os.close(descriptor)


def has_ipv6() -> bool:
    """Whether namespaces have IPv6, at least on their loopback."""
    return os.path.exists(_IPV6_SETTINGS)


def addresses_inside(path: str) -> list[IpInterface]:
    """The addresses in the namespace bound at a path, without loopback."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with namespaces.entered(descriptor), NetlinkConnection() as connection:
            return [found for found in addresses.every(connection) if not found.ip.is_loopback]
    finally:
        os.close(descriptor)


def _inner_index(connection: NetlinkConnection, name: str) -> int:
    found = links.find(connection, name)
    if found is None:
        raise OSError(errno.ENODEV, f"interface {name} did not appear in its namespace")
    return found.index


def _configure_ipv6(interface: str, *, enabled: bool) -> None:
    """All of it is ours to configure: a router's advertisement, which any neighbour can forge, changes nothing.

    Without an IPv6 address there is no IPv6 at all, not even a link-local address (CVE-2024-32473). Neighbours that knew
    an address under another container's MAC learn the new one at once (``ndisc_notify``).
    """
    settings = {"disable_ipv6": "1"}
    if enabled:
        settings = {"accept_ra": "0", "accept_dad": "0", "ndisc_notify": "1", "disable_ipv6": "0"}
    for name, value in settings.items():
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"{_IPV6_SETTINGS}/conf/{interface}/{name}", "wb", buffering=0) as setting,
        ):
            setting.write(value.encode())
