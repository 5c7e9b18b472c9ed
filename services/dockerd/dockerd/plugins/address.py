"""Where plugins are: sockets below one directory, addresses in files below others (Docker's plugin discovery)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from wire.errors import InvalidArgument

SPEC_FOLDERS: Final = ("/etc/docker/plugins", "/usr/lib/docker/plugins")
_SPECS: Final = (".spec", ".json")
_LOCAL: Final = "unix"
_SCHEMES: Final = frozenset({_LOCAL, "tcp", "http", "https"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """The TLSConfig of a ``.json`` file; without a CA the plugin's certificate is not checked, as upstream."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One plugin's: ``target`` is the path of a socket, or host and port."""

    name: str
    scheme: str
    target: str
    tls: TLSFiles | None = None


class Directory:
    """All plugins that can be found at the moment. Nothing is remembered: a plugin may come and go."""

    def __init__(self, sockets: str, specs: tuple[str, ...] = SPEC_FOLDERS) -> None:
        """``sockets`` is the folder of ``<name>.sock`` or ``<name>/<name>.sock``."""
        self._sockets = sockets
        self._specs = specs

    def find(self, name: str) -> Address | None:
        """None if there is no such plugin; raises InvalidArgument for a file that cannot be understood."""
        if not name or "/" in name or "\0" in name or name.startswith("."):
            return None
        for path in _candidates(self._sockets, name, ".sock"):
            if _is_socket(path):
                return Address(name=name, scheme=_LOCAL, target=path)
        for folder in self._specs:
            for suffix in _SPECS:
                for path in _candidates(folder, name, suffix):
                    if os.path.isfile(path):
                        return _read(name, path)
        return None

    def names(self) -> list[str]:
        """Of everything that looks like a plugin, sorted."""
        sockets = (path for path in _files(self._sockets) if _is_socket(path))
        specs = (path for folder in self._specs for path in _files(folder) if path.endswith(_SPECS))
        return sorted({os.path.splitext(os.path.basename(path))[0] for path in (*sockets, *specs)})


def _candidates(folder: str, name: str, suffix: str) -> tuple[str, str]:
    return f"{folder}/{name}{suffix}", f"{folder}/{name}/{name}{suffix}"


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _files(folder: str) -> Iterator[str]:
    for directory, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(directory, name)


def _read(name: str, path: str) -> Address:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if path.endswith(".json"):
            document = json.loads(text)
            return _parse(name, path, document["Addr"], _tls(document.get("TLSConfig") or {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f"plugin {name}: {path}: {error}") from None
    return _parse(name, path, text.strip(), None)


def _tls(document: dict[str, Any]) -> TLSFiles:
    return TLSFiles(
        ca=document.get("CAFile") or "",
        certificate=document.get("CertFile") or "",
        key=document.get("KeyFile") or "",
    )


def _parse(name: str, path: str, text: str, tls: TLSFiles | None) -> Address:
    url = urlsplit(text)
    if url.scheme not in _SCHEMES:
        raise InvalidArgument(f"plugin {name}: {path}: Unknown protocol in {text!r}")
    target = url.path if url.scheme == _LOCAL else url.netloc
    return Address(name=name, scheme=url.scheme, target=target, tls=tls)
