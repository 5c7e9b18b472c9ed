"""What of a container its log records are to say: labels, environment, tag (moby's ``logger.Info``)."""

from __future__ import annotations

import os
import re

from dockerd.containers import log_tag
from dockerd.containers.model import Container


def attributes(container: Container) -> dict[str, str]:
    """Those that the options ``labels``, ``labels-regex``, ``env`` and ``env-regex`` name."""
    options = container.log_options
    labels = container.config.get("Labels") or {}
    environment = dict(
        each.split("=", 1) for each in container.config.get("Env") or [] if "=" in each
    )
    return {
        **_named(labels, options.get("labels") or "", options.get("labels-regex") or ""),
        **_named(environment, options.get("env") or "", options.get("env-regex") or ""),
    }


def _named(values: dict[str, str], names: str, pattern: str) -> dict[str, str]:
    found = {name: values[name] for name in names.split(",") if name in values}
    if pattern:
        found |= {name: value for name, value in values.items() if re.search(pattern, name)}
    return found


def tag(container: Container, default: str) -> str:
    """The option ``tag``, or the default, as a template. Raises InvalidArgument."""
    template = container.log_options.get("tag") or default
    image = container.image
    command = [container.path, *container.args]
    values = {
        "ID": container.container_id[:12],
        "FullID": container.container_id,
        "Name": container.name,
        "Command": " ".join(command),
        "ImageID": image.removeprefix("sha256:")[:12],
        "ImageFullID": image,
        "ImageName": container.image_name,
        "Hostname": os.uname().nodename,
        "DaemonName": "docker",
        "ContainerID": container.container_id,
        "ContainerName": f"/{container.name}",
        "ContainerEntrypoint": container.path,
        "ContainerImageID": image,
        "ContainerImageName": container.image_name,
        "ContainerLabels": container.config.get("Labels") or {},
        "ContainerArgs": list(container.args),
        "ContainerEnv": list(container.config.get("Env") or []),
    }
    return log_tag.render(template, values)


def journal_key(name: str) -> str:
    """A name as systemd's journal wants it: capitals, digits and underscores, the first of which is none."""
    return re.sub(r"[^A-Z0-9]", "_", name.translate(_CAPITALS)).lstrip("_")


_CAPITALS = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
