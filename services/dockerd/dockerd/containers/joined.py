"""Namespaces of other containers: ``container:<name or id>`` in HostConfig."""

from __future__ import annotations

from typing import Any, Final

from dockerd.containers.errors import IsRestarting
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from wire.errors import Conflict, Internal, InvalidArgument, NotFound

JOINED: Final = "container:"
_KINDS: Final = {"NetworkMode": "network", "PidMode": "PID", "IpcMode": "IPC"}


def network_mode(host: dict[str, Any]) -> str:
    """The NetworkMode; ``bridge`` where none is given."""
    mode = host.get("NetworkMode") or "default"
    return "bridge" if mode == "default" else str(mode)


def name_of(host: dict[str, Any], key: str) -> str:
    """The container that a mode names; empty for another mode."""
    mode = str(host.get(key) or "")
    return mode.removeprefix(JOINED) if mode.startswith(JOINED) else ""


def resolve(host: dict[str, Any], store: ContainerStore) -> None:
    """Names become ids, because a name may move to another container; raises InvalidArgument.

    The container whose network is joined may be made later, as in Docker. (Not NotFound: the CLI would pull an image.)
    """
    for key in _KINDS:
        name = name_of(host, key)
        if not name:
            continue
        try:
            host[key] = f"{JOINED}{store.get(name).container_id}"
        except NotFound as error:
            if key != "NetworkMode":
                raise InvalidArgument(error.message) from None


def running(host: dict[str, Any], key: str, store: ContainerStore, own_id: str) -> Container | None:
    """The running container whose namespace is joined; None for another mode. Raises Conflict, InvalidArgument."""
    name = name_of(host, key)
    if not name:
        return None
    kind = _KINDS[key]
    try:
        found = store.get(name)
    except NotFound as error:
        raise Internal(f"joining {kind} namespace of container: {error.message}") from None
    if found.container_id == own_id:
        raise InvalidArgument(f"cannot join own {kind} namespace")
    if found.state.restarting:
        raise IsRestarting(found.container_id)
    if not found.running:
        raise Conflict(
            f"cannot join {kind} namespace of a non running container: container {found.name} is {found.state.status}"
        )
    if key == "IpcMode" and (found.host.get("IpcMode") or "") not in {"shareable", "host"}:
        raise Conflict(
            f"cannot join IPC of container {found.name}: non-shareable IPC (hint: use IpcMode:shareable for the donor"
            " container)"
        )
    return found
