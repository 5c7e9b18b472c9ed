"""Images."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dockerd.api import jsonstream, params
from dockerd.api.deps import (
    Containers,
    ImageInspect,
    ImageList,
    ImagePrune,
    ImageRemove,
    Load,
    Pull,
    Push,
    Save,
    Tag,
)
from dockerd.images.errors import PlatformUnsupported
from dockerd.images.load import Loader
from dockerd.images.reference import parse
from dockerd.images.save import Saver
from wire.errors import InvalidArgument

router = APIRouter()


@router.get("/images/json")
async def list_images(request: Request, lister: ImageList, containers: Containers) -> JSONResponse:
    """`docker images`."""
    used = [container.image for container in containers]
    return JSONResponse(await lister.find(params.filters(request), used))


@router.post("/images/create")
async def create(request: Request, puller: Pull, loader: Load) -> Response:
    """`docker pull` and `docker import`."""
    platform = params.text(request, "platform")
    if platform not in {"", "linux/amd64", "linux"}:
        raise PlatformUnsupported(platform)
    if params.text(request, "fromSrc"):
        return await _import(request, loader)
    name, tag = params.text(request, "fromImage"), params.text(request, "tag")
    reference = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}" if tag else name
    parse(reference)
    return await jsonstream.begun(puller.pull(reference, params.registry_auth(request)))


async def _import(request: Request, loader: Loader) -> Response:
    if params.text(request, "fromSrc") != "-":
        raise InvalidArgument("fromSrc: importing from a URL is not supported yet")
    repository, tag = params.text(request, "repo"), params.text(request, "tag")
    name = parse(f"{repository}:{tag}" if tag else repository) if repository else None
    changes = request.query_params.getlist("changes")
    image_id = await loader.import_tree(
        request.stream(), name, changes, params.text(request, "message")
    )
    return Response(jsonstream.line({"status": image_id}), media_type="application/json")


@router.post("/images/load")
async def load(request: Request, loader: Load) -> Response:
    """`docker load`."""
    return jsonstream.while_reading(loader.load(request.stream()))


@router.post("/images/prune")
async def prune(request: Request, pruner: ImagePrune, containers: Containers) -> JSONResponse:
    """`docker image prune`."""
    return JSONResponse(await pruner.prune(params.filters(request), containers.users_of_image))


@router.get("/images/get")
async def save_many(request: Request, saver: Save) -> Response:
    """`docker save` of several images."""
    return await _save(request.query_params.getlist("names"), saver)


@router.get("/images/{reference:path}/get")
async def save(reference: str, saver: Save) -> Response:
    """`docker save`."""
    return await _save([reference], saver)


async def _save(references: Sequence[str], saver: Saver) -> Response:
    names = await saver.names(references)
    return StreamingResponse(await saver.save(names), media_type="application/x-tar")


@router.get("/images/{reference:path}/json")
async def inspect(reference: str, inspector: ImageInspect) -> JSONResponse:
    """`docker image inspect`."""
    return JSONResponse(await inspector.inspect(reference))


@router.get("/images/{reference:path}/history")
async def history(reference: str, inspector: ImageInspect) -> JSONResponse:
    """`docker history`."""
    return JSONResponse(await inspector.history(reference))


@router.post("/images/{reference:path}/tag")
async def tag(reference: str, request: Request, tagger: Tag) -> Response:
    """`docker tag`."""
    await tagger.tag(reference, params.text(request, "repo"), params.text(request, "tag"))
    return Response(status_code=201)


@router.post("/images/{reference:path}/push")
async def push(reference: str, request: Request, pusher: Push) -> Response:
    """`docker push`."""
    tag = params.text(request, "tag")
    parse(f"{reference}:{tag}" if tag else reference)
    return jsonstream.at_once(pusher.push(reference, tag, params.registry_auth(request)))


@router.delete("/images/{reference:path}")
async def remove(
    reference: str, request: Request, remover: ImageRemove, containers: Containers
) -> JSONResponse:
    """`docker rmi`."""
    answer = await remover.remove(
        reference, containers.users_of_image, force=params.boolean(request, "force")
    )
    return JSONResponse(answer)
