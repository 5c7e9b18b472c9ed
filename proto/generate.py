#!/usr/bin/env python3
"""Generate the stubs in ``wire/gen`` from the .proto files beside this script, or check that they are fresh.

    generate.py            write proto/wire/gen
    generate.py --check    compare a fresh generation with proto/wire/gen; exit 1 if they differ

The shim does without the protobuf library: the files in LIGHT get a ``*_msg.py`` for ``wire.codec``, too.

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
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
GENERATED = HERE / "wire" / "gen"
ROOTS = ("containerd", "shim", "google", "health")
LIGHT = (
    "google/protobuf/any.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/timestamp.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "containerd/cgroups/v1/metrics.proto",
    "containerd/cgroups/v2/metrics.proto",
    "containerd/events/task.proto",
    "containerd/types/event.proto",
    "containerd/types/introspection.proto",
    "containerd/types/metrics.proto",
    "containerd/types/mount.proto",
    "containerd/types/platform.proto",
    "containerd/types/runc/options/oci.proto",
    "containerd/types/runtimeoptions/v1/api.proto",
    "containerd/types/task/task.proto",
    "shim/events/v1/events.proto",
    "shim/bootstrap/v1/bootstrap.proto",
    "shim/sandbox/v1/sandbox.proto",
    "shim/task/v2/shim.proto",
    "shim/ttrpc/request.proto",
    "containerd/types/introspection.proto",
)
IMPORT = re.compile(
    r"^(from|import) ((?:containerd|shim|google\.rpc|health)(?:\.[\w.]+)?)", re.MULTILINE
)

SCALARS = {
    FieldDescriptorProto.TYPE_STRING: ("STRING", "str", '""'),
    FieldDescriptorProto.TYPE_BYTES: ("BYTES", "bytes", 'b""'),
    FieldDescriptorProto.TYPE_BOOL: ("BOOL", "bool", "False"),
    FieldDescriptorProto.TYPE_UINT32: ("UNSIGNED", "int", "0"),
    FieldDescriptorProto.TYPE_UINT64: ("UNSIGNED", "int", "0"),
    FieldDescriptorProto.TYPE_INT32: ("SIGNED32", "int", "0"),
    FieldDescriptorProto.TYPE_INT64: ("SIGNED64", "int", "0"),
    FieldDescriptorProto.TYPE_DOUBLE: ("DOUBLE", "float", "0.0"),
    FieldDescriptorProto.TYPE_ENUM: ("ENUM", "int", "0"),
}


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
    descriptors = target / "descriptors"
    if (
        protoc.main([*common, "--include_imports", f"--descriptor_set_out={descriptors}", *LIGHT])
        != 0
    ):
        raise RuntimeError("protoc failed")
    known = FileDescriptorSet.FromString(descriptors.read_bytes())
    descriptors.unlink()
    for file in known.file:
        if file.name in LIGHT:
            light = target / f"{file.name.removesuffix('.proto')}_msg.py"
            light.parent.mkdir(parents=True, exist_ok=True)
            light.write_text(light_module(file))
    for stub in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        stub.write_text(IMPORT.sub(r"\1 wire.gen.\2", stub.read_text()))
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text("")


def light_module(file: FileDescriptorProto) -> str:
    """The source of a ``*_msg.py``. A message type stands below the types of its fields, so that no name is used too early."""
    lines = [
        f'"""Messages of {file.name}, for wire.codec. Generated; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message",
        *(f"from {light_name(other)} import *" for other in file.dependency),
        "",
    ]
    for enum in file.enum_type:
        lines += [*(f"{value.name} = {value.number}" for value in enum.value), ""]
    pending = list(file.message_type)
    own = {f".{file.package}.{message.name}": message for message in pending}
    written: set[str] = set()

    def write(message: DescriptorProto) -> None:
        if message.name in written:
            return
        written.add(message.name)
        for field in message.field:
            if field.type_name in own:
                write(own[field.type_name])
        lines.extend(light_class(file.package, message))

    for message in pending:
        write(message)
    return "\n".join(lines)


def light_name(file: str) -> str:
    """The module of a file's light messages."""
    return "wire.gen." + file.removesuffix(".proto").replace("/", ".") + "_msg"


def light_class(package: str, message: DescriptorProto) -> list[str]:
    """The class of one message."""
    maps = {
        f".{package}.{message.name}.{nested.name}"
        for nested in message.nested_type
        if nested.options.map_entry
    }
    table, defaults = [], []
    for field in sorted(message.field, key=lambda each: each.number):
        repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
        inner = "None"
        if field.type_name in maps:
            kind, repeated, hint = "STRING_MAP", False, "dict[str, str]"
        elif field.type == FieldDescriptorProto.TYPE_MESSAGE:
            inner = field.type_name.rpartition(".")[2]
            kind, hint = "MESSAGE", inner
        else:
            kind, hint, default = SCALARS[field.type]
            if not repeated:
                defaults.append(f"    {field.name}: {hint} = {default}")
        if repeated:
            hint = f"list[{hint}]"
        if repeated or kind in {"MESSAGE", "STRING_MAP"}:
            defaults.append(f"    {field.name}: {hint}")
        table.append(f'        {field.number}: ("{field.name}", {kind}, {repeated}, {inner}),')
    return [
        "",
        f"class {message.name}(Message):",
        f'    NAME = "{package}.{message.name}"',
        "    FIELDS = {",
        *table,
        "    }",
        *defaults,
        "",
    ]


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
