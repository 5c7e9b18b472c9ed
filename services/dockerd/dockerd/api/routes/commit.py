"""Images of containers."""

from __future__ import annotations

from fastapi import Request

from dockerd.api import params
from dockerd.api.deps import Commit
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router
from dockerd.images.reference import parse

router = Router()


@router.post("/commit")
async def commit(request: Request, committer: Commit) -> JSONResponse:
    """`docker commit`."""
    config = await params.body(request, required=False)
    repository, tag = params.text(request, "repo"), params.text(request, "tag")
    image_id = await committer.commit(
        params.text(request, "container"),
        config,
        name=parse(f"{repository}:{tag}" if tag else repository) if repository else None,
        changes=[
            line
            for text in request.query_params.getlist("changes")
            for line in text.split("\n")
            if line.strip()
        ],
        author=params.text(request, "author"),
        comment=params.text(request, "comment"),
        pause=params.boolean(request, "pause", default=True),
    )
    return JSONResponse({"Id": image_id}, 201)
