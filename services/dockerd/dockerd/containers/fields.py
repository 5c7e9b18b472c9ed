"""The types of what a create request has, checked before anything looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dockerd.fields import check_fields
from wire.errors import InvalidArgument

_REQUEST: Final = {"HostConfig": "object", "NetworkingConfig": "object"}
_NETWORKING: Final = {"EndpointsConfig": "map of objects"}
ENDPOINT: Final = {
    "IPAMConfig": "object", "Links": "list of strings", "Aliases": "list of strings", "MacAddress": "string",
    "DriverOpts": "map of strings", "GwPriority": "int",
    # What inspect tells; clients send it back, and nothing comes of it.
    "NetworkID": "string", "EndpointID": "string", "Gateway": "string", "IPAddress": "string", "IPPrefixLen": "int",
    "IPv6Gateway": "string", "GlobalIPv6Address": "string", "GlobalIPv6PrefixLen": "int", "DNSNames": "list of strings",
}  # fmt: skip
CONNECT: Final = {"Container": "string", "EndpointConfig": "object"}
DISCONNECT: Final = {"Container": "string", "Force": "bool"}
ADDRESSES: Final = {
    "IPv4Address": "string", "IPv6Address": "string", "LinkLocalIPs": "list of strings",
}  # fmt: skip
EXEC: Final = {
    "Cmd": "list of strings", "Env": "list of strings", "User": "string", "WorkingDir": "string", "DetachKeys": "string",
    "Privileged": "bool", "Tty": "bool", "AttachStdin": "bool", "AttachStdout": "bool", "AttachStderr": "bool",
    "ConsoleSize": "list of ints",
}  # fmt: skip
EXEC_START: Final = {"Detach": "bool", "Tty": "bool", "ConsoleSize": "list of ints"}
CONFIG: Final = {
    "Hostname": "string", "Domainname": "string", "User": "string", "AttachStdin": "bool", "AttachStdout": "bool",
    "AttachStderr": "bool", "ExposedPorts": "map of objects", "Tty": "bool", "OpenStdin": "bool", "StdinOnce": "bool",
    "Env": "list of strings", "Cmd": "command", "ArgsEscaped": "bool", "Image": "string", "Volumes": "map of objects",
    "WorkingDir": "string", "Entrypoint": "command", "NetworkDisabled": "bool", "MacAddress": "string",
    "OnBuild": "list of strings", "Labels": "map of strings", "StopSignal": "string", "StopTimeout": "int",
    "Shell": "list of strings", "Healthcheck": "object",
}  # fmt: skip
HOST: Final = {
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

_DEVICE_RATE: Final = {"Path": "string", "Rate": "int"}
NESTED: Final = {
    "Healthcheck": {
        "Test": "list of strings", "Interval": "int", "Timeout": "int", "StartPeriod": "int", "StartInterval": "int",
        "Retries": "int",
    },
    "LogConfig": {"Type": "string", "Config": "map of strings"},
    "RestartPolicy": {"Name": "string", "MaximumRetryCount": "int"},
    "PortBindings": {"HostIp": "string", "HostPort": "string"},
    "BlkioWeightDevice": {"Path": "string", "Weight": "int"},
    "BlkioDeviceReadBps": _DEVICE_RATE, "BlkioDeviceWriteBps": _DEVICE_RATE,
    "BlkioDeviceReadIOps": _DEVICE_RATE, "BlkioDeviceWriteIOps": _DEVICE_RATE,
    "Devices": {"PathOnHost": "string", "PathInContainer": "string", "CgroupPermissions": "string"},
    "DeviceRequests": {
        "Driver": "string", "Count": "int", "DeviceIDs": "list of strings", "Options": "map of strings",
        "Capabilities": "list of lists of strings",
    },
    "Ulimits": {"Name": "string", "Soft": "int", "Hard": "int"},
    "Mounts": {
        "Type": "string", "Source": "string", "Target": "string", "ReadOnly": "bool", "Consistency": "string",
        "BindOptions": "object", "VolumeOptions": "object", "TmpfsOptions": "object", "ImageOptions": "object",
        "ClusterOptions": "object",
    },
    "BindOptions": {
        "Propagation": "string", "NonRecursive": "bool", "CreateMountpoint": "bool", "ReadOnlyNonRecursive": "bool",
        "ReadOnlyForceRecursive": "bool",
    },
    "VolumeOptions": {
        "NoCopy": "bool", "Labels": "map of strings", "DriverConfig": "object", "Subpath": "string",
    },
    "DriverConfig": {"Name": "string", "Options": "map of strings"},
    "TmpfsOptions": {"SizeBytes": "int", "Mode": "int", "Options": "list of lists of strings"},
    "ImageOptions": {"Subpath": "string"},
}  # fmt: skip
"""The fields of the objects in some of the fields above, and in each other's."""


def check(config: dict[str, Any], host: dict[str, Any]) -> None:
    """Raises InvalidArgument, in the words of Go's decoder, for a field of the wrong type."""
    check_fields("Config", CONFIG, config)
    _check_nested(CONFIG, config)
    check_host(host)


def check_host(host: dict[str, Any]) -> None:
    """The same for the fields of a HostConfig alone."""
    check_fields("HostConfig", HOST, host)
    _check_nested(HOST, host)
    _check_console(host.get("ConsoleSize"))


def _check_nested(fields: Mapping[str, str], document: dict[str, Any]) -> None:
    """What is inside of the objects of a document whose own fields are checked."""
    for name, kind in fields.items():
        inside, value = NESTED.get(name), document.get(name)
        if inside is None or not value:
            continue
        match kind:
            case "object":
                objects = [value]
            case "map of lists":
                objects = [each for some in value.values() for each in some or ()]
            case "list of objects":
                objects = value
            case _:
                continue
        for each in objects:
            check_fields(name, inside, each or {})
            _check_nested(inside, each or {})


def check_request(document: dict[str, Any]) -> None:
    """A create request, with all its parts: older versions' are rewritten before anything else looks at them."""
    check_fields("CreateRequest", _REQUEST, document)
    check(document, document.get("HostConfig") or {})
    networking = document.get("NetworkingConfig") or {}
    check_fields("NetworkingConfig", _NETWORKING, networking)
    for settings in (networking.get("EndpointsConfig") or {}).values():
        check_endpoint(settings or {})


def check_endpoint(settings: dict[str, Any]) -> None:
    """The settings of a container on one network."""
    check_fields("EndpointSettings", ENDPOINT, settings)
    check_fields("EndpointIPAMConfig", ADDRESSES, settings.get("IPAMConfig") or {})


def check_connect(document: dict[str, Any]) -> None:
    """A request to put a container on a network."""
    check_fields("ConnectOptions", CONNECT, document)
    check_endpoint(document.get("EndpointConfig") or {})


def check_disconnect(document: dict[str, Any]) -> None:
    """A request to take a container off a network."""
    check_fields("DisconnectOptions", DISCONNECT, document)


def check_exec_start(options: dict[str, Any]) -> None:
    """How an exec is to be started; raises InvalidArgument, also for a size that is not one of a terminal."""
    check_fields("ExecStartOptions", EXEC_START, options)
    _check_console(options.get("ConsoleSize"))


def _check_console(size: list[int] | None) -> None:
    if size and (len(size) != 2 or not all(0 <= each < 1 << 16 for each in size)):
        raise InvalidArgument(f"invalid ConsoleSize {size}: rows and columns are needed")


def check_exec(config: dict[str, Any]) -> None:
    """A request for an exec."""
    check_fields("ExecOptions", EXEC, config)
    _check_console(config.get("ConsoleSize"))
