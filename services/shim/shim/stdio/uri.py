"""The stdio fields of a request: paths and URIs, in containerd's forms and ours."""

from __future__ import annotations

from wire.errors import InvalidArgument, NotImplementedYet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_FILES: Final = frozenset({"max-size", "max-file", "compress"})
_DAEMON: Final = frozenset(
    {
        "attrs",
        "cache",
        "mode",
        "max-buffer-size",
        *(f"cache-{name}" for name in ("max-size", "max-file", "compress")),
    }
)
# What each scheme takes besides ``attach`` and ``once``.
_PARAMETERS: Final = {
    "": frozenset(),
    "fifo": frozenset(),
    "file": frozenset(),
    "attach": frozenset(),
    "json-file": _FILES | {"attrs"},
    "local": _FILES | {"attrs"},
    "journald": _DAEMON | {"fields"},
    "syslog": _DAEMON
    | {
        "network",
        "host",
        "port",
        "facility",
        "format",
        "tag",
        "ca",
        "certificate",
        "key",
        "skip-verify",
    },
    "binary": frozenset(),
    "binary-v2": frozenset(),
}
_NUMBERS: Final = frozenset(
    {
        "max-size",
        "max-file",
        "cache-max-size",
        "cache-max-file",
        "max-buffer-size",
        "port",
        "facility",
    }
)
_LOGGERS: Final = frozenset({"binary", "binary-v2"})
# Streams of a sandbox that is another machine, which containerd's clients know of.
_STREAMING: Final = ("ttrpc+", "grpc+", "streaming")


class Target:
    """Where a stream goes: ``scheme`` is empty for none, ``fifo`` for a bare path."""

    __slots__ = ("arguments", "attach", "once", "path", "scheme", "values")

    def __init__(
        self,
        *,
        scheme: str = "",
        path: str = "",
        attach: str = "",
        once: bool = False,
        arguments: tuple[str, ...] = (),
        values: dict[str, str] | None = None,
    ) -> None:
        """``values`` are what a log driver wants to know; ``arguments`` a logging program."""
        self.scheme = scheme
        self.path = path
        self.attach = attach
        self.once = once
        self.arguments = arguments
        self.values = values or {}

    def same(self, other: Target) -> bool:
        """Whether both lead to one place."""
        return self.scheme == other.scheme and self.path == other.path

    def number(self, name: str, default: int) -> int:
        """A value that is a number; raises InvalidArgument."""
        text = self.values.get(name)
        return default if text is None else _number(name, text)

    def flag(self, name: str) -> bool:
        """Whether a value is 1."""
        return self.values.get(name) == "1"


def parse(text: str) -> Target:
    """Raises InvalidArgument for a scheme or parameter that is not understood, NotImplementedYet for a stream of a service."""
    if not text:
        return Target()
    if "://" not in text:
        return Target(scheme="fifo", path=text)
    scheme, _, rest = text.partition("://")
    if scheme.startswith(_STREAMING):
        raise NotImplementedYet(f"stdio by {scheme!r} is not implemented")
    if scheme not in _PARAMETERS:
        raise InvalidArgument(f"stdio scheme {scheme!r} is not supported")
    path, _, query = rest.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")] if query else []
    if scheme in _LOGGERS:
        return _logger(text, scheme, _decoded(path), [(key, value) for key, _, value in pairs])
    values = {_decoded(key): _decoded(value) for key, _, value in pairs}
    target = Target(
        scheme=scheme,
        path=_decoded(path),
        attach=values.pop("attach", ""),
        once=values.pop("once", "") == "1",
    )
    for name, value in values.items():
        if name not in _PARAMETERS[scheme]:
            raise InvalidArgument(f"stdio parameter {name!r} is not supported")
        if name in _NUMBERS:
            _number(name, value)
    target.values = values
    return target


def _logger(text: str, scheme: str, path: str, pairs: list[tuple[str, str]]) -> Target:
    """A logging program: its query is its command line, key and first value by turns, as containerd's shims pass it."""
    if not path.startswith("/"):
        raise InvalidArgument(f"absolute path to the logging binary is needed: {text!r}")
    values: dict[str, str] = {}
    for key, value in pairs:
        # A form's encoding, as Go's url.Values reads it.
        values.setdefault(_decoded(key.replace("+", " ")), _decoded(value.replace("+", " ")))
    arguments = tuple(word for pair in values.items() for word in pair)
    return Target(scheme=scheme, path=path, arguments=arguments)


def _decoded(text: str) -> str:
    """Percent-decoding (RFC 3986), without urllib and all that it imports; ``+`` stays what it is."""
    if "%" not in text:
        return text
    first, *rest = text.encode().split(b"%")
    out = bytearray(first)
    for piece in rest:
        try:
            out += bytes((int(piece[:2], 16),)) + piece[2:]
        except ValueError:
            raise InvalidArgument(f"stdio URI has a malformed escape: {text!r}") from None
    return out.decode("utf-8", "surrogateescape")


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"stdio parameter {name}={text!r} is not a number") from None
