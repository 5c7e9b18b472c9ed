"""What schemathesis must be told. Loaded by the tester, in an environment of its own, not by us."""

import schemathesis

_IMAGE = "busybox:latest"


@schemathesis.serializer("application/x-tar")
def tar(_context, value):
    """An archive is any bytes, as they were made up."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def map_body(context, body):
    """Most containers are of an image that exists, or nothing else would be looked at; none reaches the host's paths."""
    operation = context.operation
    if operation is None or operation.path != "/containers/create" or not isinstance(body, dict):
        return body
    if len(repr(body)) % 4:
        body = {**body, "Image": _IMAGE}
    host = body.get("HostConfig")
    if isinstance(host, dict):
        body = {**body, "HostConfig": {**host, "Mounts": None, "Binds": _named(host.get("Binds"))}}
    return body


def _named(binds):
    """Without those that name a path of the host, which would be made."""
    if not isinstance(binds, list):
        return binds
    return [each for each in binds if not (isinstance(each, str) and "/" in each.partition(":")[0])]
