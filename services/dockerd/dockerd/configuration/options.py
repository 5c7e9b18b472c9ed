"""Every option of the original: its name in the file, its flag, its type, and why it is refused where it is not built."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dockerd.config import DEFAULT_RUNTIME, SECCOMP_BUILTIN


class Kind(StrEnum):
    """Types of values, by the names that the original's messages give them."""

    BOOLEAN = "bool"
    INTEGER = "int"
    TEXT = "string"
    SIZE = "bytes"
    LIST = "[]string"
    MAP = "map[string]string"
    SWITCHES = "map[string]bool"
    NESTED = "map[string]map[string]string"
    ULIMITS = "ulimit"
    RUNTIMES = "runtime"
    POOLS = "pool-options"
    OBJECT = "object"


REPEATED: Final = frozenset(
    {
        Kind.LIST,
        Kind.MAP,
        Kind.SWITCHES,
        Kind.NESTED,
        Kind.ULIMITS,
        Kind.RUNTIMES,
        Kind.POOLS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. ``key`` is its name in the file; without ``flag`` it is in the file alone."""

    key: str
    kind: Kind
    default: Any
    flag: str = ""
    short: str = ""
    help: str = ""
    refused: str = ""
    """Why only the default will do; empty for an option that is acted on."""
    hidden: bool = False


def _option(key: str, kind: Kind, default: Any, help_text: str = "", **more: Any) -> Option:
    return Option(key=key, kind=kind, default=default, help=help_text, **{"flag": key, **more})


_SWARM: Final = "there is no Swarm"
_NETFILTER: Final = "networks are not built without a firewall"
_ALWAYS: Final = "containers outlive the daemon in any case"

OPTIONS: Final = (
    _option("allow-direct-routing", Kind.BOOLEAN, False, "Allow remote access to published ports on container IP addresses",
            refused="other hosts reach containers by published ports alone"),
    _option("allow-nondistributable-artifacts", Kind.LIST, (), hidden=True),
    _option("api-cors-header", Kind.TEXT, "", hidden=True),
    _option("authorization-plugins", Kind.LIST, (), "Authorization plugins to load", flag="authorization-plugin"),
    _option("bip", Kind.TEXT, "", "IPv4 address for the default bridge"),
    _option("bip6", Kind.TEXT, "", "IPv6 address for the default bridge"),
    _option("bridge", Kind.TEXT, "", "Attach containers to a network bridge", short="b"),
    _option("builder", Kind.OBJECT, {}, flag="", refused="there is no builder"),
    _option("cdi-spec-dirs", Kind.LIST, (), "CDI specification directories to use", flag="cdi-spec-dir",
            refused="CDI devices are not served"),
    _option("cgroup-parent", Kind.TEXT, "", "Set parent cgroup for all containers"),
    _option("containerd", Kind.TEXT, "", "containerd grpc address"),
    _option("containerd-namespace", Kind.TEXT, "moby", "Containerd namespace to use"),
    _option("containerd-plugins-namespace", Kind.TEXT, "plugins.moby", "Containerd namespace to use for plugins",
            refused="there are no managed plugins"),
    _option("cpu-rt-period", Kind.INTEGER, 0,
            "Limit the CPU real-time period in microseconds for the parent cgroup for all containers",
            refused="real-time limits are set for each container"),
    _option("cpu-rt-runtime", Kind.INTEGER, 0,
            "Limit the CPU real-time runtime in microseconds for the parent cgroup for all containers",
            refused="real-time limits are set for each container"),
    _option("cri-containerd", Kind.BOOLEAN, False, "start containerd with cri", refused="the daemon starts no containerd"),
    _option("data-root", Kind.TEXT, "/var/lib/docker", "Root directory of persistent Docker state"),
    _option("debug", Kind.BOOLEAN, False, "Enable debug mode", short="D"),
    _option("default-address-pools", Kind.POOLS, (), "Default address pools for node specific local networks",
            flag="default-address-pool"),
    _option("default-cgroupns-mode", Kind.TEXT, "", 'Default mode for containers cgroup namespace ("host" | "private")'),
    _option("default-gateway", Kind.TEXT, "", "Default gateway IPv4 address for the default bridge network",
            refused="the gateway of the default bridge is its own address"),
    _option("default-gateway-v6", Kind.TEXT, "", "Default gateway IPv6 address for the default bridge network",
            refused="the gateway of the default bridge is its own address"),
    _option("default-ipc-mode", Kind.TEXT, "private", 'Default mode for containers ipc ("shareable" | "private")'),
    _option("default-network-opts", Kind.NESTED, {}, "Default network options", flag="default-network-opt"),
    _option("default-runtime", Kind.TEXT, DEFAULT_RUNTIME, "Default OCI runtime for containers"),
    _option("default-shm-size", Kind.SIZE, 64 << 20, "Default shm size for containers"),
    _option("default-ulimits", Kind.ULIMITS, {}, "Default ulimits for containers", flag="default-ulimit"),
    _option("deprecated-key-path", Kind.TEXT, "", flag=""),
    _option("dns", Kind.LIST, (), "DNS server to use"),
    _option("dns-opts", Kind.LIST, (), "DNS options to use", flag="dns-opt"),
    _option("dns-search", Kind.LIST, (), "DNS search domains to use"),
    _option("exec-opts", Kind.LIST, (), "Runtime execution options", flag="exec-opt"),
    _option("exec-root", Kind.TEXT, "/run/docker", "Root directory for execution state files"),
    _option("experimental", Kind.BOOLEAN, False, "Enable experimental features"),
    _option("features", Kind.SWITCHES, {}, "Enable feature in the daemon", flag="feature"),
    _option("fixed-cidr", Kind.TEXT, "", "IPv4 subnet for the default bridge network"),
    _option("fixed-cidr-v6", Kind.TEXT, "", "IPv6 subnet for the default bridge network"),
    _option("group", Kind.TEXT, "docker", "Group for the unix socket", short="G"),
    _option("host-gateway-ip", Kind.TEXT, "", flag="", hidden=True),
    _option("host-gateway-ips", Kind.LIST, (), "IP addresses that the special 'host-gateway' string in --add-host resolves to",
            flag="host-gateway-ip"),
    _option("hosts", Kind.LIST, (), "Daemon socket(s) to connect to", flag="host", short="H"),
    _option("http-proxy", Kind.TEXT, "", "HTTP proxy URL to use for outgoing traffic"),
    _option("https-proxy", Kind.TEXT, "", "HTTPS proxy URL to use for outgoing traffic"),
    _option("icc", Kind.BOOLEAN, True, "Enable inter-container communication for the default bridge network"),
    _option("init", Kind.BOOLEAN, False, "Run an init in the container to forward signals and reap processes"),
    _option("init-path", Kind.TEXT, "", "Path to the docker-init binary"),
    _option("insecure-registries", Kind.LIST, (), "Enable insecure registry communication", flag="insecure-registry"),
    _option("ip", Kind.TEXT, "0.0.0.0", "Host IP for port publishing from the default bridge network"),  # noqa: S104
    _option("ip-forward", Kind.BOOLEAN, True, "Enable IP forwarding in system configuration"),
    _option("ip-forward-no-drop", Kind.BOOLEAN, False,
            "Do not set the filter-FORWARD policy to DROP when enabling IP forwarding"),
    _option("ip-masq", Kind.BOOLEAN, True, "Enable IP masquerading for the default bridge network"),
    _option("ip6tables", Kind.BOOLEAN, True, "Enable addition of ip6tables rules", refused=_NETFILTER),
    _option("iptables", Kind.BOOLEAN, True, "Enable addition of iptables rules", refused=_NETFILTER),
    _option("ipv6", Kind.BOOLEAN, False, "Enable IPv6 networking for the default bridge network"),
    _option("labels", Kind.LIST, (), "Set key=value labels to the daemon", flag="label"),
    _option("live-restore", Kind.BOOLEAN, True, "Enable live restore of docker when containers are still running",
            refused=_ALWAYS),
    _option("log-driver", Kind.TEXT, "json-file", "Default driver for container logs"),
    _option("log-format", Kind.TEXT, "", 'Set the logging format ("text"|"json")'),
    _option("log-level", Kind.TEXT, "info", 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")', short="l"),
    _option("log-opts", Kind.MAP, {}, "Default log driver options for containers", flag="log-opt"),
    _option("max-concurrent-downloads", Kind.INTEGER, 3, "Set the max concurrent downloads"),
    _option("max-concurrent-uploads", Kind.INTEGER, 5, "Set the max concurrent uploads"),
    _option("max-download-attempts", Kind.INTEGER, 5, "Set the max download attempts for each pull"),
    _option("metrics-addr", Kind.TEXT, "", "Set default address and port to serve the metrics api on"),
    _option("mtu", Kind.INTEGER, 1500, 'Set the MTU for the default "bridge" network'),
    _option("network-control-plane-mtu", Kind.INTEGER, 1500, "Network Control plane MTU", refused=_SWARM),
    _option("network-diagnostic-port", Kind.INTEGER, 0, "TCP port number of the network diagnostic server",
            refused="there is no diagnostic server", hidden=True),
    _option("no-new-privileges", Kind.BOOLEAN, False, "Set no-new-privileges by default for new containers"),
    _option("no-proxy", Kind.TEXT, "", "Comma-separated list of hosts or IP addresses for which the proxy is skipped"),
    _option("node-generic-resources", Kind.LIST, (), "Advertise user-defined resource", flag="node-generic-resource",
            refused=_SWARM),
    _option("pidfile", Kind.TEXT, "/var/run/docker.pid", "Path to use for daemon PID file", short="p"),
    _option("raw-logs", Kind.BOOLEAN, False, "Full timestamps without ANSI coloring"),
    _option("registry-mirrors", Kind.LIST, (), "Preferred Docker registry mirror", flag="registry-mirror"),
    _option("restart", Kind.BOOLEAN, True, short="r", hidden=True),
    _option("rootless", Kind.BOOLEAN, False, "Enable rootless mode; typically used with RootlessKit",
            refused="the daemon needs root"),
    _option("runtimes", Kind.RUNTIMES, {}, "Register an additional OCI compatible runtime", flag="add-runtime"),
    _option("seccomp-profile", Kind.TEXT, SECCOMP_BUILTIN,
            'Path to seccomp profile. Set to "unconfined" to disable the default seccomp profile'),
    _option("selinux-enabled", Kind.BOOLEAN, False, "Enable selinux support", refused="SELinux labels are not set"),
    _option("shutdown-timeout", Kind.INTEGER, 15, "Set the default shutdown timeout"),
    _option("storage-driver", Kind.TEXT, "", "Storage driver to use", short="s"),
    _option("storage-opts", Kind.LIST, (), "Storage driver options", flag="storage-opt", refused="overlay2 takes none"),
    _option("swarm-default-advertise-addr", Kind.TEXT, "", "Set default address or interface for swarm advertised address",
            refused=_SWARM),
    _option("tls", Kind.BOOLEAN, False, "Use TLS; implied by --tlsverify"),
    _option("tlscacert", Kind.TEXT, "", "Trust certs signed only by this CA"),
    _option("tlscert", Kind.TEXT, "", "Path to TLS certificate file"),
    _option("tlskey", Kind.TEXT, "", "Path to TLS key file"),
    _option("tlsverify", Kind.BOOLEAN, False, "Use TLS and verify the remote"),
    _option("userland-proxy", Kind.BOOLEAN, True, "Use userland proxy for loopback traffic"),
    _option("userland-proxy-path", Kind.TEXT, "", "Path to the userland proxy binary", refused="published ports need no proxy"),
    _option("userns-remap", Kind.TEXT, "", "User/Group setting for user namespaces", refused="containers have the host's users"),
)  # fmt: skip

BY_KEY: Final = {each.key: each for each in OPTIONS}
BY_FLAG: Final = {each.flag: each for each in OPTIONS if each.flag}
BY_SHORT: Final = {each.short: each for each in OPTIONS if each.short}

# An object in the file whose members are options of their own.
NESTED: Final = "proxies"
# Options that may be both in the file and on the command line: they are put together.
MERGED: Final = frozenset({"runtimes"})
# Accepted and without any effect, as in the original.
IGNORED: Final = frozenset({"allow-nondistributable-artifacts", "deprecated-key-path"})
