"""Images."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from dockerd.api import jsonstream, params, versions
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
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router
from dockerd.images import platforms
from dockerd.images.load import Loader
from dockerd.images.platforms import Platform
from dockerd.images.reference import parse
from dockerd.images.save import Saver
from wire.errors import InvalidArgument

router = Router()


@router.get("/images/json")
async def list_images(request: Request, lister: ImageList, containers: Containers) -> JSONResponse:
    """`docker images`."""
    manifests = params.boolean(request, "manifests")
    wanted = params.filters(request)
    pattern = params.text(request, "filter")
    if pattern and versions.takes_pattern(params.version(request)):
        wanted = wanted.and_also("reference", pattern)
    found = await lister.find(
        wanted,
        containers.by_image(),
        everything=params.boolean(request, "all"),
        shared=params.boolean(request, "shared-size"),
        manifests=manifests and versions.shows_manifests(params.version(request)),
    )
    return JSONResponse([versions.image_summary(each, params.version(request)) for each in found])


@router.post("/images/create")
async def create(request: Request, puller: Pull, loader: Load) -> Response:
    """`docker pull` and `docker import`."""
    text = params.text(request, "platform")
    platform = platforms.parse(text) if text else None
    if params.text(request, "fromSrc"):
        return await _import(request, loader, platform or platforms.HOST)
    name, tag = params.text(request, "fromImage").removesuffix(":"), params.text(request, "tag")
    reference = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}" if tag else name
    parsed = parse(reference)
    pull = puller.pull if parsed.tag or parsed.digest else puller.pull_all
    return await jsonstream.begun(pull(reference, params.registry_auth(request), platform))


async def _import(request: Request, loader: Loader, platform: Platform) -> Response:
    repository, tag = params.text(request, "repo"), params.text(request, "tag")
    name = parse(f"{repository}:{tag}" if tag else repository) if repository else None
    changes = request.query_params.getlist("changes")
    comment, source = params.text(request, "message"), params.text(request, "fromSrc")
    if source != "-":
        return await jsonstream.begun(loader.import_from(source, name, changes, comment, platform))
    image_id = await loader.import_tree(request.stream(), name, changes, comment, platform)
    return Response(jsonstream.line({"status": image_id}), media_type="application/json")


@router.post("/images/load")
async def load(request: Request, loader: Load) -> Response:
    """`docker load`."""
    _refuse(request, "platform")
    return jsonstream.while_reading(loader.load(request.stream()))


@router.post("/images/prune")
async def prune(request: Request, pruner: ImagePrune, containers: Containers) -> JSONResponse:
    """`docker image prune`."""
    return JSONResponse(await pruner.prune(params.filters(request), containers.users_of_image))


@router.get("/images/get")
async def save_many(request: Request, saver: Save) -> Response:
    """`docker save` of several images."""
    return await _save(request.query_params.getlist("names"), _platform(request), saver)


@router.get("/images/{reference:path}/get")
async def save(reference: str, request: Request, saver: Save) -> Response:
    """`docker save`."""
    return await _save([reference], _platform(request), saver)


async def _save(references: Sequence[str], platform: Platform | None, saver: Saver) -> Response:
    names = await saver.names(references, platform)
    return StreamingResponse(await saver.save(names, platform), media_type="application/x-tar")


def _refuse(request: Request, *names: str) -> None:
    """What is not built must not be passed over."""
    for name in names:
        if params.text(request, name):
            raise InvalidArgument(f"{name}: choosing a platform is not supported here")


def _platform(request: Request) -> Platform | None:
    text = params.text(request, "platform")
    return platforms.from_json(text) if text else None


@router.get("/images/{reference:path}/json")
async def inspect(
    reference: str, request: Request, inspector: ImageInspect, containers: Containers
) -> JSONResponse:
    """`docker image inspect`."""
    version = params.version(request)
    with_manifests = params.boolean(request, "manifests") and versions.shows_manifests(version)
    platform = _platform(request)
    if platform is not None and with_manifests:
        raise InvalidArgument(
            "conflicting options: manifests and platform options cannot both be set"
        )
    found = await inspector.inspect(
        reference,
        platform=platform,
        users=containers.by_image() if with_manifests else None,
    )
    if versions.shows_source(version):
        found |= await inspector.source(reference)
    return JSONResponse(versions.image_document(found, version))


@router.get("/images/{reference:path}/history")
async def history(reference: str, request: Request, inspector: ImageInspect) -> JSONResponse:
    """`docker history`."""
    return JSONResponse(await inspector.history(reference, _platform(request)))


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
    return jsonstream.at_once(
        pusher.push(reference, tag, params.registry_auth(request), _platform(request))
    )


@router.delete("/images/{reference:path}")
async def remove(
    reference: str, request: Request, remover: ImageRemove, containers: Containers
) -> JSONResponse:
    """`docker rmi`."""
    _refuse(request, "platforms")
    answer = await remover.remove(
        reference,
        containers.users_of_image,
        force=params.boolean(request, "force"),
        parents=not params.boolean(request, "noprune"),
    )
    return JSONResponse(answer)
