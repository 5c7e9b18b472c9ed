"""From the command line and the file to one configuration; again, from the file alone, for a reload."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from dockerd.config import Config, Runtime, TLSFiles
from dockerd.configuration import file, validation
from dockerd.configuration.command_line import CommandLine
from dockerd.configuration.hosts import normalised
from dockerd.configuration.options import OPTIONS
from wire.errors import InvalidArgument

_CONTAINERD: Final = "/run/containerd/containerd.sock"
_BRIDGE: Final = "docker0"
# What a reload changes, by the names in the file and in Config.
RELOADED: Final = {
    "authorization-plugins": "authorization_plugins",
    "debug": "debug",
    "default-cgroupns-mode": "cgroupns_mode",
    "default-ipc-mode": "ipc_mode",
    "default-runtime": "default_runtime",
    "default-shm-size": "shm_size",
    "features": "features",
    "insecure-registries": "insecure_registries",
    "labels": "labels",
    "max-concurrent-downloads": "max_concurrent_downloads",
    "max-concurrent-uploads": "max_concurrent_uploads",
    "max-download-attempts": "max_download_attempts",
    "registry-mirrors": "registry_mirrors",
    "runtimes": "runtimes",
    "shutdown-timeout": "shutdown_timeout",
}
# Those that go back to their defaults when the file no longer has them; the others stay as they were.
_RESET: Final = frozenset(
    {
        "authorization-plugins",
        "features",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
    }
)


def load(line: CommandLine, environment: Mapping[str, str]) -> Config:
    """The whole configuration; raises InvalidArgument in the original's words."""
    minimum = validation.minimum_api_version(environment.get("DOCKER_MIN_API_VERSION", ""))
    found = {each.key: each.default for each in OPTIONS}
    from_file = _from_file(line)
    explicit = {**from_file, **line.given}
    if "runtimes" in from_file and "runtimes" in line.given:
        explicit["runtimes"] = {**line.given["runtimes"], **from_file["runtimes"]}
    found |= explicit
    if found.pop("host-gateway-ip"):
        found["host-gateway-ips"] = (explicit["host-gateway-ip"],)
    for key in ("allow-nondistributable-artifacts", "deprecated-key-path"):
        found.pop(key)
    validation.check(found)
    tls = _tls(explicit, environment)
    return replace(
        _config(found),
        hosts=normalised(found["hosts"], tls=tls is not None),
        minimum_api_version=minimum,
        tls=tls,
        open_on_purpose="tls" in explicit or "tlsverify" in explicit,
    )


def reload(line: CommandLine, environment: Mapping[str, str], before: Config) -> Config:
    """``before`` with what the file says now, of the options that may change; raises InvalidArgument, changes nothing."""
    fresh = load(line, environment)
    try:
        given = {**_from_file(line), **line.given}
    except OSError as error:
        raise InvalidArgument(str(error)) from None
    return replace(
        before,
        **{
            attribute: getattr(fresh, attribute)
            for key, attribute in RELOADED.items()
            if key in given or key in _RESET
        },
    )


def _from_file(line: CommandLine) -> dict[str, Any]:
    path = line.config_file
    if not path:
        return {}
    try:
        return file.read(path, line.given)
    except FileNotFoundError as error:
        if not line.config_file_named:
            return {}
        problem = f"open {path}: {(error.strerror or '').lower()}"
    except OSError as error:
        problem = f"open {path}: {(error.strerror or '').lower()}"
    except InvalidArgument as error:
        problem = error.message
    raise InvalidArgument(f"unable to configure the Docker daemon with file {path}: {problem}")


def _tls(explicit: Mapping[str, Any], environment: Mapping[str, str]) -> TLSFiles | None:
    """`--tlsverify`, whatever its value, means TLS; TLS alone means that clients are verified, unless somebody says no."""
    if not ("tlsverify" in explicit or explicit.get("tls")):
        return None
    home = environment.get("DOCKER_CONFIG") or os.path.join(environment.get("HOME", "/"), ".docker")
    folder = environment.get("DOCKER_CERT_PATH") or home

    def path(key: str, name: str) -> str:
        return str(explicit.get(key) or os.path.join(folder, name))

    return TLSFiles(
        ca=path("tlscacert", "ca.pem"),
        certificate=path("tlscert", "cert.pem"),
        key=path("tlskey", "key.pem"),
        verify=bool(explicit.get("tlsverify", True)),
    )


def _config(found: Mapping[str, Any]) -> Config:
    return Config(
        data_root=os.path.abspath(found["data-root"]),
        exec_root=os.path.abspath(found["exec-root"]),
        hosts=(),
        containerd=found["containerd"] or _CONTAINERD,
        containerd_namespace=found["containerd-namespace"],
        group=found["group"],
        pidfile=found["pidfile"],
        debug=found["debug"],
        log_level=found["log-level"] or "info",
        log_format=found["log-format"],
        experimental=found["experimental"],
        labels=validation.labels(found["labels"]),
        features=found["features"],
        metrics_address=found["metrics-addr"],
        authorization_plugins=tuple(dict.fromkeys(found["authorization-plugins"])),
        shutdown_timeout=found["shutdown-timeout"],
        registry_mirrors=found["registry-mirrors"],
        insecure_registries=found["insecure-registries"],
        max_concurrent_downloads=found["max-concurrent-downloads"] or 3,
        max_concurrent_uploads=found["max-concurrent-uploads"] or 5,
        max_download_attempts=found["max-download-attempts"] or 5,
        bridge=found["bridge"] or _BRIDGE,
        bip=found["bip"] or None,
        fixed_cidr=found["fixed-cidr"] or None,
        ipv6=found["ipv6"],
        bip6=found["bip6"] or None,
        fixed_cidr_v6=found["fixed-cidr-v6"] or None,
        mtu=found["mtu"] or 1500,
        default_host_ip=found["ip"],
        icc=found["icc"],
        ip_forward=found["ip-forward"],
        ip_masq=found["ip-masq"],
        userland_proxy=found["userland-proxy"],
        dns=found["dns"],
        dns_options=found["dns-opts"],
        dns_search=found["dns-search"],
        host_gateway=",".join(found["host-gateway-ips"]) or None,
        address_pools=found["default-address-pools"],
        network_options=found["default-network-opts"],
        runtimes={
            name: Runtime(path=each["path"], arguments=tuple(each.get("runtimeArgs") or ()))
            for name, each in found["runtimes"].items()
        },
        default_runtime=found["default-runtime"],
        cgroup_parent=found["cgroup-parent"],
        init=found["init"],
        init_path=found["init-path"],
        seccomp_profile=found["seccomp-profile"],
        no_new_privileges=found["no-new-privileges"],
        shm_size=found["default-shm-size"],
        ipc_mode=found["default-ipc-mode"] or "private",
        cgroupns_mode=found["default-cgroupns-mode"],
        ulimits=tuple(found["default-ulimits"].values()),
        proxies={
            key: found[key] for key in ("http-proxy", "https-proxy", "no-proxy") if found[key]
        },
        log_driver=found["log-driver"] or "json-file",
        log_options=found["log-opts"],
    )
