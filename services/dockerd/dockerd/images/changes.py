"""The `--change` lines of `docker import`: Dockerfile instructions that only change an image's configuration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any, Final

from wire import jsontext
from wire.errors import InvalidArgument

_ALLOWED: Final = frozenset(
    {"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)  # fmt: skip
_PORT: Final = re.compile(r"\d+(?:/(?:tcp|udp|sctp))?")


def apply(config: dict[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    """A configuration with the instructions applied; raises InvalidArgument, naming the line that is wrong."""
    found = dict(config)
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        instruction, rest = word.upper(), rest.strip()
        if instruction not in _ALLOWED:
            raise InvalidArgument(f"{word.lower()} is not a valid change command")
        if not rest:
            raise InvalidArgument(f"{instruction} requires at least one argument: {line!r}")
        _apply(found, instruction, rest)
    return found


def _apply(config: dict[str, Any], instruction: str, rest: str) -> None:
    if instruction in {"CMD", "ENTRYPOINT"}:
        key = "Cmd" if instruction == "CMD" else "Entrypoint"
        config[key] = _words(rest) or ["/bin/sh", "-c", rest]
    elif instruction == "ENV":
        pairs = _pairs(rest)
        kept = [each for each in (config.get("Env") or []) if each.partition("=")[0] not in pairs]
        config["Env"] = kept + [f"{name}={value}" for name, value in pairs.items()]
    elif instruction == "LABEL":
        config["Labels"] = {**(config.get("Labels") or {}), **_pairs(rest)}
    elif instruction == "EXPOSE":
        ports = rest.split()
        for port in ports:
            if not _PORT.fullmatch(port):
                raise InvalidArgument(f"invalid containerPort: {port}")
        given: dict[str, dict[str, str]] = {
            port if "/" in port else f"{port}/tcp": {} for port in ports
        }
        config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **given}
    elif instruction == "VOLUME":
        config["Volumes"] = {
            **(config.get("Volumes") or {}),
            **{path: {} for path in _words(rest) or rest.split()},
        }
    elif instruction == "ONBUILD":
        config["OnBuild"] = [*(config.get("OnBuild") or []), rest]
    else:
        key = {"STOPSIGNAL": "StopSignal", "USER": "User", "WORKDIR": "WorkingDir"}[instruction]
        config[key] = rest


def _words(rest: str) -> list[str] | None:
    """The JSON form of an instruction, if it is one."""
    try:
        found = jsontext.loads(rest)
    except ValueError:
        return None
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return found
    return None


def _pairs(rest: str) -> dict[str, str]:
    """``a=b c="d e"``, or the old form ``a b``."""
    name, separator, value = rest.partition(" ")
    if "=" not in name:
        if not separator:
            raise InvalidArgument(f"{rest!r}: must have two arguments")
        return {name: value.strip()}
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise InvalidArgument(f"{rest!r}: {error}") from None
    for word in words:
        if "=" not in word:
            raise InvalidArgument(
                f"Syntax error - can't find = in {word!r}. Must be of the form: name=value"
            )
    return {word.partition("=")[0]: word.partition("=")[2] for word in words}
