#!/usr/bin/env python3
"""Generate the stubs in ``wire/gen`` from the .proto files beside this script, or check that they are fresh.

    generate.py            write proto/wire/gen
    generate.py --check    compare a fresh generation with proto/wire/gen; exit 1 if they differ

protoc writes imports such as ``from containerd.types import mount_pb2``; everything lives below ``wire.gen`` instead, because
``containerd`` is the import name of our own service. Services that speak ttrpc (below ``shim/``) get no gRPC stub.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
GENERATED = HERE / "wire" / "gen"
ROOTS = ("containerd", "shim", "google", "health")
IMPORT = re.compile(
    r"^(from|import) ((?:containerd|shim|google\.rpc|health)(?:\.[\w.]+)?)", re.MULTILINE
)


def sources() -> list[Path]:
    """Every .proto file, relative to this folder."""
    return sorted(
        path.relative_to(HERE) for root in ROOTS for path in (HERE / root).rglob("*.proto")
    )


def generate(target: Path) -> None:
    """Write all stubs below ``target``; raises RuntimeError if protoc refuses a file."""
    target.mkdir(parents=True, exist_ok=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    files = sources()
    common = ["protoc", f"-I{HERE}", f"-I{well_known}"]
    outputs = [f"--python_out={target}", f"--pyi_out={target}"]
    if protoc.main([*common, *outputs, *map(str, files)]) != 0:
        raise RuntimeError("protoc failed")
    with_grpc = [
        file
        for file in files
        if file.parts[0] != "shim" and "\nservice " in (HERE / file).read_text()
    ]
    if protoc.main([*common, f"--grpc_python_out={target}", *map(str, with_grpc)]) != 0:
        raise RuntimeError("protoc failed")
    for stub in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        stub.write_text(IMPORT.sub(r"\1 wire.gen.\2", stub.read_text()))
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text("")


def listing(folder: Path) -> set[str]:
    """The stub files below ``folder``, relative."""
    return {
        str(path.relative_to(folder))
        for pattern in ("*.py", "*.pyi")
        for path in folder.rglob(pattern)
    }


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "gen"
        generate(fresh)
        if arguments != ["--check"]:
            shutil.rmtree(GENERATED, ignore_errors=True)
            shutil.copytree(fresh, GENERATED)
            return 0
        names = listing(fresh)
        stale = sorted(names ^ listing(GENERATED))
        _, different, broken = filecmp.cmpfiles(
            fresh, GENERATED, sorted(names & listing(GENERATED)), shallow=False
        )
        for name in [*stale, *different, *broken]:
            sys.stderr.write(f"stale: proto/wire/gen/{name} (run make proto)\n")
        return 1 if stale or different or broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
