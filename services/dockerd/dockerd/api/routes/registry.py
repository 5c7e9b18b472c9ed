"""What the daemon asks registries for a client: logins, searches, what a name stands for."""

from __future__ import annotations

from fastapi import Request

from dockerd.api import params
from dockerd.api.deps import Distribution, LogIn, Search
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router
from dockerd.images.fields import check_auth

router = Router()


@router.post("/auth")
async def login(request: Request, login: LogIn) -> JSONResponse:
    """`docker login`."""
    auth = await params.body(request)
    check_auth(auth)
    return JSONResponse(await login.check(auth))


@router.get("/images/search")
async def search(request: Request, searcher: Search) -> JSONResponse:
    """`docker search`."""
    found = await searcher.search(
        params.text(request, "term"),
        params.integer(request, "limit"),
        params.filters(request),
        params.registry_auth(request),
    )
    return JSONResponse(found)


@router.get("/distribution/{reference:path}/json")
async def inspect(reference: str, request: Request, inspector: Distribution) -> JSONResponse:
    """`docker manifest inspect`, by way of the daemon."""
    return JSONResponse(await inspector.inspect(reference, params.registry_auth(request)))
