"""`docker search`: the search of an index (Docker Hub's, or that of the host in front of the term), as registry API v1 has it."""

from __future__ import annotations

import asyncio
import urllib.parse
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from dockerd.fields import is_number
from dockerd.filters import Filters
from dockerd.images.repositories import AGENT, Auth, Repositories, credentials
from wire import jsontext
from wire.errors import InvalidArgument, Unknown
from wire.registry.endpoint import Endpoint
from wire.registry.hosts import Host

_INDEX: Final = "index.docker.io"
_DEFAULT_LIMIT: Final = 25
_HIGHEST_LIMIT: Final = 100
_FILTERS: Final = frozenset({"is-automated", "is-official", "stars"})
_LARGEST_ANSWER: Final = 8 << 20


class Searcher:
    """Asks indexes."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    async def search(
        self, term: str, limit: int | None, wanted: Filters, auth: Auth | None
    ) -> list[dict[str, Any]]:
        """GET /images/search; raises InvalidArgument in Docker's words, Unknown."""
        wanted.check(_FILTERS)
        if "://" in term:
            raise InvalidArgument(
                f"invalid repository name: repository name ({term}) should not have a scheme"
            )
        stars = _stars(wanted)
        official = wanted.boolean("is-official") if "is-official" in wanted else None
        automated = wanted.boolean("is-automated") if "is-automated" in wanted else None
        limit = limit or _DEFAULT_LIMIT
        if not 1 <= limit <= _HIGHEST_LIMIT:
            raise InvalidArgument(f"limit {limit} is outside the range of [1, {_HIGHEST_LIMIT}]")
        index, name = _split(term)
        host = replace(await self._repositories.itself(index), path="/v1")
        found = await asyncio.to_thread(_ask, host, name, limit, auth)
        return [
            each
            for each in map(_result, found)
            if each["star_count"] >= stars
            and official in {None, each["is_official"]}
            and automated in {None, each["is_automated"]}
        ]


def _split(term: str) -> tuple[str, str]:
    head, separator, rest = term.partition("/")
    if not separator or not ("." in head or ":" in head or head == "localhost"):
        index, name = _INDEX, term
    else:
        index, name = (_INDEX if head == "docker.io" else head), rest
    # Docker's own images have no prefix there.
    return index, name.removeprefix("library/") if index == _INDEX else name


def _stars(wanted: Filters) -> int:
    least = 0
    for text in wanted.get("stars"):
        if not is_number(text):
            raise InvalidArgument(f"invalid filter 'stars={text}'")
        least = max(least, int(text))
    return least


def _ask(host: Host, name: str, limit: int, auth: Auth | None) -> list[Any]:
    endpoint = Endpoint(
        host,
        "",
        registry=host.authority,
        credentials=credentials(auth, {host.authority}),
        headers=AGENT,
    )
    query = urllib.parse.urlencode({"q": name, "n": limit})
    response = endpoint.get(f"search?{query}", {"X-Docker-Token": "true"})
    data = response.read(_LARGEST_ANSWER + 1)
    endpoint.forget()
    if response.status != HTTPStatus.OK:
        raise Unknown(f"Unexpected status code {response.status}")
    try:
        results = jsontext.loads(data)["results"] or []
    except (ValueError, KeyError, TypeError):
        raise Unknown("error decoding registry search results") from None
    return list(results) if isinstance(results, list) else []


def _result(found: Any) -> dict[str, Any]:
    given = found if isinstance(found, dict) else {}
    stars = given.get("star_count")
    return {
        "star_count": stars if isinstance(stars, int) else 0,
        "is_official": given.get("is_official") is True,
        "name": str(given.get("name") or ""),
        "is_automated": given.get("is_automated") is True,
        "description": str(given.get("description") or ""),
    }
