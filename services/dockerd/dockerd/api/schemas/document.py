"""FastAPI's document of what is served, with what the routes themselves do not say: parameters, bodies and answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dockerd.api.schemas.answers import ANSWERS
from dockerd.api.schemas.notation import Schema, model, schema
from dockerd.api.schemas.operations import JSON, OPERATIONS, Operation
from dockerd.api.schemas.requests import REQUESTS

_DESCRIPTION: Final = (
    "The Docker Engine API as this daemon serves it. Every path may begin with /v1.24 to /v1.51. A field or an option"
    " that is not built is refused by its name with status 400 or 501, and Swarm with 503."
)
_FAILURES: Final = {
    "4XX": "The request cannot be served; the message says why.",
    "501": "What is asked for is not built.",
    "503": "Something that this needs is away, or is Swarm's.",
    "default": "The daemon failed.",
}


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    found = get_openapi(
        title=app.title, version=app.version, routes=app.routes, description=_DESCRIPTION
    )
    for path, methods in found["paths"].items():
        for method, described in methods.items():
            _complete(described, method, path, OPERATIONS.get((method.upper(), path), Operation()))
    found["components"] = {
        "schemas": {name: model(fields) for name, fields in ANSWERS.items()} | dict(REQUESTS)
    }
    return found


def _complete(described: dict[str, Any], method: str, path: str, operation: Operation) -> None:
    described["operationId"] = f"{method}_{path.strip('/').replace('/', '_')}"
    described["parameters"] = [
        *(each for each in described.get("parameters", []) if each["in"] == "path"),
        *(_parameter("query", name, kind) for name, kind in operation.query.items()),
        *(_parameter("header", name, "string") for name in operation.headers),
    ]
    if not described["parameters"]:
        del described["parameters"]
    described.pop("requestBody", None)
    if operation.body:
        described["requestBody"] = {
            "required": not operation.optional_body,
            "content": _content(operation.body),
        }
    described["responses"] = {
        **{
            str(status): _answer(status, kind, operation)
            for status, kind in operation.answers.items()
        },
        **{status: _failure(words, method) for status, words in _FAILURES.items()},
    }


def _parameter(place: str, name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": False, "schema": schema(kind)}


def _content(kind: str) -> dict[str, Any]:
    if "/" in kind:
        binary: Schema = {"type": "string", "format": "binary"}
        return {media: {"schema": binary} for media in kind.split()}
    return {JSON: {"schema": schema(kind)}}


def _answer(status: int, kind: str, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if operation.lines:
        found["description"] = f"A stream of objects: {kind}"
        found["content"] = {JSON: {}}
    elif kind:
        found["content"] = _content(kind)
    return found


def _failure(words: str, method: str) -> dict[str, Any]:
    if method == "head":
        return {"description": words}
    return {"description": words, "content": {JSON: {"schema": schema("ErrorResponse")}}}
