"""The command line of shim v2: flags with one dash in Go's manner, then a verb."""

from __future__ import annotations

import argparse
from typing import Final

VERBS: Final = ("start", "delete", "forkserver")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The flags that containerd passes, and the verb."""
    parser = argparse.ArgumentParser(prog="containerd-shim-dockyard-v1", allow_abbrev=False)
    for name in ("namespace", "address", "publish-binary", "id", "bundle", "socket"):
        parser.add_argument(f"-{name}", f"--{name}", default="", dest=name.replace("-", "_"))
    parser.add_argument("-debug", "--debug", action="store_true")
    parser.add_argument("-v", "--version", action="store_true", dest="version")
    parser.add_argument("-info", "--info", action="store_true")
    parser.add_argument("verb", nargs="?", choices=VERBS)
    return parser.parse_args(arguments)
