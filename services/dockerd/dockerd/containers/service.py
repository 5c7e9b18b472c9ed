"""The life of containers: create, start, stop, remove, and what follows from their ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import signal as signals
from collections.abc import Awaitable, Callable
from typing import Any, Final

from dockerd.containerd_client.tasks import Exited, Tasks
from dockerd.containers import attach, hostconfig, mountpoints
from dockerd.containers.model import Container, moment, now
from dockerd.containers.store import ContainerStore
from dockerd.events.bus import EventBus
from dockerd.images.store import ImageStore
from dockerd.linux import cgroups
from dockerd.linux import mounts as linux_mounts
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import Attachment, AttachRequest, ContainerId, PortBinding
from dockerd.spec import builder
from dockerd.volumes.store import VolumeStore
from wire.addresses import ensure_dir, short_dir
from wire.errors import Conflict, EngineError, InvalidArgument, NotFound, NotModified

logger = logging.getLogger(__name__)

_ADJECTIVES: Final = (
    "brave",
    "calm",
    "eager",
    "gentle",
    "happy",
    "keen",
    "lucid",
    "noble",
    "quick",
    "sunny",
    "vivid",
    "wise",
)
_NOUNS: Final = (
    "anchor",
    "beacon",
    "crane",
    "dock",
    "ferry",
    "gantry",
    "harbor",
    "jetty",
    "keel",
    "mast",
    "pier",
    "tug",
)
_FIRST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 60.0
_STABLE: Final = 10.0
_MOUNT_TRIES: Final = 20


class ContainerService:
    """All verbs on containers."""

    def __init__(
        self,
        *,
        store: ContainerStore,
        tasks: Tasks,
        images: ImageStore,
        volumes: VolumeStore,
        networks: NetworkController,
        events: EventBus,
        data_root: str,
        exec_root: str,
        owner: str,
        init_path: str,
        runtimes: dict[str, str],
        on_exec_exit: Callable[[str, str, Exited], None],
        on_reconcile: Callable[[], Awaitable[None]],
    ) -> None:
        self.store = store
        self._tasks = tasks
        self._images = images
        self.volumes = volumes
        self.networks = networks
        self._events = events
        self._merged_root = os.path.join(data_root, "rootfs", "overlayfs")
        self._socket_dir = ensure_dir(short_dir(exec_root))
        self._owner = owner
        self._init_path = init_path
        self._runtimes = runtimes
        self._on_exec_exit = on_exec_exit
        self._on_reconcile = on_reconcile
        self._background: set[asyncio.Task[Any]] = set()
        self._backoff: dict[str, float] = {}

    # -- create

    async def create(
        self, name: str, config: dict[str, Any], host: dict[str, Any], networking: dict[str, Any]
    ) -> tuple[str, list[str]]:
        """A new container; its id and warnings."""
        if name and not hostconfig.NAME.fullmatch(name):
            raise InvalidArgument(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
        hostconfig.validate(config, host, self._runtimes)
        mode = hostconfig.network_mode(host)
        if mode.startswith("container:"):
            joined = self.store.get(mode.removeprefix("container:"))
            host["NetworkMode"] = f"container:{joined.container_id}"
        reference = config.get("Image") or ""
        if not reference:
            wanted = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
            raise InvalidArgument(
                "Config.Image is empty: a container needs an image"
                if wanted
                else "no command specified"
            )
        image = await self._images.fast(reference)
        merged = _with_image(config, image.config.get("config") or {})
        command = [*(merged.get("Entrypoint") or []), *(merged.get("Cmd") or [])]
        if not command:
            raise InvalidArgument("no command specified")
        builder.capabilities(host, privileged=bool(host.get("Privileged")))
        container_id = secrets.token_hex(32)
        name = name.removeprefix("/") or self._free_name()
        self.store.reserve(name, container_id)
        directory = self.store.directory(container_id)
        try:
            points = mountpoints.resolve(merged, host, self.volumes)
            merged.setdefault("Hostname", "")
            if not merged["Hostname"] and mode != "host" and not mode.startswith("container:"):
                merged["Hostname"] = container_id[:12]
            container = Container(
                container_id=container_id,
                name=name,
                created=now(),
                image=image.image_id,
                image_name=reference,
                top=image.top,
                config=merged,
                host=host,
                networking=networking,
                path=command[0],
                args=command[1:],
                mounts=points,
                directory=directory,
            )
            os.mkdir(directory, 0o710)
            await self._tasks.prepare(container_id, image.top)
            container.save()
        except BaseException:
            self.store.release(name)
            with contextlib.suppress(OSError):
                os.rmdir(directory)
            with contextlib.suppress(EngineError):
                await self._tasks.remove_snapshot(container_id)
            raise
        self.store.add(container)
        self._event(container, "create")
        return container_id, []

    def _free_name(self) -> str:
        taken = {container.name for container in self.store}
        while True:
            name = (
                f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_NOUNS)}{secrets.randbelow(1000)}"
            )
            if name not in taken:
                return name

    # -- start

    async def start(self, reference: str) -> None:
        """Start; raises NotModified for a running container."""
        container = self.store.get(reference)
        async with container.lock:
            if container.removing:
                raise Conflict("container is marked for removal and cannot be started")
            if container.state["Paused"]:
                raise Conflict("cannot start a paused container, try unpause instead")
            if container.running:
                raise NotModified("container already started")
            container.manually_stopped = False
            await self._start(container)

    async def _start(self, container: Container) -> None:
        container.state["Error"] = ""
        try:
            await self._launch(container)
        except EngineError as error:
            container.state["Error"] = error.message
            container.state["ExitCode"] = _start_code(error.message)
            container.save()
            self._close_pending(container)
            self._finish_waiters(container)
            if container.host.get("AutoRemove"):
                self._begin(self._auto_remove(container))
            raise

    async def _launch(self, container: Container) -> None:
        container_id = container.container_id
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._clean_up, container)
            merged, attachment = await asyncio.gather(
                self._mount(container), self.networks.attach(self._network_request(container))
            )
            self._network_events(container, "connect", attachment)
            spec = self._spec(container, merged, attachment)
            await asyncio.to_thread(mountpoints.copy_up, merged, container.mounts, self.volumes)
            stdin = ""
            if container.config.get("OpenStdin"):
                stdin = f"attach://?once={int(bool(container.config.get('StdinOnce')))}"
            try:
                pid = await self._tasks.create(
                    container_id,
                    spec,
                    {
                        "com.docker/engine.bundle.path": container.directory,
                        "dockyard/owner": self._owner,
                    },
                    image=container.image_name,
                    binary=self._runtimes.get(container.host.get("Runtime") or "", ""),
                    stdin=stdin,
                    output=self._output(container),
                    terminal=container.terminal,
                )
                for message, client in container.pending:
                    await attach.hand_over(self.attach_path(container_id), message, client)
                container.pending.clear()
                container.state.update(Pid=pid)
                await self._tasks.start(container_id)
            except EngineError as error:
                raise type(error)(
                    f"failed to create task for container: failed to create shim task: {error.message}: unknown",
                    details=error.details,
                ) from error
            undo.pop_all()
        container.state.update(
            Status="running", Running=True, Paused=False, Restarting=False, OOMKilled=False, Pid=pid, ExitCode=0,
            StartedAt=now(), FinishedAt=container.state["FinishedAt"],
        )  # fmt: skip
        container.save()
        self._event(container, "start")

    def _output(self, container: Container) -> str:
        path = self.attach_path(container.container_id)
        if container.log_driver == "none":
            return f"attach://?attach={path}"
        options = (container.host.get("LogConfig") or {}).get("Config") or {}
        limit = hostconfig.size(options["max-size"]) if "max-size" in options else 0
        return f"json-file://{container.log_path}?max-size={limit}&max-file={options.get('max-file', 1)}&attach={path}"

    def attach_path(self, container_id: str) -> str:
        """Where the shim of a container takes clients."""
        return f"{self._socket_dir}/{container_id[:16]}.a"

    def merged_dir(self, container: Container) -> str:
        """Where its root file system is mounted."""
        return f"{self._merged_root}/{container.container_id}"

    async def _mount(self, container: Container) -> str:
        merged = self.merged_dir(container)
        mounts = await self._tasks.mounts(container.container_id)
        os.makedirs(merged, mode=0o711, exist_ok=True)
        self._unmount(merged)
        for kind, source, options in mounts:
            flags, data = 0, []
            for word in options:
                if word in {"bind", "rbind"}:
                    flags |= linux_mounts.MS_BIND | (linux_mounts.MS_REC if word == "rbind" else 0)
                elif word == "ro":
                    flags |= linux_mounts.MS_RDONLY
                elif word != "rw":
                    data.append(word)
            linux_mounts.mount(source, merged, kind, flags, ",".join(data) or None)
        return merged

    @staticmethod
    def _unmount(merged: str) -> None:
        for _ in range(_MOUNT_TRIES):
            try:
                linux_mounts.umount(merged, linux_mounts.MNT_DETACH | linux_mounts.UMOUNT_NOFOLLOW)
            except OSError:
                # EINVAL: nothing is mounted there (any more).
                return

    def _network_request(self, container: Container) -> AttachRequest:
        host, config = container.host, container.config
        mode = hostconfig.network_mode(host)
        bindings = {
            key: tuple(
                PortBinding(
                    host_ip=each.get("HostIp") or "", host_port=str(each.get("HostPort") or "")
                )
                for each in values or [{}]
            )
            for key, values in (host.get("PortBindings") or {}).items()
        }
        endpoint = (container.networking.get("EndpointsConfig") or {}).get(mode) or {}
        return AttachRequest(
            container_id=ContainerId(container.container_id),
            container_name=container.name,
            network=mode,
            hostname=config.get("Hostname") or "",
            domainname=config.get("Domainname") or "",
            exposed_ports=tuple(config.get("ExposedPorts") or {}),
            port_bindings=bindings,
            publish_all=bool(host.get("PublishAllPorts")),
            mac=endpoint.get("MacAddress") or config.get("MacAddress") or None,
            ipv4=((endpoint.get("IPAMConfig") or {}).get("IPv4Address")) or None,
            dns=tuple(host.get("Dns") or ()),
            dns_search=tuple(host.get("DnsSearch") or ()),
            dns_options=tuple(host.get("DnsOptions") or ()),
            extra_hosts=tuple(host.get("ExtraHosts") or ()),
        )

    def _spec(self, container: Container, merged: str, attachment: Attachment) -> dict[str, Any]:
        host, config = container.host, container.config
        owner = container
        mode = hostconfig.network_mode(host)
        if mode.startswith("container:"):
            owner = self.store.get(mode.removeprefix("container:"))
        hostname = config.get("Hostname") or owner.config.get("Hostname") or os.uname().nodename
        if attachment.files is not None:
            for name, text in (
                ("hostname", attachment.files.hostname),
                ("hosts", attachment.files.hosts),
                ("resolv.conf", attachment.files.resolv_conf),
            ):
                with open(f"{container.directory}/{name}", "w", encoding="utf-8") as file:
                    file.write(text)
        binds = [
            {
                "destination": f"/etc/{name}",
                "type": "bind",
                "source": f"{owner.directory}/{name}",
                "options": ["rbind", "rprivate", "ro" if host.get("ReadonlyRootfs") else "rw"],
            }
            for name in ("resolv.conf", "hostname", "hosts")
            if not any(point["Destination"] == f"/etc/{name}" for point in container.mounts)
        ]
        args = [container.path, *container.args]
        if host.get("Init"):
            args = ["/sbin/docker-init", "--", *args]
            binds.append(
                {
                    "destination": "/sbin/docker-init",
                    "type": "bind",
                    "source": self._init_path,
                    "options": ["bind", "ro"],
                }
            )
        joined = {
            kind: ""
            for kind, key in (("pid", "PidMode"), ("ipc", "IpcMode"), ("uts", "UTSMode"))
            if host.get(key) == "host"
        }
        spec = builder.build(
            container_id=container.container_id,
            config=config,
            host=host,
            args=args,
            rootfs=merged,
            hostname=hostname,
            mounts=[*binds, *mountpoints.oci_mounts(container.mounts, host.get("Tmpfs") or {})],
            netns=attachment.netns_path,
            namespaces=joined,
            own_hostname=host.get("UTSMode") != "host",
        )
        if mode == "host":
            spec["linux"]["sysctl"] = {
                key: value
                for key, value in spec["linux"]["sysctl"].items()
                if not key.startswith("net.")
            }
        elif not privileged_ports_set(host):
            # As Docker since 20.10: any user may listen on any port of its own network, and ping.
            spec["linux"]["sysctl"] = {
                "net.ipv4.ip_unprivileged_port_start": "0",
                "net.ipv4.ping_group_range": "0 2147483647",
                **spec["linux"]["sysctl"],
            }
        if mode.startswith("container:"):
            spec["linux"]["sysctl"] = {}
        return spec

    # -- the end of a process

    async def _clean_up(self, container: Container) -> None:
        """Take away what a running container has besides its record; each step is harmless when repeated."""
        container_id = container.container_id
        attachment = self.networks.attachment(container_id)
        for step in (self._tasks.delete, self.networks.detach):
            try:
                await step(container_id)
            except (EngineError, OSError) as error:
                logger.warning(
                    "clean-up failed", extra={"container": container_id, "error": str(error)}
                )
        self._network_events(container, "disconnect", attachment)
        merged = self.merged_dir(container)
        self._unmount(merged)
        with contextlib.suppress(OSError):
            os.rmdir(merged)

    async def exited(self, container_id: str, ended: Exited) -> None:
        """The container's own process has ended."""
        container = self.store.find(container_id)
        if container is None:
            return
        async with container.lock:
            if not container.running:
                return
            await self._exited(container, ended)

    async def _exited(self, container: Container, ended: Exited) -> None:
        started = _seconds(container.state["StartedAt"])
        # The event of it may have come while nobody listened; the cgroup stays until the task is deleted.
        if cgroups.oom_kills(builder.cgroup_path(container.container_id, container.host)):
            self.oom(container.container_id)
        container.state.update(
            Status="exited",
            Running=False,
            Paused=False,
            Pid=0,
            ExitCode=ended.status,
            FinishedAt=moment(ended.at / 1e9),
        )
        restart = self._should_restart(container)
        auto_remove = bool(container.host.get("AutoRemove")) and not restart
        container.state["Restarting"] = restart
        if restart:
            container.state["Status"] = "restarting"
        # Durable before visible: a client that saw the end must find it after a crash.
        container.save()
        self._event(container, "die", {"exitCode": str(ended.status)})
        if not auto_remove:
            self._finish_waiters(container)
        await self._clean_up(container)
        if restart:
            delay = self._backoff.get(container.container_id, _FIRST_BACKOFF)
            if ended.at / 1e9 - started > _STABLE:
                delay = _FIRST_BACKOFF
            self._backoff[container.container_id] = min(_LONGEST_BACKOFF, delay * 2)
            container.restart_count += 1
            container.restarting = self._spawn(self._restart_later(container, delay))
        elif auto_remove:
            self._finish_waiters(container, only_exit=True)
            self._begin(self._auto_remove(container))

    def _should_restart(self, container: Container) -> bool:
        policy = container.host.get("RestartPolicy") or {}
        name = policy.get("Name") or "no"
        if container.manually_stopped or container.removing or name == "no":
            return False
        if name == "on-failure":
            most = policy.get("MaximumRetryCount") or 0
            return container.state["ExitCode"] != 0 and (not most or container.restart_count < most)
        return True

    async def _restart_later(self, container: Container, delay: float) -> None:
        await asyncio.sleep(delay)
        async with container.lock:
            container.restarting = None
            if (
                not container.state["Restarting"]
                or container.manually_stopped
                or container.removing
            ):
                return
            container.state["Restarting"] = False
            with contextlib.suppress(EngineError):
                await self._start(container)

    async def _auto_remove(self, container: Container) -> None:
        with contextlib.suppress(EngineError):
            await self.remove(container.container_id, force=True, volumes=True)

    def oom(self, container_id: str) -> None:
        """The kernel killed a process of the container for memory."""
        container = self.store.find(container_id)
        if container is not None and not container.state["OOMKilled"]:
            container.state["OOMKilled"] = True
            self._event(container, "oom")

    def _finish_waiters(self, container: Container, *, only_exit: bool = False) -> None:
        for condition in ("next-exit", "not-running"):
            for waiter in container.waiters.pop(condition, []):
                if not waiter.done():
                    waiter.set_result(container.state["ExitCode"])
        del only_exit

    # -- verbs

    async def wait(self, reference: str, condition: str) -> int:
        """The exit code, once the condition holds; raises NotFound, InvalidArgument."""
        container = self.store.get(reference)
        if condition not in {"", "not-running", "next-exit", "removed"}:
            raise InvalidArgument(f'invalid condition: "{condition}"')
        condition = condition or "not-running"
        if (
            condition == "not-running"
            and not container.running
            and not container.state["Restarting"]
        ):
            return int(container.state["ExitCode"])
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        container.waiters.setdefault(condition, []).append(waiter)
        return await waiter

    async def kill(self, reference: str, signal: str) -> None:
        """Send a signal; raises Conflict for a container that does not run."""
        container = self.store.get(reference)
        number = signal_number(signal or "SIGKILL")
        if not container.running:
            raise Conflict(
                f"cannot kill container: {reference}: container {container.container_id} is not running"
            )
        if number in {signals.SIGKILL, signals.SIGTERM} or number == self._stop_signal(container):
            container.manually_stopped = True
        with contextlib.suppress(NotFound):
            await self._tasks.kill(container.container_id, number)
        if container.state["Paused"] and number == signals.SIGKILL:
            with contextlib.suppress(EngineError):
                await self._tasks.pause(container.container_id, paused=False)
        self._event(container, "kill", {"signal": str(number)})

    def _stop_signal(self, container: Container) -> int:
        text = container.config.get("StopSignal")
        return signal_number(text) if text else int(signals.SIGTERM)

    async def stop(self, reference: str, timeout: int | None, signal: str = "") -> None:
        """Ask it to end, then kill it; raises NotModified if it does not run."""
        container = self.store.get(reference)
        if container.state["Restarting"]:
            await self._end_restarting(container)
        if not container.running:
            raise NotModified("container already stopped")
        container.manually_stopped = True
        container.save()
        if timeout is None:
            timeout = container.config.get("StopTimeout")
        patience = 10 if timeout is None else timeout
        number = signal_number(signal) if signal else self._stop_signal(container)
        waiter = self._spawn(self.wait(container.container_id, "not-running"))
        with contextlib.suppress(NotFound):
            await self._tasks.kill(container.container_id, number)
        self._event(container, "kill", {"signal": str(number)})
        try:
            async with asyncio.timeout(patience if patience >= 0 else None):
                await asyncio.shield(waiter)
        except TimeoutError:
            with contextlib.suppress(NotFound):
                await self._tasks.kill(container.container_id, signals.SIGKILL)
            self._event(container, "kill", {"signal": "9"})
            await waiter
        self._event(container, "stop")

    async def _end_restarting(self, container: Container) -> None:
        async with container.lock:
            container.manually_stopped = True
            if container.restarting is not None:
                container.restarting.cancel()
                container.restarting = None
            if not container.running:
                container.state.update(Restarting=False, Status="exited")
                container.save()
                self._finish_waiters(container)

    async def restart(self, reference: str, timeout: int | None, signal: str = "") -> None:
        """Stop and start."""
        container = self.store.get(reference)
        with contextlib.suppress(NotModified):
            await self.stop(container.container_id, timeout, signal)
        async with container.lock:
            container.manually_stopped = False
            if not container.running:
                await self._start(container)
        self._event(container, "restart")

    async def pause(self, reference: str, *, paused: bool) -> None:
        """Freeze or thaw."""
        container = self.store.get(reference)
        async with container.lock:
            if not container.running:
                raise Conflict(f"container {container.container_id} is not running")
            if paused and container.state["Paused"]:
                raise Conflict(f"container {container.container_id} is already paused")
            if not paused and not container.state["Paused"]:
                raise Conflict(f"Container {container.container_id} is not paused")
            await self._tasks.pause(container.container_id, paused=paused)
            container.state.update(Paused=paused, Status="paused" if paused else "running")
            container.save()
        self._event(container, "pause" if paused else "unpause")

    async def resize(self, reference: str, height: int, width: int) -> None:
        """Set the size of the terminal."""
        container = self.store.get(reference)
        if not container.running:
            raise Conflict(f"container {container.container_id} is not running")
        await self._tasks.resize(container.container_id, width, height)

    async def rename(self, reference: str, name: str) -> None:
        """Give it another name."""
        container = self.store.get(reference)
        name = name.removeprefix("/")
        if not name or not hostconfig.NAME.fullmatch(name):
            raise InvalidArgument(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
        if name == container.name:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        self.store.reserve(name, container.container_id)
        old = container.name
        container.name = name
        try:
            container.save()
        except OSError:
            container.name = old
            self.store.release(name)
            raise
        self.store.release(old)
        await self.networks.rename(container.container_id, name)
        self._event(container, "rename", {"oldName": f"/{old}"})

    async def remove(self, reference: str, *, force: bool, volumes: bool) -> None:
        """Remove; raises Conflict for a running container without ``force``."""
        container = self.store.get(reference)
        if container.removing:
            raise Conflict(f"removal of container {container.name} is already in progress")
        if (container.running or container.state["Restarting"]) and not force:
            what = (
                "paused"
                if container.state["Paused"]
                else "running"
                if container.running
                else "restarting"
            )
            raise Conflict(
                f'cannot remove container "{container.name}": container is {what}: stop the container before removing'
                " or force remove"
            )
        container.removing = True
        try:
            if container.state["Restarting"]:
                await self._end_restarting(container)
            if container.running:
                container.manually_stopped = True
                waiter = self._spawn(self.wait(container.container_id, "not-running"))
                if container.state["Paused"]:
                    with contextlib.suppress(EngineError):
                        await self._tasks.pause(container.container_id, paused=False)
                with contextlib.suppress(NotFound):
                    await self._tasks.kill(container.container_id, signals.SIGKILL)
                await waiter
            async with container.lock:
                await self._clean_up(container)
                await self._tasks.remove_snapshot(container.container_id)
                container.erase()
                self.store.discard(container)
        except BaseException:
            container.removing = False
            raise
        self._close_pending(container)
        self._backoff.pop(container.container_id, None)
        if volumes:
            self._remove_anonymous(container)
        self._event(container, "destroy")
        for waiters in container.waiters.values():
            for future in waiters:
                if not future.done():
                    future.set_result(container.state["ExitCode"])

    def _remove_anonymous(self, container: Container) -> None:
        from dockerd.volumes.store import ANONYMOUS_LABEL

        for point in container.mounts:
            if point["Type"] == "volume":
                with contextlib.suppress(EngineError):
                    if ANONYMOUS_LABEL in self.volumes.get(point["Name"]).labels:
                        self.volumes.remove(point["Name"], self.volume_users(point["Name"]))

    def volume_users(self, name: str) -> set[str]:
        """The containers that refer to a volume."""
        return {
            container.container_id
            for container in self.store
            if any(point.get("Name") == name for point in container.mounts)
        }

    async def prune(self) -> tuple[list[str], int]:
        """Remove all stopped containers; their ids and the bytes they took."""
        removed, size = [], 0
        for container in self.store:
            if not container.running and not container.state["Restarting"]:
                with contextlib.suppress(EngineError):
                    size += await self._tasks.usage(container.container_id)
                    await self.remove(container.container_id, force=False, volumes=False)
                    removed.append(container.container_id)
        return removed, size

    async def update(self, reference: str, changes: dict[str, Any]) -> None:
        """Change limits and restart policy."""
        container = self.store.get(reference)
        host = {**container.host, **changes}
        hostconfig.validate(container.config, host, self._runtimes)
        async with container.lock:
            limits = {key: value for key, value in changes.items() if key != "RestartPolicy"}
            if container.running and any(limits.values()):
                resources = builder.resource_limits(host)
                resources.pop("devices")
                await self._tasks.update(container.container_id, resources)
            container.host = host
            container.save()
        self._event(container, "update")

    async def top(self, reference: str) -> tuple[list[str], list[list[str]]]:
        """Titles and rows, as `ps -ef` would show them, read from /proc: nothing of the container is executed."""
        container = self.store.get(reference)
        if not container.running:
            raise Conflict(f"container {container.container_id} is not running")
        rows = []
        for pid in await self._tasks.pids(container.container_id):
            with contextlib.suppress(OSError, IndexError, ValueError):
                rows.append(_process_row(pid))
        return ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], rows

    async def layers(self, container: Container) -> tuple[list[str], str, str] | None:
        """Lower directories, upper and work directory of its snapshot; None if there is none."""
        try:
            mounts = await self._tasks.mounts(container.container_id)
        except EngineError:
            return None
        found = {"lowerdir": "", "upperdir": "", "workdir": ""}
        for kind, source, options in mounts:
            if kind == "bind":
                found["upperdir"] = source
            for option in options:
                key, _, value = option.partition("=")
                if key in found:
                    found[key] = value
        return found["lowerdir"].split(":"), found["upperdir"], found["workdir"]

    async def size(self, container: Container) -> int:
        """The bytes of its writable layer."""
        return await self._tasks.usage(container.container_id)

    async def attach(
        self, reference: str, message: dict[str, Any], client: int
    ) -> attach.HandedOver | None:
        """Hand a client over, now or when the container starts."""
        container = self.store.get(reference)
        self._event(container, "attach")
        if not container.running:
            container.pending.append((message, client))
            return None
        return await attach.hand_over(self.attach_path(container.container_id), message, client)

    @staticmethod
    def _close_pending(container: Container) -> None:
        for _, client in container.pending:
            os.close(client)
        container.pending.clear()

    # -- watching and reconciling

    async def watch(self) -> None:
        """Follow containerd's events for ever; after each interruption the truth is fetched again."""
        pause = 0.05
        while True:
            subscribed = asyncio.Event()
            watching = self._spawn(self._watch_once(subscribed.set))
            try:
                # What ends after the truth was fetched must come as an event.
                await subscribed.wait()
                await self.reconcile()
                pause = 0.05
                await watching
            except (EngineError, OSError) as error:
                logger.warning("containerd is away", extra={"error": str(error)})
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 2)

    async def _watch_once(self, on_subscribed: Callable[[], None]) -> None:
        async for event in self._tasks.watch(on_subscribed):
            if event.kind == "oom":
                self.oom(event.container_id)
            elif event.exited is not None:
                if event.process_id == event.container_id:
                    self._begin(self.exited(event.container_id, event.exited))
                else:
                    self._on_exec_exit(event.container_id, event.process_id, event.exited)

    async def reconcile(self) -> None:
        """Bring the records in line with containerd."""
        await self._reconcile_tasks()
        await self._on_reconcile()

    async def _reconcile_tasks(self) -> None:
        for container in self.store:
            async with container.lock:
                state = await self._tasks.state(container.container_id)
                if container.running and (state is None or not state.running):
                    ended = (
                        state.exited
                        if state is not None and state.exited is not None
                        else Exited(137, _now_ns())
                    )
                    await self._exited(container, ended)
                elif (
                    state is not None
                    and state.running
                    and not container.running
                    and not container.removing
                ):
                    # Started by a daemon that died before it could write that down.
                    container.state.update(
                        Status="running",
                        Running=True,
                        Paused=state.paused,
                        Pid=state.pid,
                        StartedAt=now(),
                    )
                    container.save()
                elif state is not None and not container.running:
                    await self._clean_up(container)

    def restart_wanted(self) -> None:
        """At the daemon's start: containers whose policy says so and that do not run are started."""
        for container in self.store:
            name = (container.host.get("RestartPolicy") or {}).get("Name") or "no"
            wanted = name == "always" or (
                name == "unless-stopped" and not container.manually_stopped
            )
            started = container.state["StartedAt"] != "0001-01-01T00:00:00Z"
            due = (wanted and started and not container.running) or container.state["Restarting"]
            if due and container.restarting is None:
                container.state["Restarting"] = True
                container.restarting = self._spawn(self._restart_later(container, 0))

    def running_ids(self) -> set[str]:
        """The ids of the containers that run."""
        return {container.container_id for container in self.store if container.running}

    # -- inside

    def _event(self, container: Container, action: str, more: dict[str, str] | None = None) -> None:
        attributes = {
            **(container.config.get("Labels") or {}),
            "image": container.image_name,
            "name": container.name,
        }
        self._events.publish(
            "container", action, container.container_id, {**attributes, **(more or {})}
        )

    def _network_events(
        self, container: Container, action: str, attachment: Attachment | None
    ) -> None:
        for endpoint in attachment.endpoints if attachment else ():
            network = self.networks.inspect(endpoint.network_name).network
            attributes = {
                "container": container.container_id,
                "name": network.name,
                "type": network.driver,
            }
            self._events.publish("network", action, network.network_id, attributes)

    def _begin(self, coroutine: Any) -> None:
        """Background work that nobody waits for."""
        task = self._spawn(coroutine)
        del task

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EngineError):
            logger.error("background work failed", exc_info=error)

    async def close(self) -> None:
        """Stop watching; containers go on."""
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)


def privileged_ports_set(host: dict[str, Any]) -> bool:
    """Whether the user decides about low ports."""
    return "net.ipv4.ip_unprivileged_port_start" in (host.get("Sysctls") or {})


def _with_image(config: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """The image's configuration under the user's."""
    merged = dict(config)
    merged.setdefault("Labels", None)
    merged["Labels"] = {**(image.get("Labels") or {}), **(config.get("Labels") or {})}
    own = {each.partition("=")[0] for each in config.get("Env") or []}
    merged["Env"] = [
        *(each for each in image.get("Env") or [] if each.partition("=")[0] not in own),
        *(config.get("Env") or []),
    ]
    for key in ("User", "WorkingDir", "StopSignal"):
        if not merged.get(key) and image.get(key):
            merged[key] = image[key]
    for key in ("ExposedPorts", "Volumes"):
        merged[key] = {**(image.get(key) or {}), **(config.get(key) or {})} or None
    if not merged.get("Entrypoint"):
        if not merged.get("Cmd"):
            merged["Cmd"] = image.get("Cmd")
        if merged.get("Entrypoint") is None:
            merged["Entrypoint"] = image.get("Entrypoint")
    elif merged["Entrypoint"] == [""]:
        merged["Entrypoint"] = None
    if isinstance(merged.get("Cmd"), str):
        merged["Cmd"] = [merged["Cmd"]]
    return merged


def signal_number(text: str) -> int:
    """``TERM``, ``SIGTERM`` or ``15``; raises InvalidArgument in Docker's words."""
    if text.isdigit():
        number = int(text)
        if 1 <= number <= 64:
            return number
    else:
        name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
        found = re.fullmatch(r"SIGRTMIN\+(\d+)", name)
        if found and int(found[1]) <= 30:
            return 34 + int(found[1])
        with contextlib.suppress(KeyError):
            return int(signals.Signals[name])
    raise InvalidArgument(f"invalid signal: {text}")


def _start_code(message: str) -> int:
    if "executable file not found" in message or "no such file or directory" in message:
        return 127
    if "permission denied" in message or "is a directory" in message:
        return 126
    return 128


def _now_ns() -> int:
    import time

    return time.time_ns()


def _seconds(text: str) -> float:
    from datetime import UTC, datetime

    try:
        return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _process_row(pid: int) -> list[str]:
    import time

    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    if not command:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            command = f"[{file.read().strip()}]"
    uid = os.stat(f"/proc/{pid}").st_uid
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) // ticks
    with open("/proc/stat", encoding="ascii") as file:
        boot = next(int(line.split()[1]) for line in file if line.startswith("btime"))
    started = time.strftime("%H:%M", time.localtime(boot + int(fields[19]) / ticks))
    user = "root" if uid == 0 else str(uid)
    tty = "?" if int(fields[4]) == 0 else f"pts/{os.minor(int(fields[4]))}"
    duration = f"{used // 3600:02}:{used // 60 % 60:02}:{used % 60:02}"
    return [user, str(pid), fields[1], "0", started, tty, duration, command]
