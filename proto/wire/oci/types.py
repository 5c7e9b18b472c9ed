"""The types of what an image's config has, checked before anybody uses them: images are made by strangers.

Only what an engine reads is checked; null is as good as absent, as in Go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from wire.errors import InvalidArgument

_Check = Callable[[Any], bool]
_NEVER: Final = "0001-01-01T00:00:00Z"
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_FINER: Final = re.compile(r"(\.\d{6})\d+")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _time(value: Any) -> bool:
    """RFC 3339, or nothing."""
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value or _NEVER):
        return False
    try:
        datetime.fromisoformat(_FINER.sub(r"\1", value or _NEVER)).timestamp()
    except (ValueError, OverflowError):
        return False
    return True


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _command(value: Any) -> bool:
    return isinstance(value, str) or _texts(value)


def _names(value: Any) -> bool:
    """An object whose names alone count."""
    return isinstance(value, dict) and all(
        each is None or isinstance(each, dict) for each in value.values()
    )


def _labels(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(each is None or isinstance(each, dict) for each in value)


_IMAGE: Final[Mapping[str, _Check]] = {
    "architecture": _text, "os": _text, "variant": _text, "os.version": _text, "os.features": _texts,
    "created": _time, "author": _text, "comment": _text, "docker_version": _text, "container": _text,
    "container_config": _object, "config": _object, "rootfs": _object, "history": _objects,
}  # fmt: skip
_CONFIG: Final[Mapping[str, _Check]] = {
    "User": _text, "Env": _texts, "Entrypoint": _command, "Cmd": _command, "WorkingDir": _text, "Labels": _labels,
    "ExposedPorts": _names, "Volumes": _names, "StopSignal": _text, "StopTimeout": _number, "Shell": _texts,
    "OnBuild": _texts, "Healthcheck": _object, "ArgsEscaped": _flag, "Hostname": _text, "Domainname": _text,
}  # fmt: skip
_HEALTH: Final[Mapping[str, _Check]] = {
    "Test": _texts, "Interval": _number, "Timeout": _number, "StartPeriod": _number, "StartInterval": _number,
    "Retries": _number,
}  # fmt: skip
_ROOTFS: Final[Mapping[str, _Check]] = {"type": _text, "diff_ids": _texts}
_STEP: Final[Mapping[str, _Check]] = {
    "created": _time, "created_by": _text, "author": _text, "comment": _text, "empty_layer": _flag,
}  # fmt: skip


def check_config(document: dict[str, Any]) -> None:
    """An image's config; raises InvalidArgument that names the field. Steps of the history that are null become empty."""
    _check("", _IMAGE, document)
    config = document.get("config") or {}
    _check("config.", _CONFIG, config)
    _check("config.Healthcheck.", _HEALTH, config.get("Healthcheck") or {})
    _check("rootfs.", _ROOTFS, document.get("rootfs") or {})
    history = document.get("history")
    if history:
        document["history"] = [each or {} for each in history]
        for each in document["history"]:
            _check("history.", _STEP, each)


def _check(where: str, fields: Mapping[str, _Check], document: Mapping[str, Any]) -> None:
    for name, check in fields.items():
        value = document.get(name)
        if value is not None and not check(value):
            raise InvalidArgument(f"image config has a malformed {where}{name}")
