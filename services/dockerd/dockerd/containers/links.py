"""`--link`: another container under an alias, by /etc/hosts and environment on the default bridge, by DNS elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.fields import is_number
from wire.errors import Conflict, InvalidArgument, NotFound

_SHORT_ID: Final = 12
_PRIVATE: Final = frozenset({"HOME", "PATH"})


def parse(text: str) -> tuple[str, str]:
    """``container[:alias]``, or what inspect shows: the container, and the alias; raises InvalidArgument."""
    name, colon, alias = text.partition(":")
    if not name or ":" in alias or (colon and not alias):
        raise InvalidArgument(f"bad format for links: {text}")
    # Old clients send the alias as /container/alias.
    return name.removeprefix("/"), (alias or name).rpartition("/")[2]


def resolve(host: dict[str, Any], own_name: str, store: ContainerStore) -> None:
    """Check HostConfig.Links and write them as inspect shows them; raises InvalidArgument."""
    found = []
    for text in host.get("Links") or []:
        name, alias = parse(text)
        found.append(f"/{_get(store, name).name}:/{own_name}/{alias}")
    if found:
        host["Links"] = found


def hosts(container: Container, store: ContainerStore) -> Iterator[str]:
    """Entries for /etc/hosts, for the links on the default bridge; raises InvalidArgument."""
    for alias, target in _legacy(container, store):
        address = _address(target)
        for name in dict.fromkeys((alias, target.container_id[:_SHORT_ID], target.name)):
            yield f"{name}:{address}"


def environment(container: Container, store: ContainerStore) -> list[str]:
    """Variables that tell of links on the default bridge: names, ports, and the other's own variables."""
    found = []
    for alias, target in _legacy(container, store):
        prefix = alias.replace("-", "_").upper()
        address = _address(target)
        found.append(f"{prefix}_NAME=/{container.name}/{alias}")
        ports = sorted(target.config.get("ExposedPorts") or {}, key=_number)
        for index, port in enumerate(ports):
            number, _, protocol = port.partition("/")
            url = f"{protocol}://{address}:{number}"
            key = f"{prefix}_PORT_{number}_{protocol.upper()}"
            if index == 0:
                found.append(f"{prefix}_PORT={url}")
            found += [
                f"{key}={url}",
                f"{key}_ADDR={address}",
                f"{key}_PORT={number}",
                f"{key}_PROTO={protocol}",
            ]
        for variable in target.config.get("Env") or []:
            name, equals, value = variable.partition("=")
            if equals and name not in _PRIVATE:
                found.append(f"{prefix}_ENV_{name}={value}")
    return found


def on_networks(container: Container, store: ContainerStore) -> dict[str, str]:
    """Aliases with the DNS names that they stand for, on user-defined networks; who is not there yet is known by name."""
    found = {}
    for settings in (container.networking.get("EndpointsConfig") or {}).values():
        for text in (settings or {}).get("Links") or []:
            name, alias = parse(text)
            try:
                found[alias] = store.get(name).container_id[:_SHORT_ID]
            except NotFound:
                found[alias] = name
    return found


def names(store: ContainerStore) -> dict[str, list[str]]:
    """By container names, what others call them: ``/other/alias``."""
    found: dict[str, list[str]] = {}
    for container in store:
        for text in container.host.get("Links") or []:
            target, alias = parse(text)
            found.setdefault(target, []).append(f"/{container.name}/{alias}")
    return found


def remove(reference: str, store: ContainerStore) -> None:
    """`docker rm --link container/alias`; raises NotFound, Conflict for what is a container's own name."""
    name, separator, alias = reference.removeprefix("/").rpartition("/")
    if not separator:
        store.get(reference)
        raise Conflict("Conflict, cannot remove the default link name of the container")
    container = store.get(name)
    known = list(container.host.get("Links") or [])
    doomed = [text for text in known if parse(text)[1] == alias]
    if not doomed:
        raise NotFound(f"No such container: {reference}")
    gone = set(_entries(doomed, store))
    container.host["Links"] = [text for text in known if text not in doomed]
    container.save()
    if container.running:
        _forget_hosts(f"{container.directory}/hosts", gone)


def _forget_hosts(path: str, gone: set[str]) -> None:
    """Take lines out of a running container's /etc/hosts, in place: it is mounted there."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines(keepends=True)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line for line in lines if line.rstrip("\n") not in gone)


def _entries(texts: Iterable[str], store: ContainerStore) -> Iterator[str]:
    """The lines of /etc/hosts that links stand for."""
    for text in texts:
        target = _get(store, parse(text)[0])
        for each in (parse(text)[1], target.container_id[:_SHORT_ID], target.name):
            yield f"{_address(target)}\t{each}"


def _legacy(container: Container, store: ContainerStore) -> Iterator[tuple[str, Container]]:
    for text in container.host.get("Links") or []:
        name, alias = parse(text)
        target = _get(store, name)
        if not target.running:
            raise InvalidArgument(
                f"Cannot link to a non running container: /{target.name} AS /{container.name}/{alias}"
            )
        yield alias, target


def _get(store: ContainerStore, name: str) -> Container:
    try:
        return store.get(name)
    except NotFound as error:
        raise InvalidArgument(f"could not get container for {name}: {error.message}") from None


def _address(target: Container) -> str:
    return target.address or "127.0.0.1"


def _number(port: str) -> int:
    text = port.partition("/")[0]
    return int(text) if is_number(text) else 0
