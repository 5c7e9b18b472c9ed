"""`docker ps`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dockerd.containers import joined, links, network_settings
from dockerd.containers.inspect import mount_of
from dockerd.containers.model import Container, seconds_of
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.state import NEVER, Status
from dockerd.containers.status import text_of
from dockerd.containers.store import ContainerStore
from dockerd.fields import is_number
from dockerd.filters import Filters
from dockerd.images.store import ImageStore
from dockerd.networks.controller import NetworkController
from dockerd.networks.ports.bindings import parse_key
from wire.errors import EngineError, InvalidArgument

_FILTERS: Final = frozenset(
    {"ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label", "name", "network",
     "publish", "since", "status", "volume"}
)  # fmt: skip
_STATUSES: Final = (*Status, "removing", "dead")
_HEALTHS: Final = ("none", "starting", "healthy", "unhealthy")


class Lister:
    """Lists containers, newest first."""

    def __init__(
        self,
        store: ContainerStore,
        networks: NetworkController,
        images: ImageStore,
        rootfs: RootFilesystems,
    ) -> None:
        self._store = store
        self._networks = networks
        self._images = images
        self._rootfs = rootfs

    async def find(
        self, wanted: Filters, *, everything: bool, limit: int, sized: bool
    ) -> list[dict[str, Any]]:
        """GET /containers/json; raises InvalidArgument for a filter, NotFound for its container."""
        _validate(wanted)
        images = await self._ancestors(wanted)
        everything = everything or limit > 0 or "status" in wanted
        found: list[dict[str, Any]] = []
        aliases = links.names(self._store)
        for container in self._window(wanted):
            if 0 < limit == len(found):
                break
            if (everything or container.running or container.state.restarting) and self._shown(
                container, wanted, images
            ):
                known = aliases.get(container.name, ())
                found.append(await self.summary(container, sized=sized, aliases=known))
        return found

    async def summary(
        self, container: Container, *, sized: bool = False, aliases: Sequence[str] = ()
    ) -> dict[str, Any]:
        """One entry of the list; ``aliases`` are the names that links give the container."""
        settings = network_settings.of(container, self._networks)
        found = {
            "Id": container.container_id,
            "Names": [f"/{container.name}", *aliases],
            "Image": container.image_name,
            "ImageID": container.image,
            "Command": " ".join([container.path, *map(_quoted, container.args)]),
            "Created": int(seconds_of(container.created)),
            "Ports": network_settings.flat_ports(settings["Ports"]),
            "Labels": container.config.get("Labels") or {},
            "State": str(container.state.status),
            "Status": text_of(container.state),
            "HostConfig": _host(container),
            "NetworkSettings": {"Networks": settings["Networks"]},
            "Mounts": [mount_of(point) for point in container.mounts],
        }
        if container.image_manifest:
            found["ImageManifestDescriptor"] = container.image_manifest
        if sized:
            found |= await self._rootfs.sizes(container, self._images)
        return found

    def _window(self, wanted: Filters) -> list[Container]:
        """Newest first, from behind ``before`` up to ``since``."""
        ordered = sorted(self._store, key=lambda each: each.created, reverse=True)
        first, end = 0, len(ordered)
        for value in wanted.get("before"):
            first = max(first, ordered.index(self._store.get(value)) + 1)
        for value in wanted.get("since"):
            end = min(end, ordered.index(self._store.get(value)))
        return ordered[first:end]

    async def _ancestors(self, wanted: Filters) -> frozenset[str] | None:
        """The images whose containers are wanted; None for all."""
        if "ancestor" not in wanted:
            return None
        found = set()
        chains = {image.image_id: image.chain for image in await self._images.list()}
        for value in wanted.get("ancestor"):
            try:
                ancestor = await self._images.find(value)
            except EngineError:
                continue
            length = len(ancestor.chain)
            found |= {
                image_id for image_id, chain in chains.items() if chain[:length] == ancestor.chain
            } | {ancestor.image_id}
        return frozenset(found)

    def _shown(self, container: Container, wanted: Filters, images: frozenset[str] | None) -> bool:
        state = container.state
        ended = not state.alive and not state.restarting and state.started_at != NEVER
        return (
            wanted.match("name", container.name, f"/{container.name}")
            and wanted.fuzzy("id", container.container_id)
            and wanted.labels(container.config.get("Labels"))
            and wanted.exact("status", state.status)
            and wanted.exact("health", state.health_status)
            and ("exited" not in wanted or (ended and wanted.exact("exited", str(state.exit_code))))
            and ("is-task" not in wanted or not wanted.boolean("is-task"))
            and (images is None or container.image in images)
            and self._on_network(container, wanted)
            and _has_volume(container, wanted)
            and self._has_port(container, wanted)
        )

    def _has_port(self, container: Container, wanted: Filters) -> bool:
        """Of the ports as they are now: one of those asked for by either filter is enough."""
        if "publish" not in wanted and "expose" not in wanted:
            return True
        ports = network_settings.flat_ports(network_settings.of(container, self._networks)["Ports"])
        return any(
            (port.get(end), port["Type"]) in _spread(value)
            for key, end in (("publish", "PublicPort"), ("expose", "PrivatePort"))
            for value in wanted.get(key)
            for port in ports
        )

    def _on_network(self, container: Container, wanted: Filters) -> bool:
        if "network" not in wanted:
            return True
        networks = network_settings.of(container, self._networks)["Networks"]
        return any(
            value == name or endpoint["NetworkID"].startswith(value)
            for value in wanted.get("network")
            for name, endpoint in networks.items()
        )


def _host(container: Container) -> dict[str, Any]:
    found: dict[str, Any] = {"NetworkMode": joined.network_mode(container.host)}
    if annotations := container.host.get("Annotations"):
        found["Annotations"] = annotations
    return found


def _validate(wanted: Filters) -> None:
    wanted.check(_FILTERS)
    for value in wanted.get("status"):
        if value not in _STATUSES:
            raise InvalidArgument(
                f"invalid filter 'status={value}': invalid value for state ({value}): must be one of"
                f" {', '.join(sorted(_STATUSES))}"
            )
    for value in wanted.get("health"):
        if value not in _HEALTHS:
            raise InvalidArgument(
                f"invalid filter 'health={value}': invalid value for health ({value}): must be one of"
                f" {', '.join(_HEALTHS)}"
            )
    for value in wanted.get("exited"):
        if not is_number(value.removeprefix("-")):
            raise InvalidArgument(
                f"invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": invalid syntax"
            )
    for key in ("publish", "expose"):
        for value in wanted.get(key):
            if ":" in value:
                raise InvalidArgument(f"filter for '{key}' should not contain ':': {value}")
            _spread(value)
    wanted.boolean("is-task")


def _has_volume(container: Container, wanted: Filters) -> bool:
    return "volume" not in wanted or any(
        value in {point.get("Name") or point["Source"], point["Destination"]}
        for value in wanted.get("volume")
        for point in container.mounts
    )


def _spread(text: str) -> set[tuple[int, str]]:
    ports, protocol = parse_key(text)
    return {(port, protocol) for port in range(ports.first, ports.last + 1)}


def _quoted(argument: str) -> str:
    return f"'{argument}'" if " " in argument else argument
