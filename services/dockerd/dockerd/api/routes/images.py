"""Images."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dockerd.api import params, streams
from dockerd.api.deps import Containers, Events, Images
from dockerd.containers.views import image_summary
from dockerd.events.bus import EventBus
from dockerd.images.progress import PullProgress
from dockerd.images.reference import parse
from dockerd.images.store import ImageStore
from wire.errors import (
    Conflict,
    EngineError,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)

router = APIRouter()


@router.get("/images/json")
async def list_images(request: Request, images: Images, containers: Containers) -> JSONResponse:
    """`docker images`."""
    wanted = params.filters(
        request, frozenset({"reference", "dangling", "label", "before", "since", "until"})
    )
    for key in ("before", "since", "until"):
        if key in wanted:
            raise InvalidArgument(f"filter '{key}' is not supported yet")
    found = await images.list()
    used = [container.image for container in containers.store]
    answer = []
    for image in found:
        labels = (image.config.get("config") or {}).get("Labels") or {}
        tags = image.tags
        if "reference" in wanted and not any(
            _reference_matches(tag, pattern) for tag in tags for pattern in wanted["reference"]
        ):
            continue
        if "dangling" in wanted and (not tags) != (wanted["dangling"][0].lower() in {"true", "1"}):
            continue
        if not all(
            labels.get(value.partition("=")[0]) == value.partition("=")[2]
            if "=" in value
            else value in labels
            for value in wanted.get("label", [])
        ):
            continue
        answer.append(image_summary(image, used.count(image.image_id)))
    return JSONResponse(sorted(answer, key=lambda each: each["Created"], reverse=True))


def _reference_matches(tag: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(tag, pattern) or fnmatchcase(tag.rpartition(":")[0], pattern)


@router.post("/images/create")
async def create(request: Request, images: Images, events: Events) -> Response:
    """`docker pull` and `docker import`."""
    query = request.query_params
    if query.get("fromSrc"):
        return await _import(request, images, events)
    if query.get("platform") not in {None, "", "linux/amd64", "linux"}:
        raise InvalidArgument(f"platform {query.get('platform')!r} is not supported")
    name, tag = query.get("fromImage") or "", query.get("tag") or ""
    if not name:
        raise InvalidArgument("invalid reference format")
    reference = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}" if tag else name
    parsed = parse(reference)
    auth = _auth(request)

    async def lines() -> AsyncIterator[bytes]:
        progress = PullProgress(parsed)
        yield _line(
            {"status": f"Pulling from {parsed.path}", "id": parsed.digest or parsed.tag or "latest"}
        )
        try:
            async for notice in images.pull(reference, auth):
                for entry in progress.translate(notice):
                    yield _line(entry)
        except EngineError as error:
            yield _failure(_pull_message(error, reference))
            return
        yield _line({"status": f"Digest: {progress.digest}"})
        word = "Downloaded newer image for" if progress.fetched else "Image is up to date for"
        yield _line({"status": f"Status: {word} {parsed.familiar}"})
        events.publish("image", "pull", parsed.familiar, {"name": parsed.familiar_name})

    # Errors before the first byte have a status of their own.
    source = lines()
    first = await anext(source)
    second = await anext(source, b"")
    if b'"errorDetail"' in second:
        document = json.loads(second)
        raise _as_error(document["error"])

    async def rest() -> AsyncIterator[bytes]:
        yield first
        yield second
        async for line in source:
            yield line

    return StreamingResponse(rest(), media_type="application/json")


async def _import(request: Request, images: ImageStore, events: EventBus) -> Response:
    query = request.query_params
    if query["fromSrc"] != "-":
        raise InvalidArgument("fromSrc: importing from a URL is not supported yet")
    if query.get("platform") not in {None, "", "linux/amd64", "linux"}:
        raise InvalidArgument(f"platform {query.get('platform')!r} is not supported")
    repository, tag = query.get("repo") or "", query.get("tag") or ""
    name = parse(f"{repository}:{tag}" if tag else repository) if repository else None
    if name is not None and name.digest:
        raise InvalidArgument("cannot import digest reference")
    image_id = await images.import_tree(
        request.stream(),
        name.full if name else "",
        query.getlist("changes"),
        query.get("message") or "",
    )
    events.publish("image", "import", image_id, {"name": name.familiar if name else image_id})
    return Response(_line({"status": image_id}), media_type="application/json")


def _as_error(text: str) -> EngineError:
    if "not found" in text or "does not exist" in text:
        return NotFound(text)
    return Internal(text)


def _pull_message(error: EngineError, reference: str) -> str:
    if isinstance(error, NotFound):
        return f"manifest for {reference} not found: manifest unknown: manifest unknown"
    if isinstance(error, (Unauthenticated, PermissionDenied)):
        return (
            f"pull access denied for {parse(reference).familiar_name}, repository does not exist or may require"
            " 'docker login': denied: requested access to the resource is denied"
        )
    return error.message


def _auth(request: Request) -> dict[str, str] | None:
    text = request.headers.get("x-registry-auth")
    if not text:
        return None
    try:
        document: dict[str, str] = json.loads(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        )
    except ValueError:
        raise InvalidArgument("invalid X-Registry-Auth header") from None
    return document if document.get("username") or document.get("identitytoken") else None


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\r\n"


def _failure(text: str) -> bytes:
    return _line({"errorDetail": {"message": text}, "error": text})


@router.post("/images/load")
async def load(request: Request, images: Images) -> Response:
    """`docker load`."""

    async def lines() -> AsyncIterator[bytes]:
        try:
            async for notice in images.load(request.stream()):
                if "@" in notice.name:
                    yield _line({"stream": f"Loaded image ID: {notice.name.rpartition('@')[2]}\n"})
                else:
                    yield _line({"stream": f"Loaded image: {parse(notice.name).familiar}\n"})
        except EngineError as error:
            yield _failure(error.message)

    return streams.WhileReading(lines(), media_type="application/json")


@router.get("/images/get")
async def save_many(request: Request, images: Images) -> Response:
    """`docker save` of several images."""
    return await _save(request.query_params.getlist("names"), images)


@router.get("/images/{reference:path}/get")
async def save(reference: str, images: Images) -> Response:
    """`docker save`."""
    return await _save([reference], images)


async def _save(names: list[str], images: Images) -> Response:
    for name in names:
        await images.find(name)
    return StreamingResponse(images.save(names), media_type="application/x-tar")


@router.get("/images/{reference:path}/json")
async def inspect(reference: str, images: Images) -> JSONResponse:
    """`docker image inspect`."""
    image = await images.find(reference)
    config = image.config
    return JSONResponse(
        {
            "Id": image.image_id,
            "RepoTags": image.tags,
            "RepoDigests": image.repo_digests,
            "Parent": "",
            "Comment": "",
            "Created": config.get("created"),
            "DockerVersion": "",
            "Author": config.get("author") or "",
            "Config": config.get("config") or {},
            "Architecture": config.get("architecture"),
            "Os": config.get("os"),
            "Size": image.size,
            "GraphDriver": {"Name": "overlay2", "Data": None},
            "RootFS": {
                "Type": "layers",
                "Layers": (config.get("rootfs") or {}).get("diff_ids") or [],
            },
            "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
            "Descriptor": {
                "mediaType": image.target.media_type,
                "digest": image.target.digest,
                "size": image.target.size,
            },
        }
    )


@router.get("/images/{reference:path}/history")
async def history(reference: str, images: Images) -> JSONResponse:
    """`docker history`."""
    image = await images.find(reference)
    sizes = [int(layer["size"]) for layer in image.layers]
    answer = []
    for entry in image.config.get("history") or []:
        size = 0 if entry.get("empty_layer") or not sizes else sizes.pop(0)
        created = params.moment((entry.get("created") or "1970-01-01T00:00:00Z")[:19] + "Z")
        answer.append(
            {
                "Id": "<missing>",
                "Created": int(created or 0),
                "CreatedBy": entry.get("created_by") or "",
                "Tags": None,
                "Size": size,
                "Comment": entry.get("comment") or "",
            }
        )
    answer.reverse()
    if answer:
        answer[0]["Id"] = image.image_id
        answer[0]["Tags"] = image.tags or None
    return JSONResponse(answer)


@router.post("/images/{reference:path}/tag")
async def tag(reference: str, request: Request, images: Images, events: Events) -> Response:
    """`docker tag`."""
    name, label = request.query_params.get("repo") or "", request.query_params.get("tag") or ""
    new = f"{name}:{label}" if label else name
    await images.tag(reference, new)
    events.publish("image", "tag", new, {"name": new})
    return Response(status_code=201)


@router.delete("/images/{reference:path}")
async def remove(
    reference: str, request: Request, images: Images, containers: Containers, events: Events
) -> JSONResponse:
    """`docker rmi`."""
    users = {container.container_id: container.image for container in containers.store}
    running = {container.container_id for container in containers.store if container.running}
    image = await images.find(reference)
    for container_id in running:
        if users[container_id] == image.image_id and len(image.names) <= 1:
            short = image.image_id[7:19]
            raise Conflict(
                f"conflict: unable to delete {reference} (cannot be forced) - image is being used by running container"
                f" {container_id[:12]}"
                if image.image_id[7:].startswith(reference.removeprefix("sha256:"))
                else f'conflict: unable to remove repository reference "{reference}" (must force) - container'
                f" {container_id[:12]} is using its referenced image {short}"
            )
    answer = await images.remove(reference, users, force=params.boolean(request, "force"))
    for entry in answer:
        for key, value in entry.items():
            events.publish(
                "image", "delete" if key == "Deleted" else "untag", value, {"name": value}
            )
    return JSONResponse(answer)
