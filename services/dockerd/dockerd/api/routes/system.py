"""The daemon about itself."""

from __future__ import annotations

from fastapi import Request

from dockerd.api import params, versions
from dockerd.api.deps import System, Usage
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router

router = Router()


@router.get("/version")
async def version(system: System) -> JSONResponse:
    """Versions."""
    return JSONResponse(await system.version())


@router.get("/info")
async def info(request: Request, system: System) -> JSONResponse:
    """Everything about the daemon."""
    return JSONResponse(versions.information(await system.info(), params.version(request)))


@router.get("/system/df")
async def disk_usage(request: Request, usage: Usage) -> JSONResponse:
    """What takes space."""
    version = params.version(request)
    kinds = request.query_params.getlist("type") if versions.chooses_usage(version) else ()
    return JSONResponse(versions.disk_usage(await usage.measure(kinds), version))
