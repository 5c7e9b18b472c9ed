"""The options of the log driver `syslog`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from dockerd.fields import is_number
from wire.errors import FailedPrecondition, InvalidArgument

OPTIONS: Final = frozenset(
    {
        "syslog-address",
        "syslog-facility",
        "syslog-format",
        "syslog-tls-ca-cert",
        "syslog-tls-cert",
        "syslog-tls-key",
        "syslog-tls-skip-verify",
    }
)
_FACILITIES: Final = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9,
    "authpriv": 10, "ftp": 11, **{f"local{number}": 16 + number for number in range(8)},
}  # fmt: skip
_MOST: Final = 23
_FORMATS: Final = frozenset({"", "rfc3164", "rfc5424", "rfc5424micro"})
_SOCKETS: Final = ("/dev/log", "/var/run/syslog", "/var/run/log")
_PORT: Final = 514


def validate(options: Mapping[str, str]) -> None:
    """Raises InvalidArgument."""
    _address(options.get("syslog-address") or "")
    _facility(options.get("syslog-facility") or "")
    if (options.get("syslog-format") or "") not in _FORMATS:
        raise InvalidArgument("Invalid syslog format")


def target(options: Mapping[str, str], tag: str) -> tuple[str, dict[str, str | int]]:
    """A socket's path or nothing, and what else the shim must know. Raises FailedPrecondition, InvalidArgument."""
    network, host, port = _address(options.get("syslog-address") or "")
    values: dict[str, str | int] = {
        "network": network,
        "facility": _facility(options.get("syslog-facility") or ""),
        "format": options.get("syslog-format") or "",
        "tag": tag,
    }
    if network == "":
        path = next((each for each in _SOCKETS if os.path.exists(each)), None)
        if path is None:
            raise FailedPrecondition("Unix syslog delivery error")
        return path, values | {"network": "unixgram"}
    if network in {"unix", "unixgram"}:
        return host, values
    values |= {"host": host, "port": port}
    if network == "tcp+tls":
        values |= {
            "ca": options.get("syslog-tls-ca-cert") or "",
            "certificate": options.get("syslog-tls-cert") or "",
            "key": options.get("syslog-tls-key") or "",
            "skip-verify": int("syslog-tls-skip-verify" in options),
        }
    return "", values


def _address(text: str) -> tuple[str, str, int]:
    """Network, host or path, port; raises InvalidArgument."""
    if not text:
        return "", "", 0
    try:
        url = urlsplit(text)
        port = url.port or _PORT
    except ValueError as error:
        raise InvalidArgument(f'parse "{text}": {error}') from None
    if url.scheme in {"unix", "unixgram"}:
        if not os.path.exists(url.path):
            raise InvalidArgument(f"stat {url.path}: no such file or directory")
        return url.scheme, url.path, 0
    if url.scheme not in {"udp", "tcp", "tcp+tls"}:
        raise InvalidArgument(f"unsupported scheme: '{url.scheme}'")
    return url.scheme, url.hostname or "", port


def _facility(text: str) -> int:
    if not text:
        return _FACILITIES["daemon"]
    if text in _FACILITIES:
        return _FACILITIES[text]
    if is_number(text) and int(text) <= _MOST:
        return int(text)
    raise InvalidArgument("invalid syslog facility")
