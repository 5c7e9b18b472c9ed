"""`config.toml` of the original, versions 2 and 3: what of it means something here, and the same written out.

A key that is not known is named in the log and passed over, as the original does it (its configuration holds sections of plugins
that need not be there). A known key that asks for something we do not do is refused by its name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from wire.errors import InvalidArgument
from wire.grpc_adapter import MAX_MESSAGE

HOSTS: Final = "/etc/containerd/certs.d:/etc/docker/certs.d"
_SCHEDULER: Final = ("plugins", "io.containerd.gc.v1.scheduler")
_OVERLAY: Final = ("plugins", "io.containerd.snapshotter.v1.overlayfs", "root_path")
_NATIVE: Final = ("plugins", "io.containerd.snapshotter.v1.native", "root_path")
_TRANSFER: Final = ("plugins", "io.containerd.transfer.v1.local", "config_path")
GRPC: Final = "io.containerd.grpc.v1."
# What can be done without: services, and a snapshotter that nothing else asks for.
_OPTIONAL: Final = frozenset(
    {
        *(
            f"{GRPC}{name}"
            for name in (
                "containers", "content", "diff", "events", "healthcheck", "images", "introspection", "leases",
                "mounts", "namespaces", "sandbox-controllers", "sandboxes", "snapshots", "streaming", "tasks",
                "transfer", "version",
            )
        ),
        "io.containerd.snapshotter.v1.native",
    }
)  # fmt: skip
# Others of the original's plugins a file may switch off because they are not here anyway.
_ABSENT: Final = re.compile(
    r"(io\.containerd\.grpc\.v1\.|io\.containerd\.cri\.v1\.)?(cri|images|runtime)"
    r"|(io\.containerd\.snapshotter\.v1\.)?(aufs|btrfs|devmapper|zfs|blockfile|erofs|stargz)"
    r"|(io\.containerd\.tracing\.processor\.v1\.)?otlp|(io\.containerd\.nri\.v1\.)?nri"
)
_UNIT: Final[Mapping[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the file can say; an empty string where something else decides. Delays are Go durations."""

    root: str = "/var/lib/containerd"
    state: str = "/run/containerd"
    address: str = "/run/containerd/containerd.sock"
    uid: int = 0
    gid: int = 0
    max_recv: int = MAX_MESSAGE
    max_send: int = MAX_MESSAGE
    ttrpc_address: str = ""
    ttrpc_uid: int = 0
    ttrpc_gid: int = 0
    log_level: str = "info"
    gc_pause: float = 0.02
    gc_deletions: int = 0
    gc_mutations: int = 100
    gc_delay: str = "0s"
    gc_startup: str = "100ms"
    overlay_root: str = ""
    native_root: str = ""
    hosts_dir: str = HOSTS
    disabled: tuple[str, ...] = ()


_KEYS: Final[Mapping[tuple[str, ...], str]] = {
    ("root",): "root",
    ("state",): "state",
    ("grpc", "address"): "address",
    ("grpc", "uid"): "uid",
    ("grpc", "gid"): "gid",
    ("grpc", "max_recv_message_size"): "max_recv",
    ("grpc", "max_send_message_size"): "max_send",
    ("ttrpc", "address"): "ttrpc_address",
    ("ttrpc", "uid"): "ttrpc_uid",
    ("ttrpc", "gid"): "ttrpc_gid",
    ("debug", "level"): "log_level",
    (*_SCHEDULER, "pause_threshold"): "gc_pause",
    (*_SCHEDULER, "deletion_threshold"): "gc_deletions",
    (*_SCHEDULER, "mutation_threshold"): "gc_mutations",
    (*_SCHEDULER, "schedule_delay"): "gc_delay",
    (*_SCHEDULER, "startup_delay"): "gc_startup",
    _OVERLAY: "overlay_root",
    _NATIVE: "native_root",
    _TRANSFER: "hosts_dir",
}
# Where CRI keeps the same folder, in version 2 and 3.
_ALIASES: Final[Mapping[tuple[str, ...], str]] = {
    ("plugins", "io.containerd.grpc.v1.cri", "registry", "config_path"): "hosts_dir",
    ("plugins", "io.containerd.cri.v1.images", "registry", "config_path"): "hosts_dir",
}
_UNSUPPORTED: Final = frozenset(
    {
        ("temp",),
        ("plugin_dir",),
        ("oom_score",),
        ("imports",),
        ("required_plugins",),
        ("cgroup", "path"),
        ("debug", "address"),
        ("debug", "format"),
        ("grpc", "tcp_address"),
        ("metrics", "address"),
    }
)


def parse(text: str) -> tuple[Settings, Sequence[str]]:
    """What a file says, and the keys of it that mean nothing here; raises InvalidArgument, which names the key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"failed to unmarshal TOML: {error}") from None
    version = document.pop("version", 1)
    if version not in (2, 3) or isinstance(version, bool):
        raise InvalidArgument(f"expected containerd config version 2 or 3, got {version!r}")
    found: dict[str, Any] = {}
    unknown = []
    for path, value in _leaves(document, ()):
        name = ".".join(path)
        if path == ("disabled_plugins",):
            found["disabled"] = _disabled(value)
        elif path in _UNSUPPORTED:
            if value:
                raise InvalidArgument(f"{name} = {value!r} is not supported")
        elif field := _KEYS.get(path) or _ALIASES.get(path):
            _check_type(name, field, value)
            # An empty string is a key that is not set.
            if value != "":
                found[field] = value
        else:
            unknown.append(name)
    settings = Settings(**found)
    seconds(settings.gc_delay, "schedule_delay")
    seconds(settings.gc_startup, "startup_delay")
    return settings, unknown


def seconds(duration: str, key: str) -> float:
    """A Go duration such as ``1m30s``; raises InvalidArgument, which names the scheduler's key."""
    if duration == "0":
        return 0.0
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise InvalidArgument(f'{".".join((*_SCHEDULER, key))}: invalid duration "{duration}"')
    return sum(float(number) * _UNIT[unit] for number, unit in parts)


def write(settings: Settings) -> str:
    """A file of version 3 that says the same."""
    lines = ["version = 3"]
    if settings.disabled:
        lines.append(f"disabled_plugins = [{', '.join(map(_quote, settings.disabled))}]")
    table: tuple[str, ...] = ()
    for path, field in _KEYS.items():
        if path[:-1] != table:
            table = path[:-1]
            lines += ["", f"[{'.'.join(_key(part) for part in table)}]"]
        value = getattr(settings, field)
        lines.append(f"{path[-1]} = {_quote(value) if isinstance(value, str) else value}")
    return "\n".join(lines) + "\n"


def _leaves(
    table: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _check_type(name: str, field: str, value: object) -> None:
    wanted = type({each.name: each.default for each in fields(Settings)}[field])
    if wanted is float and type(value) is int:
        return
    if type(value) is not wanted:
        raise InvalidArgument(f"{name}: expected {wanted.__name__}, got {value!r}")
    if isinstance(value, int) and not 0 <= value < 1 << 31:
        raise InvalidArgument(f"{name}: {value} is out of range")


def _disabled(value: object) -> tuple[str, ...]:
    """Those of the plugins that a file switches off which are here."""
    if not isinstance(value, list):
        raise InvalidArgument(f"disabled_plugins: expected list, got {value!r}")
    found = []
    for each in value:
        if not isinstance(each, str):
            raise InvalidArgument(f"disabled_plugins: expected string, got {each!r}")
        if each in _OPTIONAL:
            found.append(each)
        elif not _ABSENT.fullmatch(each):
            raise InvalidArgument(f"disabled_plugins: {each!r} cannot be disabled")
    return tuple(found)


def _key(part: str) -> str:
    return part if re.fullmatch(r"[\w-]+", part, re.ASCII) else _quote(part)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'
