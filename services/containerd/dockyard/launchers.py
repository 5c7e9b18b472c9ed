"""Writes build/bin's launchers: small files that run a package with the environment beside them, from any directory.

``python -m dockyard.launchers <bin directory> [program ...]``. Each file is valid sh and valid Python: sh finds the
interpreter and executes the same file again with it, so the daemon's own path stays among its first three argv words
and no second process is left behind. ``-I`` keeps the caller's PYTHON* variables and directory out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Final

from wire.atomic import write_atomic

PROGRAMS: Final = {
    "dockerd": "dockerd.__main__",
    "containerd": "containerd.__main__",
    "containerd-shim-dockyard-v1": "shim.__main__",
    "dockyard": "dockyard.__main__",
}

_TEMPLATE: Final = """\
#!/bin/sh
''':'
self=$(readlink -f -- "$0") || exit 127
exec "${{self%/*}}/../venv/bin/python" -I "$self" "$@"
'''
import sys

from {module} import main

sys.exit(main())
"""


def write_launchers(directory: str, names: Iterable[str] = PROGRAMS) -> None:
    """Write every launcher whose content differs from what stands there; raises KeyError for an unknown name."""
    os.makedirs(directory, exist_ok=True)
    for name in names:
        module = PROGRAMS[name]
        path = f"{directory}/{name}"
        content = _TEMPLATE.format(module=module).encode()
        try:
            with open(path, "rb") as file:
                if file.read() == content:
                    continue
        except FileNotFoundError:
            pass
        write_atomic(path, content, 0o755)


if __name__ == "__main__":
    write_launchers(sys.argv[1], sys.argv[2:] or PROGRAMS)
