"""The log that a stream's URI asks for. Rare drivers are imported when they are needed: each shim pays for its own."""

from __future__ import annotations

import json

from shim.stdio.jsonfile import JsonFile
from wire.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from shim.loop import Loop
    from shim.stdio.lines import LineLog
    from shim.stdio.localfile import LocalFile
    from shim.stdio.remote import Address
    from shim.stdio.uri import Target

SCHEMES: Final = frozenset({"json-file", "local", "journald", "syslog"})


def open_log(loop: Loop, target: Target, resume: Callable[[], None]) -> LineLog:
    """The log; ``resume`` is called when one that was full has room. Raises InvalidArgument, OSError."""
    if target.scheme == "json-file":
        return JsonFile(
            target.path,
            target.number("max-size", 0),
            target.number("max-file", 1),
            compress=target.flag("compress"),
            attributes=target.values.get("attrs", ""),
        )
    if target.scheme == "local":
        return _local(target, target.path, "")
    return _daemon_log(loop, target, resume)


def _local(target: Target, path: str, prefix: str) -> LocalFile:
    from shim.stdio.localfile import LocalFile

    return LocalFile(
        path,
        target.number(f"{prefix}max-size", 0),
        target.number(f"{prefix}max-file", 1),
        compress=target.flag(f"{prefix}compress"),
        attributes=_object(target.values.get("attrs", "{}")),
    )


def _daemon_log(loop: Loop, target: Target, resume: Callable[[], None]) -> LineLog:
    from shim.stdio import journald
    from shim.stdio.remote import ROOM, Address, Remote

    values = target.values
    cache = _local(target, values["cache"], "cache-") if values.get("cache") else None
    journal = target.scheme == "journald"
    address = Address("unixgram", target.path) if journal else _address(target)
    remote = Remote(
        loop,
        address,
        blocking=values.get("mode") != "non-blocking",
        room=target.number("max-buffer-size", ROOM),
        resume=resume,
        oversized=journald.oversized if journal else None,
    )
    if journal:
        return journald.JournaldLog(remote, cache, _object(values.get("fields", "{}")))
    from shim.stdio.syslog import FORMATS, SyslogLog

    form = values.get("format", "")
    if form not in FORMATS:
        raise InvalidArgument(f"stdio parameter format={form!r} is not a syslog format")
    return SyslogLog(
        remote,
        cache,
        tag=values.get("tag", ""),
        facility=target.number("facility", 3),
        form=form,
        counted=address.context is not None and form.startswith("rfc5424"),
    )


def _address(target: Target) -> Address:
    from shim.stdio.remote import Address

    network = target.values.get("network", "")
    if network in {"unix", "unixgram"}:
        return Address(network, target.path)
    if network not in {"udp", "tcp", "tcp+tls"}:
        raise InvalidArgument(f"stdio parameter network={network!r} is not supported")
    host, port = target.values.get("host", ""), target.number("port", 0)
    if network != "tcp+tls":
        return Address(network, host, port)
    import ssl

    values = target.values
    context = ssl.create_default_context(cafile=values.get("ca") or None)
    if target.flag("skip-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if values.get("certificate"):
        context.load_cert_chain(values["certificate"], values.get("key") or None)
    return Address(network, host, port, context)


def _object(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidArgument("a stdio parameter is not a JSON object")
    return {str(key): str(value) for key, value in found.items()}
