"""The OpenAPI document names every operation, and what it says of queries is what the routes read."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from typing import Any, cast

import pytest
from fastapi.routing import APIRoute

from dockerd import app
from dockerd.api.schemas.operations import OPERATIONS
from dockerd.api.underway import UnderWay
from dockerd.config import LiveConfig
from dockerd.configuration.command_line import CommandLine
from dockerd.configuration.load import load

_CONFIG = LiveConfig(load(CommandLine(config_file=""), {}))
_APP = app.create(cast("Any", None), _CONFIG, UnderWay(), cast("Any", None), None)
_DOCUMENT: dict[str, Any] = _APP.openapi()
# Read by code that several routes share.
_SHARED = {"filters"}


def routes() -> dict[tuple[str, str], APIRoute]:
    found: dict[tuple[str, str], APIRoute] = {}
    for module in app._ROUTES:
        for route in module.router.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in route.methods:
                    found[method, re.sub(r":[^}]*}", "}", route.path)] = route
    return found


def test_every_operation_is_described() -> None:
    assert {
        (method.upper(), path) for path, methods in _DOCUMENT["paths"].items() for method in methods
    } <= set(OPERATIONS)
    assert set(routes()) <= set(OPERATIONS)


def test_nothing_else_is_described() -> None:
    """Operations that are not built yet may stand in the table; the document has only what is served."""
    for path, methods in _DOCUMENT["paths"].items():
        for method, described in methods.items():
            assert described.get("summary"), (method, path)
            assert described["responses"]["default"]["description"]
            declared = set(re.findall(r"{([^}]*)}", path))
            assert {
                each["name"] for each in described.get("parameters", []) if each["in"] == "path"
            } == declared


def test_operations_have_names_of_their_own() -> None:
    names = [
        each["operationId"] for methods in _DOCUMENT["paths"].values() for each in methods.values()
    ]
    assert len(names) == len(set(names))


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(references(each) for each in value))
    return set()


def test_models_exist_and_are_used() -> None:
    defined = {f"#/components/schemas/{name}" for name in _DOCUMENT["components"]["schemas"]}
    assert references(_DOCUMENT) <= defined
    # A stream is no object: what its lines are is said in words.
    in_lines = {
        f"#/components/schemas/{name}"
        for each in OPERATIONS.values()
        if each.lines
        for name in each.answers.values()
    }
    needed = {"#/components/schemas/ErrorResponse"} | references(_DOCUMENT) | in_lines
    built = set(_DOCUMENT["paths"])
    missing = {path for _, path in OPERATIONS} - built
    if not missing:
        assert defined == needed


def words(source: str) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def asked(source: str) -> set[str]:
    """The parameters that a function reads by name."""
    return {
        call.args[-1].value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"text", "boolean", "integer", "size", "when", "getlist"}
        and call.args
        and isinstance(call.args[-1], ast.Constant)
    } | ({"filters"} if "params.filters(" in source else set())


@pytest.mark.parametrize("key", sorted(routes()), ids=" ".join)
def test_queries_are_those_that_routes_read(key: tuple[str, str]) -> None:
    route = routes()[key]
    documented = set(OPERATIONS[key].query)
    read = asked(inspect.cleandoc(inspect.getsource(route.endpoint)))
    assert read <= documented, f"not documented: {read - documented}"
    module = words(inspect.getsource(sys.modules[route.endpoint.__module__]))
    unread = documented - module - _SHARED
    assert not unread, f"documented, and nobody reads it: {unread}"
