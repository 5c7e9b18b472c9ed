"""The log driver of a container: what its shim is told, which writes the log, and where it can be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from dockerd.containers.log_attributes import attributes, journal_key, tag
from dockerd.containers.model import Container
from dockerd.logdrivers import options as log_options
from dockerd.logdrivers import syslog
from dockerd.logdrivers.entry import Format
from dockerd.logdrivers.jsonfile import JsonFile
from dockerd.logdrivers.localfile import LocalFile
from dockerd.logdrivers.options import truth
from wire.errors import Internal

_JOURNAL: Final = "/run/systemd/journal/socket"
_TAG: Final = "{{.ID}}"


def validate(host: dict[str, Any]) -> None:
    """Raises InvalidArgument for a driver or an option that does not exist."""
    log = host.get("LogConfig") or {}
    log_options.validate(log.get("Type") or "json-file", log.get("Config") or {})


def readable(container: Container) -> tuple[str, Format] | None:
    """Where the log can be read, and how; None for a driver that keeps nothing here."""
    match container.log_driver:
        case "json-file":
            return container.log_path, JsonFile()
        case "local":
            return _local_path(container), LocalFile()
        case "none":
            return None
        case _:
            return (_cache_path(container), LocalFile()) if _is_cached(container) else None


def output_uri(container: Container, attach_path: str, journal: str = _JOURNAL) -> str:
    """Where the shim shall write a container's output, and take clients. Raises Internal as a driver that cannot be had."""
    options = container.log_options
    path, values = "", dict[str, str | int]()
    match container.log_driver:
        case "none":
            return f"attach://?{urlencode({'attach': attach_path})}"
        case "json-file":
            path, values = container.log_path, _files(options, log_options.JSON_FILE)
            named = _attributes(container)
            if named:
                # As Go writes maps; the shim escapes the rest.
                values["attrs"] = json.dumps(
                    named, sort_keys=True, ensure_ascii=False, separators=(",", ":")
                )
        case "local":
            path, values = _local_path(container), _files(options, log_options.LOCAL)
            values["attrs"] = json.dumps(_attributes(container))
        case "journald":
            log_options.check_journal(journal)
            path, values = journal, _daemon(container)
            values["fields"] = json.dumps(_journal_fields(container))
        case "syslog":
            path, values = syslog.target(options, tag(container, _TAG))
            values |= _daemon(container)
        case other:
            raise Internal(f"logger: no log driver named '{other}' is registered")
    values["attach"] = attach_path
    return f"{container.log_driver}://{quote(path)}?{urlencode(values, quote_via=quote)}"


def _files(options: Mapping[str, str], defaults: log_options.Files) -> dict[str, str | int]:
    files = log_options.files(options, defaults)
    return {
        "max-size": files.max_size,
        "max-file": files.max_file,
        "compress": int(files.compress),
    }


def _daemon(container: Container) -> dict[str, str | int]:
    """What every driver has that sends the log elsewhere."""
    options = container.log_options
    values: dict[str, str | int] = {"mode": options.get("mode") or "blocking"}
    if "max-buffer-size" in options:
        values["max-buffer-size"] = log_options.size(options["max-buffer-size"])
    if _is_cached(container):
        values["cache"] = _cache_path(container)
        own = {
            key.removeprefix("cache-"): value
            for key, value in options.items()
            if key.startswith("cache-")
        }
        values |= {f"cache-{key}": each for key, each in _files(own, log_options.LOCAL).items()}
        values["attrs"] = json.dumps(_attributes(container))
    return values


def _attributes(container: Container) -> dict[str, str]:
    named = attributes(container)
    if container.log_options.get("tag"):
        named["tag"] = tag(container, "")
    return named


def _journal_fields(container: Container) -> dict[str, str]:
    name = tag(container, _TAG)
    return {
        "CONTAINER_ID": container.container_id[:12],
        "CONTAINER_ID_FULL": container.container_id,
        "CONTAINER_NAME": container.name,
        "CONTAINER_TAG": name,
        "IMAGE_NAME": container.image_name,
        "SYSLOG_IDENTIFIER": name,
        **{
            field: value
            for key, value in attributes(container).items()
            if (field := journal_key(key))
        },
    }


def _is_cached(container: Container) -> bool:
    return not truth(container.log_options.get("cache-disabled") or "false")


def _local_path(container: Container) -> str:
    return f"{container.directory}/local-logs/container.log"


def _cache_path(container: Container) -> str:
    return f"{container.directory}/container-cached.log"
