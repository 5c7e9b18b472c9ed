"""Log drivers: which options they take, and what that means for the shim, which writes the logs."""

from __future__ import annotations

import re
from typing import Any, Final

from dockerd.containers.model import Container
from wire.errors import InvalidArgument

_OPTIONS: Final = frozenset({"max-size", "max-file"})
_SIZES: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size(text: str) -> int:
    """``10m`` in bytes; raises InvalidArgument."""
    found = re.fullmatch(r"(\d+)([bkmg]?)b?", text.strip().lower())
    if not found:
        raise InvalidArgument(f'invalid size: "{text}"')
    return int(found[1]) * _SIZES[found[2]]


def validate(host: dict[str, Any]) -> None:
    """Raises InvalidArgument for a driver or an option that does not exist."""
    log = host.get("LogConfig") or {}
    driver = log.get("Type") or "json-file"
    if driver not in {"json-file", "none"}:
        raise InvalidArgument(f"logger: no log driver named '{driver}' is registered")
    options = log.get("Config") or {}
    for key in options:
        if key not in _OPTIONS:
            raise InvalidArgument(f"unknown log opt '{key}' for {driver} log driver")
    if "max-size" in options:
        size(options["max-size"])
    if "max-file" in options and (
        not str(options["max-file"]).isdigit() or int(options["max-file"]) < 1
    ):
        raise InvalidArgument("max-file cannot be less than 1")


def output_uri(container: Container, attach_path: str) -> str:
    """Where the shim shall write a container's output, and take clients."""
    if container.log_driver == "none":
        return f"attach://?attach={attach_path}"
    options = (container.host.get("LogConfig") or {}).get("Config") or {}
    limit = size(options["max-size"]) if "max-size" in options else 0
    files = options.get("max-file", 1)
    return (
        f"json-file://{container.log_path}?max-size={limit}&max-file={files}&attach={attach_path}"
    )
