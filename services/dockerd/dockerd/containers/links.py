"""`--link`: another container under an alias, by /etc/hosts and environment on the default bridge, by DNS elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from wire.errors import InvalidArgument, NotFound

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
        for name in dict.fromkeys((alias, target.container_id[:12], target.name)):
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
    """Aliases with ids, for the links on user-defined networks; those to nobody are left out."""
    found = {}
    for settings in (container.networking.get("EndpointsConfig") or {}).values():
        for text in (settings or {}).get("Links") or []:
            name, alias = parse(text)
            try:
                found[alias] = store.get(name).container_id
            except NotFound:
                continue
    return found


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
    return int(text) if text.isdigit() else 0
