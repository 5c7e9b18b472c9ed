"""The FastAPI application: routers, middleware, error handlers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dockerd.api.authorize import AuthorizationMiddleware
from dockerd.api.deps import Services
from dockerd.api.errors import engine_error, message, unexpected
from dockerd.api.middleware import DebugMiddleware, VersionMiddleware
from dockerd.api.routes import (
    archive,
    build,
    commit,
    containers,
    debug,
    events,
    execs,
    images,
    lifecycle,
    logs,
    networks,
    ping,
    plugins,
    registry,
    stats,
    swarm,
    system,
    volumes,
)
from dockerd.api.routing import Router
from dockerd.api.traced import TracingMiddleware
from dockerd.api.underway import UnderWay, UnderWayMiddleware
from dockerd.authorization.chain import Authorization
from dockerd.config import LiveConfig
from wire import tracing
from wire.errors import EngineError

if TYPE_CHECKING:
    from dockerd.metrics.meters import Meters

_NOT_BUILT = (
    "/build", "/build/cancel", "/session", "/grpc",
)  # fmt: skip

_ROUTES = (
    ping, containers, lifecycle, logs, stats, archive, build, commit, execs, registry, images, networks, volumes,
    events, system, plugins, swarm, debug,
)  # fmt: skip


def create(
    services: Services,
    live: LiveConfig,
    requests: UnderWay,
    authorization: Authorization,
    meters: Meters | None,
) -> FastAPI:
    """The application over the services; ``meters`` hear how long actions take."""
    config = live.current
    # Spans are our own.
    app = FastAPI(
        title="Docker Engine API",
        version="1.51",
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    own = (route for module in _ROUTES for route in module.router.routes)
    app.router = Router([*app.routes, *own])
    app.state.services = services
    app.add_exception_handler(EngineError, engine_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, unexpected)
    for path in _NOT_BUILT:
        app.add_api_route(
            path, _not_built, methods=["GET", "HEAD", "PUT", "POST"], include_in_schema=False
        )
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    if meters is not None:
        from dockerd.api.metering import MeteringMiddleware

        app.add_middleware(MeteringMiddleware, meters.took)
    app.add_middleware(DebugMiddleware, lambda: live.current.debug)
    app.add_middleware(AuthorizationMiddleware, authorization)
    app.add_middleware(UnderWayMiddleware, requests)
    if tracing.recording():
        app.add_middleware(TracingMiddleware)
    app.add_middleware(
        VersionMiddleware, config.minimum_api_version, experimental=config.experimental
    )
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    # Nobody needs the tables but who reads the document.
    from dockerd.api.schemas.document import document

    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    return app.openapi_schema


async def _not_built(request: Request) -> Response:
    return message(501, f"{request.method} {request.scope['path']} is not implemented yet")


async def _http_error(_request: Request, _error: Exception) -> Response:
    # Unknown paths and wrong methods alike, as Docker's router.
    return message(404, "page not found")
