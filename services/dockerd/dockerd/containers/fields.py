"""The types of what a create request has, checked before anything looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wire.errors import InvalidArgument

_CONFIG: Final = {
    "Hostname": "string", "Domainname": "string", "User": "string", "AttachStdin": "bool", "AttachStdout": "bool",
    "AttachStderr": "bool", "ExposedPorts": "map of objects", "Tty": "bool", "OpenStdin": "bool", "StdinOnce": "bool",
    "Env": "list of strings", "Cmd": "command", "ArgsEscaped": "bool", "Image": "string", "Volumes": "map of objects",
    "WorkingDir": "string", "Entrypoint": "command", "NetworkDisabled": "bool", "MacAddress": "string",
    "OnBuild": "list of strings", "Labels": "map of strings", "StopSignal": "string", "StopTimeout": "int",
    "Shell": "list of strings", "Healthcheck": "object",
}  # fmt: skip
_HOST: Final = {
    "Binds": "list of strings", "ContainerIDFile": "string", "LogConfig": "object", "NetworkMode": "string",
    "PortBindings": "map of lists", "RestartPolicy": "object", "AutoRemove": "bool", "VolumeDriver": "string",
    "VolumesFrom": "list of strings", "ConsoleSize": "list of ints", "Annotations": "map of strings",
    "CapAdd": "list of strings", "CapDrop": "list of strings", "CgroupnsMode": "string", "Dns": "list of strings",
    "DnsOptions": "list of strings", "DnsSearch": "list of strings", "ExtraHosts": "list of strings",
    "GroupAdd": "list of strings", "IpcMode": "string", "Cgroup": "string", "Links": "list of strings",
    "OomScoreAdj": "int", "PidMode": "string", "Privileged": "bool", "PublishAllPorts": "bool",
    "ReadonlyRootfs": "bool", "SecurityOpt": "list of strings", "StorageOpt": "map of strings", "Tmpfs": "map of strings",
    "UTSMode": "string", "UsernsMode": "string", "ShmSize": "int", "Sysctls": "map of strings", "Runtime": "string",
    "Isolation": "string", "CpuShares": "int", "Memory": "int", "NanoCpus": "int", "CgroupParent": "string",
    "BlkioWeight": "int", "BlkioWeightDevice": "list of objects", "BlkioDeviceReadBps": "list of objects",
    "BlkioDeviceWriteBps": "list of objects", "BlkioDeviceReadIOps": "list of objects",
    "BlkioDeviceWriteIOps": "list of objects", "CpuPeriod": "int", "CpuQuota": "int", "CpuRealtimePeriod": "int",
    "CpuRealtimeRuntime": "int", "CpusetCpus": "string", "CpusetMems": "string", "Devices": "list of objects",
    "DeviceCgroupRules": "list of strings", "DeviceRequests": "list of objects", "KernelMemory": "int",
    "KernelMemoryTCP": "int", "MemoryReservation": "int", "MemorySwap": "int", "MemorySwappiness": "int",
    "OomKillDisable": "bool", "PidsLimit": "int", "Ulimits": "list of objects", "CpuCount": "int", "CpuPercent": "int",
    "IOMaximumIOps": "int", "IOMaximumBandwidth": "int", "Mounts": "list of objects", "MaskedPaths": "list of strings",
    "ReadonlyPaths": "list of strings", "Init": "bool",
}  # fmt: skip
_LARGEST: Final = 1 << 63
_NAMES: Final = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


def check(config: Mapping[str, Any], host: Mapping[str, Any]) -> None:
    """Raises InvalidArgument, in the words of Go's decoder, for a field of the wrong type."""
    for struct, fields, document in (("Config", _CONFIG, config), ("HostConfig", _HOST, host)):
        check_fields(struct, fields, document)


def check_host(host: Mapping[str, Any]) -> None:
    """The same for the fields of a HostConfig alone."""
    check_fields("HostConfig", _HOST, host)


def check_fields(struct: str, fields: Mapping[str, str], document: Mapping[str, Any]) -> None:
    """The same for a table of fields; null means absent everywhere."""
    for name, value in document.items():
        kind = fields.get(name)
        if kind is not None and value is not None and not _is(kind, value):
            given = _NAMES.get(type(value), "value")
            raise InvalidArgument(
                f"invalid JSON: json: cannot unmarshal {given} into Go struct field {struct}.{name} of type {kind}"
            )


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
        case "object":
            return isinstance(value, dict)
        case "command":
            return isinstance(value, str) or _is("list of strings", value)
        case _:
            return _is_collection(kind, value)


def _is_collection(kind: str, value: Any) -> bool:
    match kind.split():
        case ["list", "of", of]:
            return isinstance(value, list) and all(
                _is(of.removesuffix("s"), each) for each in value
            )
        case ["map", "of", "lists"]:
            return isinstance(value, dict) and all(
                each is None or _is("list of objects", each) for each in value.values()
            )
        case ["map", "of", of]:
            return isinstance(value, dict) and all(
                each is None or _is(of.removesuffix("s"), each) for each in value.values()
            )
        case _:
            raise ValueError(kind)
