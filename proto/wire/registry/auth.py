"""Answering a registry's challenge: Basic, or a Bearer token from the service that it names (distribution-spec, token auth)."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from wire.errors import Unauthenticated, Unavailable

_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_LARGEST_TOKEN: Final = 1 << 20

# A connection to a host[:port], plain or with TLS.
Connect = Callable[[str, bool], http.client.HTTPConnection]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and secret; an empty name with a secret is an identity token."""

    username: str = ""
    secret: str = ""


def authorize(
    challenge: str, credentials: Credentials | None, scope: str, *, plain: bool, connect: Connect
) -> str:
    """The Authorization header that answers a WWW-Authenticate header.

    ``plain`` allows a token service without TLS. Raises Unauthenticated, Unavailable.
    """
    scheme, _, rest = challenge.partition(" ")
    basic = None
    if credentials and credentials.username:
        pair = f"{credentials.username}:{credentials.secret}".encode()
        basic = f"Basic {base64.b64encode(pair).decode()}"
    if scheme.lower() == "basic":
        if basic is None:
            raise Unauthenticated("no basic auth credentials")
        return basic
    if scheme.lower() != "bearer":
        raise Unauthenticated(f"unknown authentication scheme {scheme!r}")
    fields = dict(_CHALLENGE.findall(rest))
    realm = urllib.parse.urlsplit(fields.get("realm", ""))
    if realm.scheme not in {"http", "https"} or (realm.scheme == "http" and not plain):
        raise Unauthenticated(f"token realm {fields.get('realm', '')!r} is not usable")
    query = {"service": fields.get("service", ""), "scope": fields.get("scope") or scope}
    connection = connect(realm.netloc, realm.scheme == "http")
    try:
        if credentials and credentials.secret and not credentials.username:
            _post(connection, realm.path, query, credentials.secret)
        else:
            _get(connection, realm, query, basic)
        response = connection.getresponse()
        data = response.read(_LARGEST_TOKEN)
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        raise Unavailable(f"failed to fetch token: {error}") from error
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise Unauthenticated(f"failed to fetch token: unexpected status {response.status}")
    try:
        document = json.loads(data)
        return f"Bearer {document.get('token') or document.get('access_token') or ''}"
    except (ValueError, AttributeError, RecursionError) as error:
        raise Unauthenticated(f"failed to fetch token: {error}") from error


def _get(
    connection: http.client.HTTPConnection,
    realm: urllib.parse.SplitResult,
    query: dict[str, str],
    basic: str | None,
) -> None:
    given = urllib.parse.parse_qsl(realm.query)
    text = urllib.parse.urlencode([*given, *query.items()])
    headers = {"Authorization": basic} if basic else {}
    connection.request("GET", f"{realm.path or '/'}?{text}", headers=headers)


def _post(
    connection: http.client.HTTPConnection, path: str, query: dict[str, str], token: str
) -> None:
    body = urllib.parse.urlencode(
        {**query, "grant_type": "refresh_token", "refresh_token": token, "client_id": "dockyard"}
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", path or "/", body, headers)
