"""What clients send: the tables by which it is checked, as schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dockerd.api.schemas.notation import Schema, request
from dockerd.containers import fields
from dockerd.networks import creation
from dockerd.volumes.service import CREATE as VOLUME

REQUESTS: Final[Mapping[str, Schema]] = {
    "Address": request(fields.ADDRESSES),
    "BindOptions": request(fields.NESTED["BindOptions"]),
    "CommitConfig": request(fields.CONFIG, {"Healthcheck": "HealthConfig"}),
    "ContainerCreate": request(
        {**fields.CONFIG, "HostConfig": "object", "NetworkingConfig": "object"},
        {"Healthcheck": "HealthConfig", "HostConfig": "HostConfigRequest", "NetworkingConfig": "NetworkingConfig"},
    ),
    "ContainerUpdate": request(
        {
            **{
                name: fields.HOST[name]
                for name in (
                    "BlkioWeight", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime", "CpuShares", "CpusetCpus",
                    "CpusetMems", "Memory", "MemoryReservation", "MemorySwap", "NanoCpus", "PidsLimit", "RestartPolicy",
                )
            }
        },
        {"RestartPolicy": "RestartPolicyRequest"},
    ),
    "DeviceMapping": request(fields.NESTED["Devices"]),
    "DeviceRequest": request(fields.NESTED["DeviceRequests"]),
    "DriverConfig": request(fields.NESTED["DriverConfig"]),
    "EndpointRequest": request(fields.ENDPOINT, {"IPAMConfig": "Address"}),
    "ExecCreate": request(fields.EXEC),
    "ExecStart": request(fields.EXEC_START),
    "HealthConfig": request(fields.NESTED["Healthcheck"]),
    "HostConfigRequest": request(
        fields.HOST,
        {
            "LogConfig": "LogConfigRequest", "PortBindings": "PortBindingRequest", "RestartPolicy": "RestartPolicyRequest",
            "Devices": "DeviceMapping", "DeviceRequests": "DeviceRequest", "Ulimits": "UlimitRequest", "Mounts": "MountRequest",
            "BlkioDeviceReadBps": "ThrottleDevice", "BlkioDeviceWriteBps": "ThrottleDevice",
            "BlkioDeviceReadIOps": "ThrottleDevice", "BlkioDeviceWriteIOps": "ThrottleDevice",
            "BlkioWeightDevice": "WeightDevice",
        },
    ),
    "ImageOptions": request(fields.NESTED["ImageOptions"]),
    "IPAM": request(creation.IPAM, {"Config": "IPAMPool"}),
    "IPAMPool": request(creation.POOL),
    "LogConfigRequest": request(fields.NESTED["LogConfig"]),
    "MountRequest": request(
        fields.NESTED["Mounts"],
        {name: name for name in ("BindOptions", "VolumeOptions", "TmpfsOptions", "ImageOptions")},
    ),
    "NetworkConnect": request(fields.CONNECT, {"EndpointConfig": "EndpointRequest"}),
    "NetworkCreate": request(creation.REQUEST, {"IPAM": "IPAM"}),
    "NetworkDisconnect": request(fields.DISCONNECT),
    "NetworkingConfig": request({"EndpointsConfig": "map of objects"}, {"EndpointsConfig": "EndpointRequest"}),
    "PortBindingRequest": request(fields.NESTED["PortBindings"]),
    "RestartPolicyRequest": request(fields.NESTED["RestartPolicy"]),
    "ThrottleDevice": request(fields.NESTED["BlkioDeviceReadBps"]),
    "TmpfsOptions": request(fields.NESTED["TmpfsOptions"]),
    "UlimitRequest": request(fields.NESTED["Ulimits"]),
    "VolumeCreate": request(VOLUME),
    "VolumeOptions": request(fields.NESTED["VolumeOptions"], {"DriverConfig": "DriverConfig"}),
    "WeightDevice": request(fields.NESTED["BlkioWeightDevice"]),
}  # fmt: skip
