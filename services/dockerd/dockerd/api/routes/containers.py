"""Containers: collections and single ones."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dockerd.api import params, streams
from dockerd.api.deps import Containers, Execs, PendingWaits
from dockerd.containers import attach as handover
from dockerd.containers import views
from dockerd.containers.model import Container
from dockerd.containers.service import ContainerService
from dockerd.logdrivers import jsonfile
from wire.errors import Conflict, InvalidArgument, NotImplementedYet

router = APIRouter()

_FILTERS = frozenset(
    {"ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label", "name", "network",
     "publish", "since", "status", "volume"}
)  # fmt: skip


@router.get("/containers/json")
async def list_containers(request: Request, containers: Containers) -> JSONResponse:
    """`docker ps`."""
    wanted = params.filters(request, _FILTERS)
    for key in ("health", "isolation", "is-task", "expose", "publish"):
        if key in wanted:
            raise InvalidArgument(f"filter '{key}' is not supported yet")
    show_all = params.boolean(request, "all") or "status" in wanted or "exited" in wanted
    limit = params.integer(request, "limit") or 0
    found = sorted(containers.store, key=lambda each: each.created, reverse=True)
    found = [
        each
        for each in found
        if (show_all or limit or each.running) and _matches(each, wanted, containers)
    ]
    if limit > 0:
        found = found[:limit]
    sized = params.boolean(request, "size")
    answer = []
    for each in found:
        entry = views.summary(each, containers.networks)
        if sized:
            entry["SizeRw"] = await containers.size(each)
            entry["SizeRootFs"] = entry["SizeRw"]
        answer.append(entry)
    return JSONResponse(answer)


def _matches(container: Container, wanted: dict[str, list[str]], service: ContainerService) -> bool:
    labels = container.config.get("Labels") or {}
    checks: dict[str, Any] = {
        "id": container.container_id.startswith,
        "name": lambda value: value.strip("^$/") in container.name
        if not value.startswith("^")
        else container.name.startswith(value.strip("^$/")) and (not value.endswith("$") or container.name == value.strip("^$/")),
        "status": lambda value: container.state["Status"] == value,
        "exited": lambda value: container.state["Status"] == "exited" and str(container.state["ExitCode"]) == value,
        "ancestor": lambda value: container.image.removeprefix("sha256:").startswith(value.removeprefix("sha256:"))
        or container.image_name in {value, f"{value}:latest"},
        "network": lambda value: (container.host.get("NetworkMode") or "default").replace("default", "bridge") == value
        or service.networks.inspect(value).network.name == (container.host.get("NetworkMode") or "bridge"),
        "volume": lambda value: any(
            value in {point.get("Name"), point["Destination"], point["Source"]} for point in container.mounts
        ),
        "before": lambda value: container.created < service.store.get(value).created,
        "since": lambda value: container.created > service.store.get(value).created,
    }  # fmt: skip
    for key, values in wanted.items():
        if key == "label":
            if not all(
                labels.get(value.partition("=")[0]) == value.partition("=")[2]
                if "=" in value
                else value in labels
                for value in values
            ):
                return False
        elif not any(checks[key](value) for value in values):
            return False
    return True


@router.post("/containers/create")
async def create(request: Request, containers: Containers) -> JSONResponse:
    """`docker create`."""
    document = await params.body(request)
    host = document.pop("HostConfig", None) or {}
    networking = document.pop("NetworkingConfig", None) or {}
    name = request.query_params.get("name") or ""
    container_id, warnings = await containers.create(name, document, host, networking)
    return JSONResponse({"Id": container_id, "Warnings": warnings}, 201)


@router.post("/containers/prune")
async def prune(request: Request, containers: Containers) -> JSONResponse:
    """Remove all that are stopped."""
    if params.filters(request):
        raise InvalidArgument("filters of prune are not supported yet")
    removed, size = await containers.prune()
    return JSONResponse({"ContainersDeleted": removed or None, "SpaceReclaimed": size})


@router.get("/containers/{reference}/json")
async def inspect(
    reference: str, request: Request, containers: Containers, execs: Execs
) -> JSONResponse:
    """`docker inspect`."""
    container = containers.store.get(reference)
    document = views.inspect(
        container,
        containers.networks,
        await containers.layers(container),
        containers.merged_dir(container),
        execs.running_in(container.container_id),
    )
    if params.boolean(request, "size"):
        document["SizeRw"] = await containers.size(container)
        document["SizeRootFs"] = document["SizeRw"]
    return JSONResponse(document)


@router.post("/containers/{reference}/start")
async def start(reference: str, containers: Containers) -> Response:
    """`docker start`."""
    await containers.start(reference)
    return Response(status_code=204)


@router.post("/containers/{reference}/stop")
async def stop(reference: str, request: Request, containers: Containers) -> Response:
    """`docker stop`."""
    await containers.stop(
        reference, params.integer(request, "t"), request.query_params.get("signal") or ""
    )
    return Response(status_code=204)


@router.post("/containers/{reference}/restart")
async def restart(reference: str, request: Request, containers: Containers) -> Response:
    """`docker restart`."""
    await containers.restart(
        reference, params.integer(request, "t"), request.query_params.get("signal") or ""
    )
    return Response(status_code=204)


@router.post("/containers/{reference}/kill")
async def kill(reference: str, request: Request, containers: Containers) -> Response:
    """`docker kill`."""
    await containers.kill(reference, request.query_params.get("signal") or "SIGKILL")
    return Response(status_code=204)


@router.post("/containers/{reference}/pause")
async def pause(reference: str, containers: Containers) -> Response:
    """`docker pause`."""
    await containers.pause(reference, paused=True)
    return Response(status_code=204)


@router.post("/containers/{reference}/unpause")
async def unpause(reference: str, containers: Containers) -> Response:
    """`docker unpause`."""
    await containers.pause(reference, paused=False)
    return Response(status_code=204)


@router.post("/containers/{reference}/rename")
async def rename(reference: str, request: Request, containers: Containers) -> Response:
    """`docker rename`."""
    await containers.rename(reference, request.query_params.get("name") or "")
    return Response(status_code=204)


@router.post("/containers/{reference}/resize")
async def resize(reference: str, request: Request, containers: Containers) -> Response:
    """The client's terminal has another size."""
    await containers.resize(
        reference, params.integer(request, "h") or 0, params.integer(request, "w") or 0
    )
    return Response(status_code=200)


@router.post("/containers/{reference}/update")
async def update(reference: str, request: Request, containers: Containers) -> JSONResponse:
    """`docker update`."""
    changes = {key: value for key, value in (await params.body(request)).items() if value}
    await containers.update(reference, changes)
    return JSONResponse({"Warnings": None})


@router.get("/containers/{reference}/top")
async def top(reference: str, request: Request, containers: Containers) -> JSONResponse:
    """`docker top`."""
    if request.query_params.get("ps_args") not in {None, "", "-ef"}:
        raise InvalidArgument("ps_args: only -ef is supported")
    titles, rows = await containers.top(reference)
    return JSONResponse({"Titles": titles, "Processes": rows})


@router.delete("/containers/{reference}")
async def remove(reference: str, request: Request, containers: Containers) -> Response:
    """`docker rm`."""
    if params.boolean(request, "link"):
        raise InvalidArgument("removing links is not supported")
    await containers.remove(
        reference, force=params.boolean(request, "force"), volumes=params.boolean(request, "v")
    )
    return Response(status_code=204)


@router.post("/containers/{reference}/wait")
async def wait(
    reference: str, request: Request, containers: Containers, waits: PendingWaits
) -> Response:
    """Answered when the condition holds, by this daemon or the next."""
    container = containers.store.get(reference)
    condition = request.query_params.get("condition") or "not-running"
    if condition not in {"not-running", "next-exit", "removed"}:
        raise InvalidArgument(f'invalid condition: "{condition}"')
    waits.begin(container.container_id, condition, streams.begin_wait(request))
    return streams.Taken()


@router.post("/containers/{reference}/attach")
async def attach(reference: str, request: Request, containers: Containers) -> Response:
    """The client's connection goes to the shim."""
    container = containers.store.get(reference)
    if container.state["Paused"]:
        raise Conflict(f"container {reference} is paused, unpause the container before attach")
    framed = not container.terminal
    descriptor, early = streams.upgrade(request, framed=framed)
    message = handover.request(
        exec_id="",
        stdin=params.boolean(request, "stdin"),
        stdout=params.boolean(request, "stdout"),
        stderr=params.boolean(request, "stderr"),
        multiplexed=framed,
        detach_keys=request.query_params.get("detachKeys") or "",
        logs=params.boolean(request, "logs"),
        stream=params.boolean(request, "stream"),
        early=early,
    )
    await containers.attach(reference, message, descriptor)
    return streams.Taken()


@router.get("/containers/{reference}/logs")
async def logs(reference: str, request: Request, containers: Containers) -> StreamingResponse:
    """`docker logs`."""
    container = containers.store.get(reference)
    names = {name for name in ("stdout", "stderr") if params.boolean(request, name)}
    if not names:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    if not container.log_path:
        raise NotImplementedYet("configured logging driver does not support reading")
    tail_text = request.query_params.get("tail") or "all"
    tail = int(tail_text) if tail_text.lstrip("-").isdigit() and int(tail_text) >= 0 else None
    since = params.moment(request.query_params.get("since"))
    until = params.moment(request.query_params.get("until"))
    timestamps = params.boolean(request, "timestamps")
    framed = not container.terminal
    following = params.boolean(request, "follow")

    async def chunks() -> AsyncIterator[bytes]:
        if following:
            entries = jsonfile.follow(
                container.log_path,
                tail,
                lambda: not container.running and not container.state["Restarting"],
            )
        else:
            entries = _listed(container.log_path, tail)
        async for entry in entries:
            if entry.stream not in names:
                continue
            if since is not None and entry.seconds < since:
                continue
            if until is not None and entry.seconds > until:
                return
            text = f"{_fixed(entry.time)} ".encode() + entry.text if timestamps else entry.text
            if framed:
                text = struct.pack(">BxxxI", 1 if entry.stream == "stdout" else 2, len(text)) + text
            yield text

    return StreamingResponse(chunks(), media_type=streams.content_type(request, framed=framed))


def _fixed(moment: str) -> str:
    """As Docker prints log times: nine digits of a second, so that columns line up."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:<09}Z"


async def _listed(path: str, tail: int | None) -> AsyncIterator[jsonfile.Entry]:
    for entry in jsonfile.read(path, tail):
        yield entry


@router.post("/containers/{reference}/exec")
async def create_exec(reference: str, request: Request, execs: Execs) -> JSONResponse:
    """`docker exec`, first half."""
    return JSONResponse({"Id": execs.create(reference, await params.body(request))}, 201)


@router.post("/exec/{exec_id}/start")
async def start_exec(exec_id: str, request: Request, execs: Execs) -> Response:
    """`docker exec`, second half."""
    options = json.loads(await request.body() or b"{}")
    found = execs.get(exec_id)
    terminal = bool(found.config.get("Tty"))
    if options.get("ConsoleSize"):
        found.config["ConsoleSize"] = options["ConsoleSize"]
    if options.get("Detach"):
        await execs.start(exec_id, detach=True, terminal=terminal, message=None, client=None)
        return Response(status_code=200)
    execs.check_startable(found)
    descriptor, early = streams.upgrade(request, framed=not terminal)
    message = handover.request(
        exec_id=exec_id,
        stdin=bool(found.config.get("AttachStdin")),
        stdout=bool(found.config.get("AttachStdout")),
        stderr=bool(found.config.get("AttachStderr")),
        multiplexed=not terminal,
        detach_keys=found.config.get("DetachKeys") or "",
        logs=False,
        stream=True,
        early=early,
    )
    await execs.start(exec_id, detach=False, terminal=terminal, message=message, client=descriptor)
    return streams.Taken()


@router.post("/exec/{exec_id}/resize")
async def resize_exec(exec_id: str, request: Request, execs: Execs) -> Response:
    """The client's terminal has another size."""
    await execs.resize(
        exec_id, params.integer(request, "h") or 0, params.integer(request, "w") or 0
    )
    return Response(status_code=200)


@router.get("/exec/{exec_id}/json")
async def inspect_exec(exec_id: str, execs: Execs) -> JSONResponse:
    """How an exec stands."""
    found = execs.get(exec_id)
    await execs.settle(found)
    config = found.config
    return JSONResponse(
        {
            "ID": exec_id,
            "Running": found.running,
            "ExitCode": found.exit_code,
            "ProcessConfig": {
                "tty": bool(config.get("Tty")),
                "entrypoint": config["Cmd"][0],
                "arguments": config["Cmd"][1:],
                "privileged": bool(config.get("Privileged")),
                "user": config.get("User") or "",
            },
            "OpenStdin": bool(config.get("AttachStdin")),
            "OpenStderr": bool(config.get("AttachStderr")),
            "OpenStdout": bool(config.get("AttachStdout")),
            "CanRemove": not found.running,
            "ContainerID": found.container.container_id,
            "DetachKeys": "",
            "Pid": found.pid,
        }
    )
