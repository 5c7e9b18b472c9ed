"""The types of what a client sends about images, checked before anything looks at it."""

from __future__ import annotations

from typing import Any, Final

from dockerd.fields import check_fields

_AUTH: Final = {
    "username": "string", "password": "string", "auth": "string", "email": "string", "serveraddress": "string",
    "identitytoken": "string", "registrytoken": "string",
}  # fmt: skip


def check_auth(document: dict[str, Any]) -> None:
    """An AuthConfig; raises InvalidArgument."""
    check_fields("AuthConfig", _AUTH, document)
