"""Mounts as clients write them, `-v` and `--mount`, as one record; checked with Docker's words."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Final

from wire.errors import InvalidArgument

PROPAGATION: Final = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
DEFAULT_PROPAGATION: Final = "rprivate"
_MODE_GROUPS: Final = (
    frozenset({"ro", "rw"}),
    frozenset({"z", "Z"}),
    PROPAGATION,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated", "default"}),
)
_OPTION_KEYS: Final = {
    "bind": "BindOptions",
    "volume": "VolumeOptions",
    "tmpfs": "TmpfsOptions",
    "image": "ImageOptions",
}
_TMPFS_WORDS: Final = frozenset({"exec", "noexec"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSpec:
    """One mount; ``source`` is a path, a volume's name, or empty."""

    kind: str
    source: str
    destination: str
    writable: bool = True
    mode: str = ""
    propagation: str = ""
    copy: bool = True
    create_source: bool = False
    recursive: bool = True
    read_only: str = ""
    """``non-recursive`` or ``force-recursive`` where the default is not wanted."""
    subpath: str = ""
    driver: str = ""
    """Of a volume; without one, the driver that has it, or the local one."""
    driver_options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    tmpfs_options: tuple[str, ...] = ()


def valid_mode(mode: str) -> bool:
    """Whether a mode such as ``ro,z`` has at most one word of each kind, and no other."""
    words = mode.split(",") if mode else []
    return all(any(word in group for group in _MODE_GROUPS) for word in words) and all(
        sum(word in group for word in words) <= 1 for group in _MODE_GROUPS
    )


def parse_bind(text: str, driver: str) -> MountSpec:
    """``[source:]destination[:mode]``; raises InvalidArgument."""
    parts = text.split(":", 3)
    invalid = f"invalid volume specification: '{text}'"
    if not parts[0] or len(parts) > 3 or (len(parts) == 2 and valid_mode(parts[1])):
        raise InvalidArgument(invalid)
    source, destination = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    mode = parts[2] if len(parts) == 3 else ""
    if not valid_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    words = mode.split(",")
    propagation = next((word for word in words if word in PROPAGATION), "")
    bind = source.startswith("/")
    kind = "bind" if bind else "volume"
    try:
        destination = _destination(destination)
        if not bind and propagation:
            raise InvalidArgument("field BindOptions must not be specified")
    except InvalidArgument as error:
        raise InvalidArgument(
            f'{invalid}: invalid mount config for type "{kind}": {error.message}'
        ) from None
    return MountSpec(
        kind=kind,
        source=os.path.normpath(source) if bind else source,
        destination=destination,
        writable="ro" not in words,
        mode=mode,
        propagation=(propagation or DEFAULT_PROPAGATION) if bind else "",
        copy="nocopy" not in words,
        # Docker makes the directory of a -v; a --mount must find it.
        create_source=bind,
        driver="" if bind else driver,
    )


def parse_mount(each: dict[str, Any]) -> MountSpec:
    """An entry of HostConfig.Mounts; raises InvalidArgument."""
    kind = each.get("Type") or ""
    try:
        if not each.get("Target"):
            raise InvalidArgument("field Target must not be empty")
        destination = _destination(each["Target"])
        _refuse_foreign(kind, each)
        match kind:
            case "bind":
                return _bind(each, destination)
            case "volume":
                return _volume(each, destination)
            case "tmpfs":
                return _tmpfs(each, destination)
            case "image":
                return _image(each, destination)
            case "npipe" | "cluster":
                raise InvalidArgument("mount type is not supported yet")
            case _:
                raise InvalidArgument("mount type unknown")
    except InvalidArgument as error:
        raise InvalidArgument(f'invalid mount config for type "{kind}": {error.message}') from None


def _destination(path: str) -> str:
    clean = os.path.normpath(path)
    if clean in {"/", "//"}:
        raise InvalidArgument("invalid specification: destination can't be '/'")
    if not path.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{path}' mount path must be absolute")
    return clean


def _refuse_foreign(kind: str, each: dict[str, Any]) -> None:
    for other, key in _OPTION_KEYS.items():
        if other != kind and each.get(key) is not None:
            raise InvalidArgument(f"field {key} must not be specified")
    if each.get("ClusterOptions") is not None:
        raise InvalidArgument("field ClusterOptions must not be specified")


def _bind(each: dict[str, Any], destination: str) -> MountSpec:
    source, options = each.get("Source") or "", each.get("BindOptions") or {}
    if not source:
        raise InvalidArgument("field Source must not be empty")
    if not source.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{source}' mount path must be absolute")
    propagation = options.get("Propagation") or DEFAULT_PROPAGATION
    if propagation not in PROPAGATION:
        raise InvalidArgument(f"invalid propagation mode: {propagation}")
    create = bool(options.get("CreateMountpoint"))
    if not create and not os.path.exists(source):
        raise InvalidArgument(f"bind source path does not exist: {source}")
    read_only = ""
    if options.get("ReadOnlyNonRecursive"):
        read_only = "non-recursive"
    if options.get("ReadOnlyForceRecursive"):
        if read_only:
            raise InvalidArgument(
                "ReadOnlyNonRecursive and ReadOnlyForceRecursive are mutually exclusive"
            )
        read_only = "force-recursive"
    return MountSpec(
        kind="bind",
        source=os.path.normpath(source),
        destination=destination,
        writable=not each.get("ReadOnly"),
        propagation=propagation,
        create_source=create,
        recursive=not options.get("NonRecursive"),
        read_only=read_only,
    )


def _volume(each: dict[str, Any], destination: str) -> MountSpec:
    source, options = each.get("Source") or "", each.get("VolumeOptions") or {}
    subpath = options.get("Subpath") or ""
    if subpath and not source:
        raise InvalidArgument("must not set Subpath when using anonymous volumes")
    _check_subpath(subpath)
    if each.get("ReadOnly") and not source:
        raise InvalidArgument("must not set ReadOnly mode when using anonymous volumes")
    driver = options.get("DriverConfig") or {}
    return MountSpec(
        kind="volume",
        source=source,
        destination=destination,
        writable=not each.get("ReadOnly"),
        copy=not options.get("NoCopy"),
        subpath=subpath,
        driver=driver.get("Name") or "",
        driver_options=driver.get("Options") or {},
        labels=options.get("Labels") or {},
    )


def _image(each: dict[str, Any], destination: str) -> MountSpec:
    if not each.get("Source"):
        raise InvalidArgument("field Source must not be empty")
    subpath = (each.get("ImageOptions") or {}).get("Subpath") or ""
    _check_subpath(subpath)
    return MountSpec(
        kind="image",
        source=each["Source"],
        destination=destination,
        writable=False,
        subpath=subpath,
    )


def _check_subpath(subpath: str) -> None:
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidArgument("subpath must be a relative path within the volume")


def _tmpfs(each: dict[str, Any], destination: str) -> MountSpec:
    options = each.get("TmpfsOptions") or {}
    if each.get("Source"):
        raise InvalidArgument("field Source must not be specified")
    words = []
    for option in options.get("Options") or []:
        if len(option) not in {1, 2}:
            raise InvalidArgument("invalid option array length")
        if option[0] not in _TMPFS_WORDS:
            raise InvalidArgument(f"invalid option: {option[0]}")
        words.append("=".join(option))
    if options.get("Mode"):
        words.append(f"mode={options['Mode']:o}")
    if options.get("SizeBytes"):
        words.append(f"size={options['SizeBytes']}")
    return MountSpec(
        kind="tmpfs",
        source="",
        destination=destination,
        writable=not each.get("ReadOnly"),
        tmpfs_options=tuple(words),
    )


def parse_volumes_from(text: str) -> tuple[str, bool]:
    """``container[:mode]``: the container, and whether its mounts may be written to; raises InvalidArgument."""
    if not text:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    name, _, mode = text.partition(":")
    words = mode.split(",")
    if not valid_mode(mode) or "nocopy" in words or not PROPAGATION.isdisjoint(words):
        raise InvalidArgument(f"invalid mode: {mode}")
    return name, "ro" not in words
