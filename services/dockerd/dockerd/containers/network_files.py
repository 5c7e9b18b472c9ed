"""The files of a container's /etc that depend on its networks, kept beside its record and mounted from there."""

from __future__ import annotations

from dockerd.containers.model import Container
from dockerd.networks.model import Attachment


def write(container: Container, attachment: Attachment) -> None:
    """Write them, in place: a running container has them mounted."""
    if attachment.files is None:
        return
    for name, text in (
        ("hostname", attachment.files.hostname),
        ("hosts", attachment.files.hosts),
        ("resolv.conf", attachment.files.resolv_conf),
    ):
        with open(f"{container.directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def address_of(attachment: Attachment) -> str:
    """The address on the default bridge, by which links find it; empty without one."""
    return next((each.ipv4 for each in attachment.endpoints if each.network_name == "bridge"), "")
