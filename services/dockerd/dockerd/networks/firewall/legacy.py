"""The same accepts on hosts whose administrator or engine still uses the old iptables in the kernel.

That one is invisible to nftables, and has no library: its own command is run, at reconcile time only.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_TABLES: Final = "/proc/net/ip_tables_names"
_COMMAND: Final = "iptables-legacy"
_TIMEOUT: Final = 10


def serve(bridges: tuple[str, ...], comment: str) -> None:
    """Add missing accepts where the legacy filter table drops forwarded packets."""
    listing = _listing()
    if listing is None:
        return
    chain = "DOCKER-USER" if "-N DOCKER-USER" in listing else "FORWARD"
    forward = [line for line in listing if line.startswith(("-P FORWARD", "-A FORWARD"))]
    dropping = any(re.search(r" (DROP|REJECT)\b", line) for line in forward)
    if chain == "FORWARD" and not dropping:
        return
    present = {line for line in listing if comment in line}
    for bridge in bridges:
        for flag in ("-i", "-o"):
            if not any(f"{flag} {bridge} " in line for line in present):
                _run("-I", chain, *_accept(flag, bridge, comment))


def withdraw(comment: str) -> None:
    """Remove every accept that carries the comment."""
    for line in _listing() or ():
        if comment in line and line.startswith("-A "):
            chain = line.split()[1]
            found = re.search(r"(-[io]) (\S+)", line)
            if found is not None:
                _run("-D", chain, *_accept(found[1], found[2], comment))


def _accept(flag: str, bridge: str, comment: str) -> tuple[str, ...]:
    return (flag, bridge, "-m", "comment", "--comment", comment, "-j", "ACCEPT")


def _listing() -> list[str] | None:
    """The filter table's rules; None if the legacy kernel tables are not in use."""
    try:
        names = Path(_TABLES).read_text().split()
    except OSError:
        return None
    if "filter" not in names:
        return None
    if shutil.which(_COMMAND) is None:
        logger.warning("legacy iptables in use but its command is missing")
        return None
    return _run("-S").splitlines()


def _run(*arguments: str) -> str:
    done = subprocess.run(
        (_COMMAND, "-w", "5", *arguments),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        logger.warning("legacy iptables failed", extra={"error": done.stderr.strip()})
        return ""
    return done.stdout
