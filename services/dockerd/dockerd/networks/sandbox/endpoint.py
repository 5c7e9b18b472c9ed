"""Names and numbers of a new endpoint."""

from __future__ import annotations

import re
import secrets
from ipaddress import IPv4Address
from typing import Final

from dockerd.networks.errors import InvalidAddress
from dockerd.networks.model import EndpointId, SandboxId

_MAC: Final = re.compile(r"[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}")
_VETH: Final = re.compile(r"veth[0-9a-f]{7}")


def new_endpoint_id() -> EndpointId:
    """64 random hex digits."""
    return EndpointId(secrets.token_hex(32))


def new_sandbox_id() -> SandboxId:
    """64 random hex digits; the first twelve name the namespace's file."""
    return SandboxId(secrets.token_hex(32))


def new_host_interface() -> str:
    """A name for the host's end of a veth pair."""
    return f"veth{secrets.token_hex(4)[:7]}"


def is_host_interface(name: str) -> bool:
    """Whether a link's name is one that ``new_host_interface`` makes."""
    return _VETH.fullmatch(name) is not None


def derived_mac(address: str) -> str:
    """Docker's ``02:42:`` followed by the IPv4 address: whoever gets it again has the same MAC. Random without one."""
    packed = IPv4Address(address).packed if address else secrets.token_bytes(4)
    return "02:42:" + packed.hex(":")


def bridge_mac() -> str:
    """A random locally administered address for a bridge."""
    return derived_mac("")


def checked_mac(text: str) -> str:
    """The address in Docker's notation; raises InvalidAddress."""
    if _MAC.fullmatch(text) is None:
        raise InvalidAddress("MAC address", text)
    return text.replace("-", ":").lower()
