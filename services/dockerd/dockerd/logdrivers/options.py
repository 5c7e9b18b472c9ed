"""The options of log drivers, checked with moby's words."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dockerd.logdrivers import syslog
from wire.errors import FailedPrecondition, InvalidArgument

DRIVERS: Final = ("journald", "json-file", "local", "syslog")
"""Those that keep or send anything; ``none`` does not."""

_COMMON: Final = frozenset({"env", "env-regex", "labels", "labels-regex", "tag"})
_FILES: Final = frozenset({"max-file", "max-size", "compress"})
_OWN: Final = {
    "journald": _COMMON,
    "json-file": _COMMON | _FILES,
    "local": _COMMON | _FILES,
    "syslog": _COMMON | syslog.OPTIONS,
}
# What every driver takes: its mode, and the copy that is kept of what is sent elsewhere.
_BUILT_IN: Final = frozenset(
    {"mode", "max-buffer-size", "cache-disabled", *(f"cache-{name}" for name in _COMMON | _FILES)}
)
_MODES: Final = frozenset({"", "blocking", "non-blocking"})
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


@dataclass(frozen=True, slots=True)
class Files:
    """How a log on disk is rotated; ``max_size`` in bytes, 0 for never."""

    max_size: int
    max_file: int
    compress: bool


JSON_FILE: Final = Files(0, 1, compress=False)
LOCAL: Final = Files(20 << 20, 5, compress=True)


def size(text: str, base: int = 1024) -> int:
    """``1.5g`` in bytes; raises InvalidArgument."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(float(found[1]) * base ** _POWERS[(found[2] or "").lower()])


def truth(text: str) -> bool:
    """As Go reads it; raises ValueError."""
    if text not in _TRUE | _FALSE:
        raise ValueError(text)
    return text in _TRUE


def validate(driver: str, options: Mapping[str, str]) -> None:
    """Raises InvalidArgument for a driver, or an option of it, that does not exist or cannot be."""
    if driver == "none":
        return
    mode = options.get("mode") or ""
    if mode not in _MODES:
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise InvalidArgument(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
            )
        try:
            size(options["max-buffer-size"])
        except InvalidArgument as error:
            raise InvalidArgument(
                f"error parsing option max-buffer-size: {error.message}"
            ) from None
    try:
        truth(options.get("cache-disabled") or "false")
    except ValueError as error:
        raise InvalidArgument(f"invalid value for option cache-disabled: {error}") from None
    if driver not in _OWN:
        raise InvalidArgument(f"logger: no log driver named '{driver}' is registered")
    for key in options:
        if key not in _BUILT_IN and key not in _OWN[driver]:
            named = f"log driver {driver}" if driver == "local" else f"{driver} log driver"
            raise InvalidArgument(f"unknown log opt '{key}' for {named}")
    _check_patterns(options)
    if driver == "syslog":
        syslog.validate(options)
    elif driver != "journald":
        files(options, LOCAL if driver == "local" else JSON_FILE)
    files(
        {key.removeprefix("cache-"): options[key] for key in options if key.startswith("cache-")},
        LOCAL,
    )


def _check_patterns(options: Mapping[str, str]) -> None:
    for key in ("env-regex", "labels-regex"):
        try:
            re.compile(options.get(key) or "")
        except re.error as error:
            raise InvalidArgument(f"error parsing regexp: {error}: `{options[key]}`") from None


def files(options: Mapping[str, str], defaults: Files) -> Files:
    """``max-size``, ``max-file`` and ``compress``; raises InvalidArgument."""
    most, number, compress = defaults.max_size, defaults.max_file, defaults.compress
    local = defaults is LOCAL
    if "max-size" in options:
        try:
            # Docker counts these in thousands.
            most = size(options["max-size"], 1000)
        except InvalidArgument as error:
            if not local:
                raise
            words = f"invalid value for max-size: {options['max-size']}: {error.message}"
            raise InvalidArgument(words) from None
        if most <= 0 and not local:
            raise InvalidArgument("max-size must be a positive number")
    if "max-file" in options:
        number = _whole("max-file", options["max-file"], local=local)
    if "compress" in options:
        try:
            compress = truth(options["compress"])
        except ValueError:
            words = f'strconv.ParseBool: parsing "{options["compress"]}": invalid syntax'
            shown = f"invalid boolean value for compress: {words}" if local else words
            raise InvalidArgument(shown) from None
    if compress and local and number <= 1:
        raise InvalidArgument("compression cannot be enabled when max file count is 1")
    if compress and not local and (number == 1 or most == 0):
        raise InvalidArgument(
            "compress cannot be true when max-file is less than 2 or max-size is not set"
        )
    return Files(most, number, compress)


def _whole(key: str, text: str, *, local: bool) -> int:
    try:
        number = int(text)
    except ValueError:
        words = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise InvalidArgument(
            f"invalid value for {key}: {text}: {words}" if local else words
        ) from None
    if local and number < 0:
        raise InvalidArgument("max-file must not be negative")
    if not local and number < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    return number


def check_journal(path: str) -> None:
    """Raises FailedPrecondition where there is no journal."""
    if not os.path.exists(path):
        raise FailedPrecondition("journald is not enabled on this host")
