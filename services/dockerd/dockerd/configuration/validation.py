"""What values of options may be, whoever gave them; the sentences are the original's where it has one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_address,
)
from typing import Any, Final

from dockerd.api_version import MAXIMUM, MINIMUM
from dockerd.config import DEFAULT_RUNTIME, SECCOMP_BUILTIN
from dockerd.configuration.options import BY_KEY
from dockerd.configuration.values import shown
from dockerd.containers import hostconfig, log_config
from dockerd.images.registries import parse_settings
from dockerd.spec import seccomp
from wire.errors import EngineError, InvalidArgument

_LEVELS: Final = frozenset({"panic", "fatal", "error", "warn", "info", "debug", "trace"})
_DOMAIN: Final = re.compile(
    r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*\.?"
)
_RESERVED: Final = ("com.docker.", "io.docker.", "org.dockerproject.")
_COUNTS: Final = {
    "mtu": "invalid default MTU",
    "max-concurrent-downloads": "invalid max concurrent downloads",
    "max-concurrent-uploads": "invalid max concurrent uploads",
    "max-download-attempts": "invalid max download attempts",
}
_DRIVERS: Final = frozenset({"", "overlay2", "overlayfs"})
_FEATURES: Final = {"containerd-snapshotter": True, "cdi": False, "buildkit": False}
_CORS: Final = (
    'DEPRECATED: The "api-cors-header" config parameter and the dockerd "--api-cors-header" option have been removed;'
    " use a reverse proxy if you need CORS headers"
)
_NO_BRIDGE: Final = "none"


def check(found: Mapping[str, Any]) -> None:
    """All options together, each with a value or its default; raises InvalidArgument for the first that will not do."""
    _check_words(found)
    for key, words in _COUNTS.items():
        if found[key] < 0:
            raise InvalidArgument(f"{words}: {found[key]}")
    parse_settings(found["registry-mirrors"], found["insecure-registries"])
    if found["api-cors-header"]:
        raise InvalidArgument(_CORS)
    cgroup_driver(found["exec-opts"])
    _check_defaults(found)
    _check_addresses(found)
    _check_runtimes(found["runtimes"], found["default-runtime"])
    _refuse(found)


def _check_words(found: Mapping[str, Any]) -> None:
    level, style = found["log-level"], found["log-format"]
    if level and level.lower() not in _LEVELS:
        raise InvalidArgument(f"invalid logging level: {level}")
    if style not in {"", "text", "json"}:
        raise InvalidArgument(f"invalid log format: {style}")
    for domain in found["dns-search"]:
        text = domain.strip(" ")
        if text != "." and not (_DOMAIN.fullmatch(text) and re.search("[a-zA-Z]", text)):
            raise InvalidArgument(f"{domain} is not a valid domain")
    for label in found["labels"]:
        if "=" not in label:
            raise InvalidArgument(f"bad attribute format: {label}")
        if label.lower().startswith(_RESERVED):
            raise InvalidArgument(
                f"label {label} is not allowed: the namespaces com.docker.*, io.docker.*, and org.dockerproject.* are"
                " reserved for internal use"
            )


def labels(given: Iterable[str]) -> tuple[str, ...]:
    """Each once; raises InvalidArgument for two values of one key."""
    found: dict[str, str] = {}
    for label in given:
        key, _, value = label.partition("=")
        if found.get(key, value) != value:
            raise InvalidArgument(f"conflict labels for {key}={value} and {key}={found[key]}")
        found[key] = value
    return tuple(f"{key}={value}" for key, value in found.items())


def cgroup_driver(given: Iterable[str]) -> str:
    """The cgroup driver that `--exec-opt` names; raises InvalidArgument."""
    driver = ""
    for text in given:
        key, separator, value = text.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not separator or not key or not value:
            raise InvalidArgument(f"invalid exec-opt ({text}): must be formatted 'opt=value'")
        if key == "isolation":
            raise InvalidArgument(
                f"invalid exec-opt ({text}): option '{key}' is only supported on windows"
            )
        if key != "native.cgroupdriver":
            raise InvalidArgument(f"invalid exec-opt ({text}): unknown option: '{key}'")
        driver = value
    if driver == "systemd":
        raise InvalidArgument(
            "exec-opt native.cgroupdriver=systemd is not supported: cgroups are made by cgroupfs"
        )
    if driver not in {"", "cgroupfs"}:
        raise InvalidArgument(f"native.cgroupdriver option {driver} not supported")
    return driver


def _check_defaults(found: Mapping[str, Any]) -> None:
    ipc, cgroup = found["default-ipc-mode"], found["default-cgroupns-mode"]
    hint = 'use "shareable" or "private"'
    if ipc in {"host", "none"} or ipc.startswith("container:"):
        raise InvalidArgument(f'IPC mode "{ipc}" is not supported as default value; {hint}')
    if ipc not in {"", "private", "shareable"}:
        raise InvalidArgument(f"default IPC mode setting ({ipc}) is invalid; {hint}")
    if cgroup not in {"", "host", "private"}:
        raise InvalidArgument(
            f'invalid default cgroup namespace ({cgroup}): use "host" or "private"'
        )
    log_config.validate(
        {"LogConfig": {"Type": found["log-driver"], "Config": dict(found["log-opts"])}}
    )
    seccomp_profile(found["seccomp-profile"])


def seccomp_profile(name: str) -> str:
    """The text of the default profile: empty for ours, ``unconfined`` for none; raises InvalidArgument."""
    if name in {"", SECCOMP_BUILTIN}:
        return ""
    if name == "unconfined":
        return name
    try:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        seccomp.parse(text)
    except OSError as error:
        raise InvalidArgument(
            f"opening seccomp profile ({name}) failed: open {name}: {(error.strerror or '').lower()}"
        ) from None
    return text


def _check_addresses(found: Mapping[str, Any]) -> None:
    for text in (*found["dns"], *found["host-gateway-ips"], found["ip"]):
        _parsed("IP address is not correctly formatted", text, ip_address)
    versions = [ip_address(each).version for each in found["host-gateway-ips"]]
    for version in (4, 6):
        if versions.count(version) > 1:
            raise InvalidArgument(f"only one IPv{version} host gateway IP address can be specified")
    for key, parse in (
        ("bip", IPv4Interface),
        ("bip6", IPv6Interface),
        ("fixed-cidr", IPv4Network),
        ("fixed-cidr-v6", _subnet_v6),
    ):
        if found[key]:
            _parsed("invalid CIDR address", found[key], parse)
    _check_ranges(found)
    address, separator, port = found["metrics-addr"].rpartition(":")
    if found["metrics-addr"] and (not separator or not port.isdigit() or int(port) > 0xFFFF):
        raise InvalidArgument(
            f"invalid metrics address {found['metrics-addr']}: HOST:PORT is needed"
        )
    if "[" in address and not address.endswith("]"):
        raise InvalidArgument(f"invalid metrics address {found['metrics-addr']}")
    if found["bridge"] == _NO_BRIDGE:
        raise InvalidArgument("bridge=none is not supported: there is always a default bridge")


def _subnet_v6(text: str) -> IPv6Network:
    return IPv6Network(text, strict=False)


def _check_ranges(found: Mapping[str, Any]) -> None:
    """The range of the default bridge's containers lies in its subnet, and of IPv6 it is a unicast one."""
    if not found["fixed-cidr-v6"]:
        return
    fixed = _subnet_v6(found["fixed-cidr-v6"])
    link_local = IPv6Network("fe80::/64")
    if fixed.is_multicast:
        raise InvalidArgument(f"invalid fixed-cidr-v6: multicast subnet '{fixed}' is not allowed")
    if fixed != link_local and fixed.overlaps(link_local):
        raise InvalidArgument(
            f"invalid fixed-cidr-v6: '{fixed}' clashes with the Link-Local prefix 'fe80::/64'"
        )
    if found["bip6"] and not fixed.subnet_of(IPv6Interface(found["bip6"]).network):
        raise InvalidArgument(f"fixed-cidr-v6 {fixed} is not within {found['bip6']}")


def _parsed(words: str, text: str, parse: Any) -> None:
    try:
        parse(text)
    except ValueError:
        raise InvalidArgument(f"{words}: {text}") from None


def _check_runtimes(runtimes: Mapping[str, Mapping[str, Any]], default: str) -> None:
    for name, runtime in runtimes.items():
        if name == DEFAULT_RUNTIME:
            raise InvalidArgument(f"runtime name '{name}' is reserved")
        if runtime.get("runtimeType"):
            if runtime.get("path"):
                raise InvalidArgument(
                    f"runtime {name}: cannot configure both path and runtimeType for the same runtime"
                )
            raise InvalidArgument(
                f"runtime {name}: runtimeType is not supported: every container has the shim of this engine"
            )
        if runtime.get("options"):
            raise InvalidArgument(f"runtime {name}: options cannot be used with a path runtime")
        if not runtime.get("path"):
            raise InvalidArgument(
                f"runtime {name}: either a runtimeType or a path must be configured"
            )
    if default not in {"", *hostconfig.STOCK_RUNTIMES, *runtimes}:
        raise InvalidArgument(f"specified default runtime '{default}' does not exist")


def _refuse(found: Mapping[str, Any]) -> None:
    """What would be ignored otherwise."""
    for key, value in found.items():
        option = BY_KEY[key]
        if option.refused and value != option.default:
            raise InvalidArgument(f"{key}={shown(value)} is not supported: {option.refused}")
    if found["storage-driver"] not in _DRIVERS:
        raise InvalidArgument(
            f"error initializing graphdriver: driver not supported: {found['storage-driver']}"
        )
    for name, value in found["features"].items():
        if name not in _FEATURES:
            raise InvalidArgument(f"feature {name} is not supported")
        if value != _FEATURES[name]:
            raise InvalidArgument(f"feature {name}={shown(value)} is not supported")


def minimum_api_version(text: str) -> str:
    """DOCKER_MIN_API_VERSION; raises InvalidArgument."""
    if not text:
        return MINIMUM
    try:
        if text[:1] in "vV":
            raise InvalidArgument('API version must be provided without "v" prefix')
        if not re.fullmatch(r"\d+\.\d+", text) or _number(text) < _number(MINIMUM):
            raise InvalidArgument(f"minimum supported API version is {MINIMUM}: {text}")
        if _number(text) > _number(MAXIMUM):
            raise InvalidArgument(f"maximum supported API version is {MAXIMUM}: {text}")
    except EngineError as error:
        raise InvalidArgument(f"invalid DOCKER_MIN_API_VERSION: {error.message}") from None
    return text


def _number(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
