"""The records of networks and endpoints under ``<data_root>/network``.

Networks are what a user asked for: fsynced. An endpoint ends with the kernel it lives in, so its record must survive the
death of the daemon, not of the machine: written to the page cache and renamed into place before anything of the endpoint
exists, and void when the boot id has changed.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from dockerd.networks.model import (
    ContainerId,
    EndpointRecord,
    IpamConfig,
    NetworkId,
    NetworkRecord,
    Protocol,
    PublishedPort,
)
from wire.atomic import write_atomic

logger = logging.getLogger(__name__)

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


class NetworkStore:
    """All network and endpoint records, in memory and on disk."""

    def __init__(self, data_root: str) -> None:
        root = os.path.join(data_root, "network")
        self._networks_path = os.path.join(root, "networks.json")
        self._endpoints_dir = os.path.join(root, "endpoints")
        self._networks: dict[NetworkId, NetworkRecord] = {}
        self._endpoints: dict[ContainerId, tuple[EndpointRecord, ...]] = {}
        self.boot_id = Path(_BOOT_ID).read_text().strip()

    def load(self) -> None:
        """Read everything; unreadable endpoint records are dropped, those of an earlier boot removed."""
        os.makedirs(self._endpoints_dir, mode=0o700, exist_ok=True)
        self._networks = {record.network_id: record for record in self._load_networks()}
        self._endpoints = {}
        for name in os.listdir(self._endpoints_dir):
            path = os.path.join(self._endpoints_dir, name)
            if not name.endswith(".json"):
                os.unlink(path)
                continue
            records = _load_endpoints(path)
            if not records or records[0].boot_id != self.boot_id:
                os.unlink(path)
                continue
            self._endpoints[records[0].container_id] = records

    def networks(self) -> tuple[NetworkRecord, ...]:
        """Every network."""
        return tuple(self._networks.values())

    def save_network(self, record: NetworkRecord) -> None:
        """Add or replace a network, durably."""
        self._networks[record.network_id] = record
        self._write_networks()

    def _write_networks(self) -> None:
        document = {"networks": [asdict(each) for each in self._networks.values()]}
        write_atomic(self._networks_path, json.dumps(document, indent=1).encode())

    def remove_network(self, network_id: NetworkId) -> None:
        """Forget a network, durably."""
        self._networks.pop(network_id, None)
        self._write_networks()

    def endpoints(self) -> tuple[EndpointRecord, ...]:
        """Every endpoint of every container."""
        return tuple(each for records in tuple(self._endpoints.values()) for each in records)

    def of_container(self, container_id: str) -> tuple[EndpointRecord, ...]:
        """A container's endpoints; empty if it is not attached."""
        return self._endpoints.get(ContainerId(container_id), ())

    def containers(self) -> frozenset[ContainerId]:
        """The containers that have endpoints."""
        return frozenset(self._endpoints)

    def save_endpoints(self, records: Iterable[EndpointRecord]) -> tuple[EndpointRecord, ...]:
        """Record a container's endpoints before they are made; returns them stamped with this boot."""
        stamped = tuple(replace(record, boot_id=self.boot_id) for record in records)
        container_id = stamped[0].container_id
        path = self._path(container_id)
        temporary = f"{path}.tmp"
        document = json.dumps({"endpoints": [asdict(record) for record in stamped]}).encode()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, document)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
        self._endpoints[container_id] = stamped
        return stamped

    def remove_endpoints(self, container_id: str) -> None:
        """Forget a container's endpoints; harmless if there are none."""
        self._endpoints.pop(ContainerId(container_id), None)
        Path(self._path(container_id)).unlink(missing_ok=True)

    def _path(self, container_id: str) -> str:
        return os.path.join(self._endpoints_dir, f"{container_id}.json")

    def _load_networks(self) -> list[NetworkRecord]:
        try:
            document = json.loads(Path(self._networks_path).read_bytes())
        except FileNotFoundError:
            return []
        except ValueError:
            logger.warning("network records unreadable", extra={"path": self._networks_path})
            return []
        return [_network(fields) for fields in document["networks"]]


def _load_endpoints(path: str) -> tuple[EndpointRecord, ...]:
    try:
        document = json.loads(Path(path).read_bytes())
        return tuple(_endpoint(fields) for fields in document["endpoints"])
    except (ValueError, TypeError, KeyError, OSError) as error:
        logger.warning("endpoint record unreadable", extra={"path": path, "error": str(error)})
        return ()


def _network(fields: Mapping[str, Any]) -> NetworkRecord:
    ipam = tuple(IpamConfig(**each) for each in fields["ipam"])
    return NetworkRecord(**{**fields, "ipam": ipam})


def _endpoint(fields: Mapping[str, Any]) -> EndpointRecord:
    ports = tuple(
        PublishedPort(**{**each, "protocol": Protocol(each["protocol"])})
        for each in fields["ports"]
    )
    lists = {
        key: tuple(fields.get(key) or ())
        for key in ("aliases", "dns_names", "exposed", "link_local", "servers")
    }
    return EndpointRecord(**{**fields, **lists, "ports": ports})
