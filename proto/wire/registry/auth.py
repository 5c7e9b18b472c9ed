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

from wire.errors import Unauthenticated
from wire.registry.errors import RegistryFailed

_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_LARGEST_TOKEN: Final = 1 << 20
_CLIENT: Final = "dockyard"

# A connection to a host[:port], plain or with TLS.
Connect = Callable[[str, bool], http.client.HTTPConnection]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and secret; an empty name with a secret is an identity token.

    ``header`` is an Authorization header that somebody made before, and that holds as it is.
    """

    username: str = ""
    secret: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The Authorization header that is wanted, and the identity token that came with it, if one was asked for."""

    header: str
    identity_token: str = ""


def authorize(
    challenge: str,
    credentials: Credentials | None,
    scope: str,
    *,
    plain: bool,
    connect: Connect,
    offline: bool = False,
) -> Grant:
    """The answer to a WWW-Authenticate header.

    ``scope`` may be empty; ``plain`` allows a token service without TLS; ``offline`` asks for an identity token, too.
    Raises Unauthenticated, RegistryFailed.
    """
    if credentials and credentials.header:
        return Grant(credentials.header)
    scheme, _, rest = challenge.partition(" ")
    basic = None
    if credentials and credentials.username:
        pair = f"{credentials.username}:{credentials.secret}".encode()
        basic = f"Basic {base64.b64encode(pair).decode()}"
    if scheme.lower() == "basic":
        if basic is None:
            raise Unauthenticated("no basic auth credentials")
        return Grant(basic)
    if scheme.lower() != "bearer":
        raise Unauthenticated(f"unknown authentication scheme {scheme!r}")
    fields = dict(_CHALLENGE.findall(rest))
    realm = urllib.parse.urlsplit(fields.get("realm", ""))
    if realm.scheme not in {"http", "https"} or (realm.scheme == "http" and not plain):
        raise Unauthenticated(f"token realm {fields.get('realm', '')!r} is not usable")
    query = {"service": fields.get("service", ""), "scope": fields.get("scope") or scope}
    query = {key: value for key, value in query.items() if value}
    if offline:
        account = {"account": credentials.username} if credentials and credentials.username else {}
        query |= {"offline_token": "true", "client_id": _CLIENT, **account}
    connection = connect(realm.netloc, realm.scheme == "http")
    try:
        if credentials and credentials.secret and not credentials.username:
            _post(connection, realm.path, query, credentials.secret)
        else:
            _get(connection, realm, query, basic)
        response = connection.getresponse()
        data = response.read(_LARGEST_TOKEN)
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        raise RegistryFailed(f"failed to fetch token: {error}") from error
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise Unauthenticated(_refusal(response.status, data))
    try:
        document = json.loads(data)
        token = document.get("token") or document.get("access_token") or ""
        return Grant(f"Bearer {token}", str(document.get("refresh_token") or ""))
    except (ValueError, AttributeError, RecursionError) as error:
        raise Unauthenticated(f"failed to fetch token: {error}") from error


def _refusal(status: int, data: bytes) -> str:
    """What a token service says, as the specification has its errors, else its status."""
    try:
        first = json.loads(data)["errors"][0]
        return f"{str(first['code']).lower()}: {first['message']}"
    except (ValueError, LookupError, TypeError, RecursionError):
        return f"failed to fetch token: unexpected status {status}"


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
        {**query, "grant_type": "refresh_token", "refresh_token": token, "client_id": _CLIENT}
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", path or "/", body, headers)
