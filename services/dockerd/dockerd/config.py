"""What the daemon was told, in the words of its own parts; ``configuration`` makes it of flags and ``daemon.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
DEFAULT_RUNTIME: Final = "runc"
SECCOMP_BUILTIN: Final = "builtin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A program with runc's command line, and arguments that come before that."""

    path: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """How the API's TLS listeners show themselves, and whether clients must, by a certificate of ``ca``'s."""

    ca: str
    certificate: str
    key: str
    verify: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One state of the configuration, whole and checked. Sizes in bytes, times in seconds."""

    data_root: str
    exec_root: str
    hosts: tuple[str, ...]
    containerd: str
    containerd_namespace: str = "moby"
    group: str = "docker"
    pidfile: str = ""
    debug: bool = False
    log_level: str = "info"
    log_format: str = ""
    """``text``, ``json``, or empty: text on a terminal alone."""
    experimental: bool = False
    labels: tuple[str, ...] = ()
    features: Mapping[str, bool] = field(default_factory=dict)
    minimum_api_version: str = ""
    metrics_address: str = ""
    authorization_plugins: tuple[str, ...] = ()
    shutdown_timeout: int = 15
    """How long requests that are under way are waited for; negative for ever."""

    tls: TLSFiles | None = None
    open_on_purpose: bool = False
    """Whether somebody said that TCP shall be without verified clients."""

    proxies: Mapping[str, str] = field(default_factory=dict)
    """``http-proxy``, ``https-proxy`` and ``no-proxy``, above those of the environment."""
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5

    bridge: str = "docker0"
    bip: str | None = None
    fixed_cidr: str | None = None
    ipv6: bool = False
    bip6: str | None = None
    fixed_cidr_v6: str | None = None
    mtu: int = 1500
    default_host_ip: str = "0.0.0.0"  # noqa: S104 - published ports are for everybody, as in Docker
    icc: bool = True
    ip_forward: bool = True
    ip_masq: bool = True
    userland_proxy: bool = True
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway: str | None = None
    """One address, or one of each IP version with a comma between."""
    address_pools: tuple[tuple[str, int], ...] = ()
    """Base networks and the prefix lengths of the subnets cut from them; empty for Docker's own."""
    network_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """For new networks, by driver."""

    runtimes: Mapping[str, Runtime] = field(default_factory=dict)
    default_runtime: str = DEFAULT_RUNTIME
    cgroup_parent: str = ""
    init: bool = False
    init_path: str = ""
    seccomp_profile: str = SECCOMP_BUILTIN
    """``builtin``, ``unconfined``, or the path of a profile."""
    no_new_privileges: bool = False
    shm_size: int = 64 << 20
    ipc_mode: str = "private"
    cgroupns_mode: str = ""
    """Empty for what suits the host's cgroups."""
    ulimits: tuple[Mapping[str, Any], ...] = ()
    """In the shape of HostConfig.Ulimits."""
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def verbosity(self) -> str:
        """The level from which lines are logged."""
        return "debug" if self.debug else self.log_level


class LiveConfig:
    """The configuration of the moment. A reload replaces it whole; who needs the newest asks here each time."""

    def __init__(self, config: Config) -> None:
        self.current = config
