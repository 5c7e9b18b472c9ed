"""The table of routes finds what a search through all of them would find, and endpoints get what they ask for."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any, cast

import pytest
from fastapi import Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from dockerd import app
from dockerd.api.routing import Router
from dockerd.api.underway import UnderWay
from dockerd.config import LiveConfig
from dockerd.configuration.command_line import CommandLine
from dockerd.configuration.load import load

_CONFIG = LiveConfig(load(CommandLine(config_file=""), {}))
_APP = app.create(cast("Any", None), _CONFIG, UnderWay(), cast("Any", None), None)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


def scope(method: str, path: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}


def paths() -> list[str]:
    """Of every route, with names of one word and of several, and paths that are nobody's."""
    found = {"", "/", "//", "/nothing", "/networks/", "//networks", "/containers", "/containers/"}
    for route in _APP.routes:
        template = cast("Any", route).path
        for name in ("a", "a/b", "json", "create/json"):
            filled = re.sub("{[^}]*}", name, template)
            found |= {filled, f"{filled}/", f"{filled}/more"}
    return sorted(found)


async def answered(router: Router, method: str, path: str) -> tuple[Any, dict[str, str]] | None:
    """The route and its parameters, without carrying it out."""
    asked = scope(method, path)
    seen: list[Any] = []

    async def send(event: Any) -> None:
        seen.append(event)

    try:
        await router.app(asked, cast("Any", None), send)
    except HTTPException as error:
        return None if error.status_code == 404 else (error, {})
    except Exception:
        # The endpoint ran, and has no services here.
        pass
    return asked["route"], asked["path_params"]


async def test_the_table_finds_what_a_search_would() -> None:
    router = cast("Router", _APP.router)
    counted = 0
    for method, path in itertools.product(_METHODS, paths()):
        expected = None
        for route in _APP.routes:
            match, child = route.matches(scope(method, path))
            if match is Match.FULL:
                expected = route, child["path_params"]
                break
        assert await answered(router, method, path) == expected, (method, path)
        counted += expected is not None
    assert counted > 300


def service() -> Any:
    async def find(request: Request) -> str:
        return f"for {request.url.path}"

    return Depends(find)


async def test_an_endpoint_gets_request_parts_and_services() -> None:
    router = Router()
    got: list[Any] = []

    @router.get("/things/{one}/{rest:path}")
    async def thing(
        rest: str, asked: Request, given: Annotated[str, service()], one: str
    ) -> Response:
        got.extend((one, rest, asked.method, given))
        return Response("here")

    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    asked = {**scope("GET", "/things/1/2/3"), "server": ("host", 80), "scheme": "http"}
    await router.app(asked, cast("Any", None), send)
    assert got == ["1", "2/3", "GET", "for /things/1/2/3"]
    assert sent[-1]["body"] == b"here"


@pytest.mark.parametrize("word", ["query", "number", "nested"])
def test_what_would_have_to_be_solved_is_refused(word: str) -> None:
    router = Router()

    async def query(limit: int) -> Response:
        return Response(str(limit))

    async def number(which: int) -> Response:
        return Response(str(which))

    async def nested(given: Annotated[str, Depends(query)]) -> Response:
        return Response(given)

    endpoint = {"query": query, "number": number, "nested": nested}[word]
    path = "/things/{which}" if word == "number" else "/things"
    with pytest.raises(TypeError, match="an endpoint takes its request"):
        router.get(path)(endpoint)


async def test_a_path_that_begins_with_a_parameter_is_refused() -> None:
    router = Router()

    @router.get("/{anything}")
    async def thing(anything: str) -> Response:
        return Response(anything)

    with pytest.raises(TypeError, match="begins with a parameter"):
        await router.app(scope("GET", "/x"), cast("Any", None), cast("Any", None))
