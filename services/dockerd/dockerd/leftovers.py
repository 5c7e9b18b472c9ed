"""``python -m dockerd.leftovers BRIDGE DATA_ROOT EXEC_ROOT``: take a stopped daemon's networks out of the kernel.

For `dockyard clean`, which knows the daemon's folders but nothing of bridges and firewalls.
"""

from __future__ import annotations

import sys

from dockerd.networks.leftovers import remove_leftovers
from dockerd.networks.model import NetworkSettings


def main(arguments: list[str]) -> int:
    """Remove bridge, table and namespaces; the exit status."""
    bridge, data_root, exec_root = arguments
    remove_leftovers(NetworkSettings(data_root=data_root, exec_root=exec_root, bridge=bridge))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
