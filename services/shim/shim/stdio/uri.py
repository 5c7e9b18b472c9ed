"""The stdio fields of a request: paths and URIs, in containerd's forms and ours."""

from __future__ import annotations

from wire.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SCHEMES: Final = frozenset({"", "fifo", "file", "json-file", "attach", "binary", "binary-v2"})
_LOGGERS: Final = frozenset({"binary", "binary-v2"})


class Target:
    """Where a stream goes: ``scheme`` is empty for none, ``fifo`` for a bare path."""

    __slots__ = ("arguments", "attach", "max_file", "max_size", "once", "path", "scheme")

    def __init__(
        self,
        *,
        scheme: str = "",
        path: str = "",
        max_size: int = 0,
        max_file: int = 1,
        attach: str = "",
        once: bool = False,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.scheme = scheme
        self.path = path
        self.max_size = max_size
        self.max_file = max_file
        self.attach = attach
        self.once = once
        self.arguments = arguments

    def same(self, other: Target) -> bool:
        """Whether both lead to one place."""
        return self.scheme == other.scheme and self.path == other.path


def parse(text: str) -> Target:
    """Raises InvalidArgument for a scheme or parameter that is not understood."""
    if not text:
        return Target()
    if "://" not in text:
        return Target(scheme="fifo", path=text)
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES:
        raise InvalidArgument(f"stdio scheme {scheme!r} is not supported")
    path, _, query = rest.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")] if query else []
    if scheme in _LOGGERS:
        return _logger(text, scheme, _decoded(path), [(key, value) for key, _, value in pairs])
    values = {_decoded(key): _decoded(value) for key, _, value in pairs}
    target = Target(
        scheme=scheme,
        path=_decoded(path),
        max_size=_number("max-size", values.pop("max-size", "0")),
        max_file=_number("max-file", values.pop("max-file", "1")),
        attach=values.pop("attach", ""),
        once=values.pop("once", "") == "1",
    )
    if values:
        raise InvalidArgument(f"stdio parameter {next(iter(values))!r} is not supported")
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
