"""``daemon.json``: read, its keys known, none of them given as a flag, too."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from typing import Any, Final

from dockerd.configuration import values
from dockerd.configuration.options import BY_KEY, IGNORED, MERGED, NESTED
from wire.errors import InvalidArgument
from wire.registry.proxies import masked

_ENCODINGS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SECRET: Final = frozenset({"http-proxy", "https-proxy"})


def read(path: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the file by key, beside ``flags``, what was given on the command line.

    Raises OSError if it cannot be read, InvalidArgument in the original's words for what it says.
    """
    with open(path, "rb") as file:
        text = _decoded(file.read()).strip()
    if not text:
        return {}
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument(
            f"json: cannot unmarshal {type(document).__name__} into Go value of type map[string]interface {{}}"
        )
    found = _flattened(document)
    _refuse_unknown(found)
    _refuse_conflicts(found, flags)
    return {
        key: values.of_json(BY_KEY[key], value)
        for key, value in found.items()
        if key not in IGNORED
    }


def _decoded(data: bytes) -> str:
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"failed to decode configuration JSON at offset {error.start}: encoding: invalid UTF-8"
        ) from None


def _flattened(document: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in document.items() if key != NESTED}
    inner = document.get(NESTED)
    if inner is not None and not isinstance(inner, dict):
        raise InvalidArgument(
            f"json: cannot unmarshal {type(inner).__name__} into Go struct field Config.{NESTED} of type config.Proxies"
        )
    return {**found, **(inner or {})}


def _refuse_unknown(found: Mapping[str, Any]) -> None:
    unknown = [key for key in found if key not in BY_KEY]
    if unknown:
        raise InvalidArgument(
            f"the following directives don't match any configuration option: {', '.join(unknown)}"
        )


def _refuse_conflicts(found: Mapping[str, Any], flags: Mapping[str, Any]) -> None:
    problems = []
    if "host-gateway-ip" in found and "host-gateway-ips" in found:
        problems.append(
            "host-gateway-ip and host-gateway-ips must not both be specified in the config file"
        )
    conflicts = [
        f"{key}: (from flag: {_shown(key, flags[key])}, from file: {_shown(key, found[key])})"
        for key in sorted(flags)
        if key in found and key not in MERGED
    ]
    if conflicts:
        problems.append(
            "the following directives are specified both as a flag and in the configuration file: "
            + ", ".join(conflicts)
        )
    if problems:
        raise InvalidArgument("\n".join(problems))


def _shown(key: str, value: Any) -> str:
    text = values.shown(value)
    return masked(text) if key in _SECRET else text
