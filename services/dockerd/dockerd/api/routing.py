"""Which route a request is for, and what its endpoint is given: on FastAPI's own classes, but without its search and its solver.

FastAPI tries one route after the other, twice where routers include routers, and looks at each request for what its
endpoint's signature has told already. That is a tenth of a millisecond for each request. Here a table leads from the
method and the first word of the path to the few routes that may match, and endpoints take what is theirs and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

_NOT_FOUND: Final = 404


class Endpoint(APIRoute):
    """A route whose endpoint takes the request, parts of the path as text, and services; and answers with a Response."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's seam for handlers of one's own; raises TypeError for a signature that needs more than this one."""
        dependant, endpoint = self.dependant, self.endpoint
        _check(dependant, self.path)
        request_name = dependant.request_param_name
        parts = tuple(each.name for each in dependant.path_params)
        services = tuple(
            (each.name, each.call) for each in dependant.dependencies if each.name and each.call
        )

        async def handle(request: Request) -> Response:
            found = request.scope["path_params"]
            values = {name: found[name] for name in parts}
            for name, service in services:
                values[name] = await service(request)
            if request_name:
                values[request_name] = request
            response: Response = await endpoint(**values)
            return response

        return handle


def _check(dependant: Dependant, path: str) -> None:
    inner = dependant.dependencies
    parameters = (
        dependant.query_params, dependant.header_params, dependant.cookie_params, dependant.body_params,
        *(each.dependencies or each.path_params or each.query_params for each in inner),
    )  # fmt: skip
    texts = all(each.field_info.annotation is str for each in dependant.path_params)
    if (
        any(parameters)
        or not texts
        or not all(each.request_param_name and each.name for each in inner)
    ):
        raise TypeError(
            f"{path}: an endpoint takes its request, parts of the path as text, and services"
        )


class Router(APIRouter):
    """Finds a route by the method and the first word of the path, then by the order in which routes were added.

    There is no 405: a path that another method has is not found, as in Docker.
    """

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        super().__init__(routes=list(routes), route_class=Endpoint, redirect_slashes=False)
        self._table: dict[tuple[str, str], list[Route]] | None = None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; raises HTTPException where nothing is served."""
        if self._table is None:
            self._table = _table(self.routes)
        path: str = scope["path"]
        for route in self._table.get((scope["method"], _first_word(path)), ()):
            found = route.path_regex.match(path)
            if found is not None:
                scope["route"], scope["endpoint"] = route, route.endpoint
                scope["path_params"] = found.groupdict()
                await route.app(scope, receive, send)
                return
        raise HTTPException(_NOT_FOUND)


def _table(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], list[Route]]:
    table: dict[tuple[str, str], list[Route]] = defaultdict(list)
    for route in routes:
        if not isinstance(route, Route):
            raise TypeError(f"{route} is no route of HTTP")
        word = _first_word(route.path)
        if "{" in word:
            raise TypeError(f"{route.path} begins with a parameter")
        for method in route.methods or ():
            table[method, word].append(route)
    return dict(table)


def _first_word(path: str) -> str:
    return path[1:].partition("/")[0]
