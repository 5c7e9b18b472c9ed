"""Networks: their controller, which is opened before anything else is made."""

from __future__ import annotations

from typing import Final

from dockerd.config import Config
from dockerd.fdstore import FdStore
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import NetworkSettings
from dockerd.wiring.ground import daemon_id

PORT_PREFIX: Final = "port-"
"""Begins the names of published ports among the descriptors that an earlier daemon has left."""


def controller(config: Config, kept: FdStore) -> NetworkController:
    """By the configuration; ports are held beyond this daemon's life."""
    settings = NetworkSettings(
        data_root=config.data_root,
        exec_root=config.exec_root,
        bridge=config.bridge,
        bip=config.bip,
        fixed_cidr=config.fixed_cidr,
        ipv6=config.ipv6,
        bip6=config.bip6,
        fixed_cidr_v6=config.fixed_cidr_v6,
        mtu=config.mtu,
        enable_icc=config.icc,
        enable_ip_masquerade=config.ip_masq,
        enable_ip_forward=config.ip_forward,
        default_host_ip=config.default_host_ip,
        userland_proxy=config.userland_proxy,
        dns=config.dns,
        dns_search=config.dns_search,
        dns_options=config.dns_options,
        host_gateway=config.host_gateway,
        address_pools=config.address_pools,
        engine_id=daemon_id(config.data_root),
    )
    return NetworkController(settings, on_reserve=kept.hold, on_release=kept.drop)
