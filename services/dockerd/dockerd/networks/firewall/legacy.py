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

_TABLES: Final = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
_COMMANDS: Final = {4: "iptables-legacy", 6: "ip6tables-legacy"}
_TIMEOUT: Final = 10


def serve(version: int, bridges: tuple[str, ...], comment: str) -> None:
    """Add missing accepts where the legacy filter table drops forwarded packets."""
    listing = _listing(version)
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
                _run(version, "-I", chain, *_accept(flag, bridge, comment))


def withdraw(version: int, comment: str) -> None:
    """Remove every accept that carries the comment."""
    for line in _listing(version) or ():
        if comment in line and line.startswith("-A "):
            chain = line.split()[1]
            found = re.search(r"(-[io]) (\S+)", line)
            if found is not None:
                _run(version, "-D", chain, *_accept(found[1], found[2], comment))


def _accept(flag: str, bridge: str, comment: str) -> tuple[str, ...]:
    return (flag, bridge, "-m", "comment", "--comment", comment, "-j", "ACCEPT")


def _listing(version: int) -> list[str] | None:
    """The filter table's rules; None if the legacy kernel tables are not in use."""
    try:
        names = Path(_TABLES[version]).read_text().split()
    except OSError:
        return None
    if "filter" not in names:
        return None
    if shutil.which(_COMMANDS[version]) is None:
        logger.warning("legacy iptables in use but its command is missing")
        return None
    return _run(version, "-S").splitlines()


def _run(version: int, *arguments: str) -> str:
    done = subprocess.run(
        (_COMMANDS[version], "-w", "5", *arguments),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        logger.warning("legacy iptables failed", extra={"error": done.stderr.strip()})
        return ""
    return done.stdout
