"""What the daemon answers. Fields that end with ``*`` are not always there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dockerd.api.schemas.notation import Model
from dockerd.containers import fields

_ROW: Final = {"string": "string", "bool": "bool", "int": "int", "object": "object"}


def _shown(kinds: Mapping[str, str]) -> Model:
    """What was sent, shown again: each field may be missing or null."""
    return {f"{name}*": f"{_kind(kind)}?" for name, kind in kinds.items()}


def _kind(kind: str) -> str:
    if kind == "command":
        return "[string]"
    if kind.startswith("list of "):
        return f"[{kind.removeprefix('list of ').removesuffix('s')}]"
    if kind.startswith("map of "):
        of = kind.removeprefix("map of ").removesuffix("s")
        return f"{{{'[object]' if of == 'list' else of}?}}"
    return _ROW[kind]


ANSWERS: Final[Mapping[str, Model]] = {
    "ErrorResponse": {"message": "string"},
    "IdResponse": {"Id": "string"},
    # -- containers
    "ContainerCreated": {"Id": "string", "Warnings": "[string]"},
    "ContainerUpdated": {"Warnings": "[string]?"},
    "ContainersPruned": {"ContainersDeleted": "[string]?", "SpaceReclaimed": "int"},
    "ContainerConfig": {**_shown(fields.CONFIG), "Image": "string"},
    "HostConfig": _shown(fields.HOST),
    "HealthLog": {"Start": "string", "End": "string", "ExitCode": "int", "Output": "string"},
    "Health": {"Status": "string", "FailingStreak": "int", "Log": "[HealthLog]?"},
    "ContainerState": {
        "Status": "string", "Running": "bool", "Paused": "bool", "Restarting": "bool", "OOMKilled": "bool", "Dead": "bool",
        "Pid": "int", "ExitCode": "int", "Error": "string", "StartedAt": "string", "FinishedAt": "string", "Health*": "Health",
    },
    "GraphDriver": {"Name": "string", "Data": "{string}?"},
    "MountPoint": {
        "Type": "string", "Name*": "string", "Source": "string", "Destination": "string", "Driver*": "string", "Mode": "string",
        "RW": "bool", "Propagation": "string",
    },
    "PortBinding": {"HostIp": "string", "HostPort": "string"},
    "Port": {"IP*": "string", "PrivatePort": "int", "PublicPort*": "int", "Type": "string"},
    "EndpointSettings": {
        "IPAMConfig": "object?", "Links": "[string]?", "Aliases": "[string]?", "MacAddress": "string", "DriverOpts": "{string}?",
        "GwPriority": "int", "NetworkID": "string", "EndpointID": "string", "Gateway": "string", "IPAddress": "string",
        "IPPrefixLen": "int", "IPv6Gateway": "string", "GlobalIPv6Address": "string", "GlobalIPv6PrefixLen": "int",
        "DNSNames": "[string]?",
    },
    "NetworkSettings": {
        "Bridge": "string", "SandboxID": "string", "SandboxKey": "string", "Ports": "{[PortBinding]?}", "HairpinMode": "bool",
        "LinkLocalIPv6Address": "string", "LinkLocalIPv6PrefixLen": "int", "SecondaryIPAddresses": "[object]?",
        "SecondaryIPv6Addresses": "[object]?", "EndpointID": "string", "Gateway": "string", "GlobalIPv6Address": "string",
        "GlobalIPv6PrefixLen": "int", "IPAddress": "string", "IPPrefixLen": "int", "IPv6Gateway": "string",
        "MacAddress": "string", "Networks": "{EndpointSettings}",
    },
    "Container": {
        "Id": "string", "Created": "string", "Path": "string", "Args": "[string]", "State": "ContainerState", "Image": "string",
        "ResolvConfPath": "string", "HostnamePath": "string", "HostsPath": "string", "LogPath": "string", "Name": "string",
        "RestartCount": "int", "Driver": "string", "Platform": "string", "MountLabel": "string", "ProcessLabel": "string",
        "AppArmorProfile": "string", "ExecIDs": "[string]?", "HostConfig": "HostConfig", "GraphDriver": "GraphDriver",
        "Mounts": "[MountPoint]", "Config": "ContainerConfig", "NetworkSettings": "NetworkSettings", "SizeRw*": "int",
        "SizeRootFs*": "int", "ImageManifestDescriptor*": "object",
    },
    "ContainerSummary": {
        "Id": "string", "Names": "[string]", "Image": "string", "ImageID": "string", "Command": "string", "Created": "int",
        "Ports": "[Port]", "Labels": "{string}", "State": "string", "Status": "string", "HostConfig": "object",
        "NetworkSettings": "ContainerSummaryNetworks", "Mounts": "[MountPoint]", "SizeRw*": "int", "SizeRootFs*": "int",
        "ImageManifestDescriptor*": "object",
    },
    "ContainerSummaryNetworks": {"Networks": "{EndpointSettings}"},
    "ContainerTop": {"Titles": "[string]", "Processes": "[[string]]"},
    "ContainerWaited": {"StatusCode": "int", "Error*": "WaitError"},
    "WaitError": {"Message": "string"},
    "Change": {"Path": "string", "Kind": "int"},
    "Stats": {
        "name": "string", "id": "string", "read": "string", "preread": "string", "num_procs": "int", "storage_stats": "object",
        "pids_stats": "object", "blkio_stats": "object", "cpu_stats": "object", "precpu_stats": "object",
        "memory_stats": "object", "networks*": "{object}",
    },
    "ExecProcess": {
        "tty": "bool", "entrypoint": "string", "arguments": "[string]", "privileged": "bool", "user*": "string",
    },
    "Exec": {
        "ID": "string", "Running": "bool", "ExitCode": "int?", "ProcessConfig": "ExecProcess", "OpenStdin": "bool",
        "OpenStderr": "bool", "OpenStdout": "bool", "CanRemove": "bool", "ContainerID": "string", "DetachKeys": "string",
        "Pid": "int",
    },
    # -- images
    "Descriptor": {
        "mediaType": "string", "digest": "string", "size": "int", "annotations*": "{string}", "platform*": "object",
        "urls*": "[string]",
    },
    "RootFS": {"Type": "string", "Layers*": "[string]"},
    "ImageMetadata": {"LastTagTime": "string"},
    "Image": {
        "Id": "string", "RepoTags": "[string]", "RepoDigests": "[string]", "Parent*": "string", "Comment": "string",
        "Created*": "string?", "DockerVersion*": "string", "Author": "string", "Config": "object?", "Architecture": "string?",
        "Variant*": "string", "Os": "string?", "OsVersion*": "string", "Size": "int", "GraphDriver*": "GraphDriver",
        "RootFS": "RootFS",
        "Metadata": "ImageMetadata", "Descriptor*": "Descriptor", "Manifests*": "[object]", "Identity*": "object",
        "Container*": "string", "ContainerConfig*": "object", "VirtualSize*": "int",
    },
    "ImageSummary": {
        "Id": "string", "ParentId": "string", "RepoTags": "[string]", "RepoDigests": "[string]", "Created": "int", "Size": "int",
        "SharedSize": "int", "Labels": "{string}?", "Containers": "int", "Descriptor*": "Descriptor", "Manifests*": "[object]",
        "VirtualSize*": "int",
    },
    "ImageHistory": {
        "Id": "string", "Created": "int", "CreatedBy": "string", "Tags": "[string]?", "Size": "int", "Comment": "string",
    },
    "ImageDeleted": {"Untagged*": "string", "Deleted*": "string"},
    "ImagesPruned": {"ImagesDeleted": "[ImageDeleted]?", "SpaceReclaimed": "int"},
    "ImageSearched": {
        "name": "string", "description": "string", "star_count": "int", "is_official": "bool", "is_automated*": "bool",
    },
    "Progress": {
        "stream*": "string", "status*": "string", "id*": "string", "progress*": "string", "progressDetail*": "object",
        "aux*": "object", "error*": "string", "errorDetail*": "object",
    },
    "BuildCachePruned": {"CachesDeleted": "[string]?", "SpaceReclaimed": "int"},
    "DistributionInspect": {"Descriptor": "Descriptor", "Platforms": "[object]?"},
    "AuthResponse": {"Status": "string", "IdentityToken*": "string"},
    # -- networks and volumes
    "NetworkPool": {"Subnet": "string", "Gateway*": "string", "IPRange*": "string", "AuxiliaryAddresses*": "{string}"},
    "NetworkIPAM": {"Driver": "string", "Options": "{string}?", "Config": "[NetworkPool]?"},
    "NetworkContainer": {
        "Name": "string", "EndpointID": "string", "MacAddress": "string", "IPv4Address": "string", "IPv6Address": "string",
    },
    "Network": {
        "Name": "string", "Id": "string", "Created": "string", "Scope": "string", "Driver": "string", "EnableIPv4": "bool",
        "EnableIPv6": "bool", "IPAM": "NetworkIPAM", "Internal": "bool", "Attachable": "bool", "Ingress": "bool",
        "ConfigFrom": "object", "ConfigOnly": "bool", "Containers*": "{NetworkContainer}", "Options": "{string}?",
        "Labels": "{string}?",
    },
    "NetworkCreated": {"Id": "string", "Warning": "string"},
    "NetworksPruned": {"NetworksDeleted": "[string]?"},
    "VolumeUsage": {"Size": "int", "RefCount": "int"},
    "Volume": {
        "Name": "string", "Driver": "string", "Mountpoint": "string", "CreatedAt*": "string", "Status*": "object",
        "Labels": "{string}?", "Scope": "string", "Options": "{string}?", "UsageData*": "VolumeUsage",
    },
    "VolumeList": {"Volumes": "[Volume]", "Warnings": "[string]?"},
    "VolumesPruned": {"VolumesDeleted": "[string]?", "SpaceReclaimed": "int"},
    # -- the daemon
    "EventActor": {"ID": "string", "Attributes": "{string}"},
    "Event": {
        "Type": "string", "Action": "string", "Actor": "EventActor", "scope": "string", "time": "int", "timeNano": "int",
        "status*": "string", "id*": "string", "from*": "string",
    },
    "VersionComponent": {"Name": "string", "Version": "string", "Details*": "{string}"},
    "VersionPlatform": {"Name": "string"},
    "Version": {
        "Platform": "VersionPlatform", "Components": "[VersionComponent]", "Version": "string", "ApiVersion": "string",
        "MinAPIVersion": "string", "GitCommit": "string", "GoVersion": "string", "Os": "string", "Arch": "string",
        "KernelVersion": "string", "BuildTime": "string", "Experimental*": "bool",
    },
    "InfoPlugins": {"Volume": "[string]", "Network": "[string]", "Authorization": "[string]?", "Log": "[string]"},
    "InfoIndex": {"Name": "string", "Mirrors": "[string]", "Secure": "bool", "Official": "bool"},
    "InfoRegistries": {
        "IndexConfigs": "{InfoIndex}", "InsecureRegistryCIDRs": "[string]", "Mirrors": "[string]",
        "AllowNondistributableArtifactsCIDRs*": "[string]?", "AllowNondistributableArtifactsHostnames*": "[string]?",
    },
    "InfoRuntime": {"path": "string", "runtimeArgs*": "[string]", "status*": "{string}"},
    "Commit": {"ID": "string", "Expected*": "string"},
    "Info": {
        "ID": "string", "Containers": "int", "ContainersRunning": "int", "ContainersPaused": "int", "ContainersStopped": "int",
        "Images": "int", "Driver": "string", "DriverStatus": "[[string]]", "Plugins": "InfoPlugins", "MemoryLimit": "bool",
        "SwapLimit": "bool", "CpuCfsPeriod": "bool", "CpuCfsQuota": "bool", "CPUShares": "bool", "CPUSet": "bool",
        "PidsLimit": "bool", "IPv4Forwarding": "bool", "Debug": "bool", "NFd": "int", "OomKillDisable": "bool",
        "NGoroutines": "int",
        "SystemTime": "string", "LoggingDriver": "string", "CgroupDriver": "string", "CgroupVersion": "string",
        "NEventsListener": "int", "KernelVersion": "string", "OperatingSystem": "string", "OSVersion": "string",
        "OSType": "string",
        "Architecture": "string", "IndexServerAddress": "string", "RegistryConfig": "InfoRegistries", "NCPU": "int",
        "MemTotal": "int", "GenericResources": "[object]?", "DockerRootDir": "string", "HttpProxy": "string",
        "HttpsProxy": "string", "NoProxy": "string", "Name": "string", "Labels": "[string]", "ExperimentalBuild": "bool",
        "ServerVersion": "string", "Runtimes": "{InfoRuntime}", "DefaultRuntime": "string", "Swarm": "object",
        "LiveRestoreEnabled": "bool", "Isolation": "string", "InitBinary": "string", "ContainerdCommit": "Commit",
        "RuncCommit": "Commit", "InitCommit": "Commit", "SecurityOptions": "[string]", "Warnings": "[string]?",
        "CDISpecDirs": "[string]", "ProductLicense*": "string", "DefaultAddressPools*": "[object]", "FirewallBackend*": "object",
        "Containerd*": "object", "DiscoveredDevices*": "[object]", "BridgeNfIptables*": "bool", "BridgeNfIp6tables*": "bool",
    },
    "DiskUsage": {
        "LayersSize*": "int", "Images*": "[ImageSummary]?", "Containers*": "[ContainerSummary]?", "Volumes*": "[Volume]?",
        "BuildCache*": "[object]?",
    },
    "DebugVars": {"cmdline": "[string]", "memstats": "object", "threads": "int"},
}  # fmt: skip
