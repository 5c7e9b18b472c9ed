"""Volumes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from dockerd.api import params
from dockerd.api.deps import Volumes

router = APIRouter()


@router.get("/volumes")
async def list_volumes(request: Request, volumes: Volumes) -> JSONResponse:
    """`docker volume ls`."""
    return JSONResponse({"Volumes": volumes.find(params.filters(request)), "Warnings": None})


@router.post("/volumes/create")
async def create(request: Request, volumes: Volumes) -> JSONResponse:
    """`docker volume create`."""
    return JSONResponse(volumes.create(await params.body(request)), 201)


@router.post("/volumes/prune")
async def prune(request: Request, volumes: Volumes) -> JSONResponse:
    """`docker volume prune`."""
    removed, size = await volumes.prune(params.filters(request))
    return JSONResponse({"VolumesDeleted": removed, "SpaceReclaimed": size})


@router.get("/volumes/{name}")
async def inspect(name: str, volumes: Volumes) -> JSONResponse:
    """`docker volume inspect`."""
    return JSONResponse(volumes.inspect(name))


@router.delete("/volumes/{name}")
async def remove(name: str, request: Request, volumes: Volumes) -> Response:
    """`docker volume rm`."""
    volumes.remove(name, force=params.boolean(request, "force"))
    return Response(status_code=204)
