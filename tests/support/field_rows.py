"""Every field that clients may send, with a value that is not the default, and what must come of it.

A row is accepted, shown by inspect and has its effect in the container, or is refused with a 400 that names it. Rows are
the data of ``tests/e2e/test_fields.py``; ``tests/unit/dockerd/test_field_rows.py`` keeps fields from having none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Final

SAME: Final = object()
ABSENT: Final = object()


@dataclass(frozen=True)
class Field:
    """One field, by its path in the request: ``Config.User``, ``HostConfig.Memory``.

    ``more`` are other fields that it needs, ``shown`` what inspect tells, ``script`` what the container executes and
    ``prints`` what comes out, ``refused`` the words of a 400, ``warns`` those of a warning.
    """

    path: str
    value: Any
    more: dict[str, Any] = field(default_factory=dict)
    shown: Any = SAME
    script: str = ""
    prints: str = ""
    refused: str = ""
    warns: str = ""

    def __str__(self) -> str:
        return f"{self.path}={self.value}"[:90]


def _cgroup(legacy: str, unified: str = "/dev/null") -> str:
    path = "/sys/fs/cgroup"
    return f"cat {path}/{legacy} 2>/dev/null || cat {path}/{unified}"


def _of_host(path: str, namespace: str) -> Field:
    """The container shares a namespace with the daemon, and so with the tests."""
    name = os.readlink(f"/proc/self/ns/{namespace}")
    # Brackets are special in patterns.
    prints = name.replace("[", "?").replace("]", "?")
    return Field(path, "host", script=f"readlink /proc/self/ns/{namespace}", prints=prints)


MIB: Final = 1 << 20
_PRIVATE: Final = {"HostConfig.CgroupnsMode": "private"}
_MEMORY: Final = {"HostConfig.Memory": 64 * MIB, **_PRIVATE}
_CAPABILITIES: Final = "grep CapEff /proc/self/status | cut -f2"
_HEALTH: Final = {
    "Test": ["CMD", "true"], "Interval": 2 * 10**9, "Timeout": 3 * 10**9, "StartPeriod": 4 * 10**9,
    "StartInterval": 5 * 10**9, "Retries": 7,
}  # fmt: skip

CONFIG_ROWS: Final = (
    Field("Config.ArgsEscaped", True),
    Field("Config.AttachStderr", True),
    Field("Config.AttachStdin", True),
    Field("Config.AttachStdout", True),
    Field("Config.Cmd", ["echo", "a b"], script="-", prints="a b"),
    Field("Config.Domainname", "d.example", {"Config.Hostname": "h", "HostConfig.NetworkMode": "bridge"},
          script="hostname -f", prints="h.d.example"),
    Field("Config.Entrypoint", ["echo", "one"], script="-", prints="one*"),
    Field("Config.Env", ["A=b"], shown=["A=b", "PATH=/bin"], script="echo $A", prints="b"),
    Field("Config.ExposedPorts", {"81/tcp": {}}),
    Field("Config.Healthcheck", _HEALTH),
    Field("Config.Hostname", "called", script="hostname", prints="called"),
    Field("Config.Image", "busybox:latest"),
    Field("Config.Labels", {"x": "y"}, shown={"made-by": "tests", "x": "y"}),
    Field("Config.MacAddress", "02:42:ac:11:00:77", {"HostConfig.NetworkMode": "bridge"}, shown=ABSENT,
          script="cat /sys/class/net/eth0/address", prints="02:42:ac:11:00:77", warns="MacAddress field is now deprecated"),
    Field("Config.NetworkDisabled", True, {"HostConfig.NetworkMode": "bridge"}, script="ls /sys/class/net", prints="lo"),
    Field("Config.OnBuild", ["RUN true"]),
    Field("Config.OpenStdin", True),
    Field("Config.Shell", ["/bin/ash", "-c"]),
    Field("Config.StdinOnce", True, {"Config.OpenStdin": True}),
    Field("Config.StopSignal", "SIGINT"),
    Field("Config.StopTimeout", 9),
    Field("Config.Tty", True, script="test -t 0 && echo terminal", prints="terminal"),
    Field("Config.User", "1000:2000", script="id -u; id -g", prints="1000\n2000"),
    Field("Config.Volumes", {"/kept": {}}, script="grep -c ' /kept ' /proc/mounts", prints="1"),
    Field("Config.WorkingDir", "/made/for/it", script="pwd", prints="/made/for/it"),
)  # fmt: skip

HOST_ROWS: Final = (
    Field("HostConfig.Annotations", {"a.b": "c"}),
    Field("HostConfig.AutoRemove", True),
    Field("HostConfig.Binds", ["/etc:/host:ro"], script="touch /host/x; ls /host/passwd", prints="*Read-only*\n/host/passwd"),
    Field("HostConfig.CapAdd", ["CAP_SYS_TIME"], script=_CAPABILITIES, prints="00000000aa0425fb"),
    Field("HostConfig.CapDrop", ["CAP_CHOWN"], script=_CAPABILITIES, prints="00000000a80425fa"),
    Field("HostConfig.Cgroup", "x", refused="HostConfig.Cgroup"),
    Field("HostConfig.CgroupParent", "/dockyard-fields", {"HostConfig.CgroupnsMode": "host"},
          script="grep -c dockyard-fields /proc/self/cgroup", prints="[1-9]*"),
    Field("HostConfig.CgroupnsMode", "private", script="tail -1 /proc/self/cgroup", prints="0::/"),
    Field("HostConfig.ConsoleSize", [33, 44], {"Config.Tty": True}, script="stty size", prints="33 44"),
    Field("HostConfig.ContainerIDFile", "/tmp/cid"),
    Field("HostConfig.Dns", ["9.9.9.9"], {"HostConfig.NetworkMode": "bridge"},
          script="cat /etc/resolv.conf", prints="*nameserver 9.9.9.9*"),
    Field("HostConfig.DnsOptions", ["ndots:3"], {"HostConfig.NetworkMode": "bridge"},
          script="cat /etc/resolv.conf", prints="*options*ndots:3*"),
    Field("HostConfig.DnsSearch", ["s.example"], {"HostConfig.NetworkMode": "bridge"},
          script="cat /etc/resolv.conf", prints="*search s.example*"),
    Field("HostConfig.ExtraHosts", ["far:1.2.3.4"], {"HostConfig.NetworkMode": "bridge"},
          script="grep far /etc/hosts", prints="1.2.3.4\tfar"),
    Field("HostConfig.GroupAdd", ["2000"], script="id -G", prints="0*2000"),
    Field("HostConfig.Init", True, script="cat /proc/1/comm", prints="docker-init"),
    Field("HostConfig.IpcMode", "none", script="ls -d /dev/shm 2>/dev/null || echo none", prints="none"),
    Field("HostConfig.Isolation", "default"),
    Field("HostConfig.Isolation", "process", refused="isolation"),
    Field("HostConfig.Links", ["nobody:x"], {"HostConfig.NetworkMode": "bridge"}, refused="nobody"),
    Field("HostConfig.LogConfig", {"Type": "local", "Config": {"max-size": "1m"}}),
    Field("HostConfig.MaskedPaths", ["/proc/uptime"], script="wc -c </proc/uptime", prints="0"),
    _of_host("HostConfig.NetworkMode", "net"),
    Field("HostConfig.OomScoreAdj", 100, script="cat /proc/self/oom_score_adj", prints="100"),
    _of_host("HostConfig.PidMode", "pid"),
    Field("HostConfig.PortBindings", {"82/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40000-49999"}]}),
    Field("HostConfig.Privileged", True, script="test -e /dev/loop-control -o -e /dev/kmsg && echo devices", prints="devices"),
    Field("HostConfig.PublishAllPorts", True),
    Field("HostConfig.ReadonlyPaths", ["/proc/fs"], script="grep ' /proc/fs ' /proc/mounts", prints="* ro,*"),
    Field("HostConfig.ReadonlyRootfs", True, script="touch /x 2>&1", prints="*Read-only file system"),
    Field("HostConfig.RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}),
    Field("HostConfig.Runtime", "io.containerd.runc.v2"),
    Field("HostConfig.Runtime", "nope", refused="unknown or invalid runtime name: nope"),
    Field("HostConfig.SecurityOpt", ["no-new-privileges"], script="grep NoNewPrivs /proc/self/status | cut -f2", prints="1"),
    Field("HostConfig.ShmSize", MIB, script="grep -o size=1024k /proc/mounts", prints="size=1024k"),
    Field("HostConfig.StorageOpt", {"size": "1G"}, refused="--storage-opt"),
    Field("HostConfig.Sysctls", {"net.core.somaxconn": "333"}, script="cat /proc/sys/net/core/somaxconn", prints="333"),
    Field("HostConfig.Tmpfs", {"/t": "size=1m"}, script="grep ' /t ' /proc/mounts", prints="*size=1024k*"),
    _of_host("HostConfig.UTSMode", "uts"),
    _of_host("HostConfig.UsernsMode", "user"),
    Field("HostConfig.UsernsMode", "private-ish", refused="user namespace mode"),
    Field("HostConfig.VolumeDriver", "local", {"Config.Volumes": {"/v": {}}}),
    Field("HostConfig.VolumesFrom", ["nobody"], refused="nobody"),
    # -- resources
    Field("HostConfig.BlkioWeight", 300, _PRIVATE,
          script=_cgroup("blkio/blkio.bfq.weight", "io.weight"), prints="*300*"),
    Field("HostConfig.BlkioWeightDevice", [{"Path": "/dev/null", "Weight": 300}]),
    Field("HostConfig.BlkioDeviceReadBps", [{"Path": "/dev/null", "Rate": 7 * MIB}]),
    Field("HostConfig.BlkioDeviceReadIOps", [{"Path": "/dev/null", "Rate": 777}]),
    Field("HostConfig.BlkioDeviceWriteBps", [{"Path": "/dev/null", "Rate": 7 * MIB}]),
    Field("HostConfig.BlkioDeviceWriteIOps", [{"Path": "/dev/null", "Rate": 777}]),
    Field("HostConfig.CpuCount", 2, refused="CpuCount"),
    Field("HostConfig.CpuPercent", 50, shown=0, warns="CPU percent"),
    Field("HostConfig.CpuPeriod", 20_000, _PRIVATE, script=_cgroup("cpu/cpu.cfs_period_us", "cpu.max"), prints="*20000"),
    Field("HostConfig.CpuQuota", 10_000, _PRIVATE, script=_cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), prints="10000*"),
    Field("HostConfig.CpuShares", 512, _PRIVATE, script=_cgroup("cpu/cpu.shares", "cpu.weight"), prints="*[0-9]"),
    Field("HostConfig.CpusetCpus", "0", _PRIVATE, script="grep Cpus_allowed_list /proc/self/status", prints="*\t0"),
    Field("HostConfig.CpusetMems", "0", _PRIVATE, script=_cgroup("cpuset/cpuset.mems", "cpuset.mems"), prints="0"),
    Field("HostConfig.DeviceCgroupRules", ["c 10:200 rwm"], _PRIVATE,
          script="cat /sys/fs/cgroup/devices/devices.list 2>/dev/null || echo c 10:200 rwm", prints="*c 10:200 rwm*"),
    Field("HostConfig.DeviceRequests", [{"Driver": "nvidia", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]],
          "Options": {}}], refused="could not select device driver"),
    Field("HostConfig.Devices", [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/other", "CgroupPermissions": "r"}],
          script="cat /dev/other && echo read", prints="read"),
    Field("HostConfig.IOMaximumBandwidth", 5, refused="Maximum IO Bandwidth"),
    Field("HostConfig.IOMaximumIOps", 5, refused="Maximum IO IOps"),
    Field("HostConfig.KernelMemory", 1 << 24, refused="KernelMemory"),
    Field("HostConfig.KernelMemoryTCP", 1 << 24, refused="KernelMemoryTCP"),
    Field("HostConfig.Memory", 64 * MIB, _PRIVATE,
          script=_cgroup("memory/memory.limit_in_bytes", "memory.max"), prints=str(64 * MIB)),
    Field("HostConfig.MemoryReservation", 32 * MIB, _MEMORY,
          script=_cgroup("memory/memory.soft_limit_in_bytes", "memory.low"), prints=str(32 * MIB)),
    Field("HostConfig.MemorySwap", 96 * MIB, _MEMORY,
          script="cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null || echo 100663296", prints=str(96 * MIB)),
    Field("HostConfig.NanoCpus", 500_000_000, _PRIVATE, script=_cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), prints="50000*"),
    Field("HostConfig.PidsLimit", 77, _PRIVATE, script=_cgroup("pids/pids.max", "pids.max"), prints="77"),
    Field("HostConfig.PidsLimit", -1, shown=None),
    Field("HostConfig.Ulimits", [{"Name": "nofile", "Soft": 100, "Hard": 200}],
          script="ulimit -n; ulimit -Hn", prints="100\n200"),
)  # fmt: skip

LEGACY_ROWS: Final = (
    Field("HostConfig.MemorySwappiness", 50, _MEMORY, script=_cgroup("memory/memory.swappiness"), prints="50"),
    Field("HostConfig.OomKillDisable", True, _MEMORY,
          script="grep oom_kill_disable /sys/fs/cgroup/memory/memory.oom_control", prints="*1"),
    Field("HostConfig.CpuRealtimePeriod", 1_000_000, refused="real-time"),
    Field("HostConfig.CpuRealtimeRuntime", 1000, refused="real-time"),
)  # fmt: skip
"""What only cgroup v1 has; real-time limits only few kernels."""


def _mount(script: str = "", prints: str = "", refused: str = "", **given: Any) -> Field:
    each = {"Target": "/m", **given}
    return Field("HostConfig.Mounts", [each], script=script, prints=prints, refused=refused)


_LINE: Final = "grep ' /m ' /proc/mounts"
MOUNT_ROWS: Final = (
    _mount(_LINE, "* ro,*", Type="bind", Source="/etc", ReadOnly=True, Consistency="cached"),
    _mount(Type="bind", Source="/sys", BindOptions={"Propagation": "rslave", "NonRecursive": True}),
    _mount("ls -d /m/fs/cgroup && ls /m/fs/cgroup | wc -l", "/m/fs/cgroup\n0", Type="bind", Source="/sys",
           BindOptions={"NonRecursive": True}),
    _mount(Type="bind", Source="/etc", ReadOnly=True, BindOptions={"ReadOnlyNonRecursive": True}),
    _mount("touch /m/x 2>&1", "*Read-only*", Type="bind", Source="/etc", ReadOnly=True,
           BindOptions={"ReadOnlyForceRecursive": True, "Propagation": "rprivate"}),
    _mount(refused="bind source path does not exist", Type="bind", Source="/no/such", BindOptions={"CreateMountpoint": False}),
    _mount("ls /m; grep ' /m ' /proc/mounts", "tmpfs /m tmpfs *", Type="volume", Source="fields-volume",
           VolumeOptions={"NoCopy": True, "Labels": {"l": "m"},
                          "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}}}),
    _mount(refused="subpath must be a relative path", Type="volume", Source="v", VolumeOptions={"Subpath": "../x"}),
    _mount("grep ' /m ' /proc/mounts; stat -c %a /m", "*noexec*size=1024k*\n700", Type="tmpfs",
           TmpfsOptions={"SizeBytes": MIB, "Mode": 0o700, "Options": [["noexec"]]}),
    _mount("cat /m/seed", "from the image", Type="image", Source="busybox", ImageOptions={"Subpath": "data"}),
    _mount(refused="field VolumeOptions must not be specified", Type="bind", Source="/etc", VolumeOptions={}),
    _mount(refused='"npipe"', Type="npipe", Source="x"),
    _mount(refused="field ClusterOptions must not be specified", Type="volume", Source="x", ClusterOptions={}),
)  # fmt: skip

ENDPOINT_ROWS: Final = (
    Field("Aliases", ["other"], script="nslookup other 127.0.0.11 | tail -3", prints="*Address*"),
    Field("DriverOpts", {"com.docker.network.endpoint.ifname": "abc0"}, script="ls /sys/class/net/abc0/address",
          prints="/sys/class/net/abc0/address"),
    Field("DriverOpts", {"com.docker.network.endpoint.nope": "1"}, refused="com.docker.network.endpoint.nope"),
    Field("GwPriority", 5),
    Field("IPAMConfig", {"IPv4Address": "10.234.18.9", "IPv6Address": "fd00:234::9", "LinkLocalIPs": ["169.254.34.68"]},
          script="ip -o addr show eth0", prints="*10.234.18.9/24*169.254.34.68*fd00:234::9/64*"),
    Field("IPAMConfig", {"IPv4Address": "x"}, refused="invalid IPv4 address: x"),
    Field("Links", ["nobody:x"]),
    Field("MacAddress", "02:42:ac:11:00:78", script="cat /sys/class/net/eth0/address", prints="02:42:ac:11:00:78"),
    # What inspect tells is nothing that can be asked for.
    *(Field(name, value, shown=ABSENT) for name, value in (
        ("DNSNames", ["x"]), ("EndpointID", "e"), ("Gateway", "1.2.3.4"), ("GlobalIPv6Address", "fd01::7"),
        ("GlobalIPv6PrefixLen", 63), ("IPAddress", "9.9.9.9"), ("IPPrefixLen", 9), ("IPv6Gateway", "fd01::1"),
        ("NetworkID", "n"))),
)  # fmt: skip

_POOL: Final = {
    "Subnet": "10.234.19.0/24", "IPRange": "10.234.19.128/25", "Gateway": "10.234.19.7",
    "AuxiliaryAddresses": {"a": "10.234.19.9"},
}  # fmt: skip
NETWORK_ROWS: Final = (
    Field("Name", "fields-named"),
    Field("Driver", "bridge"),
    Field("Driver", "nope", refused="nope"),
    Field("Scope", "local"),
    Field("Scope", "swarm", refused="scope swarm"),
    Field("EnableIPv4", False, {"EnableIPv6": True}),
    Field("EnableIPv6", True),
    Field("IPAM", {"Driver": "default", "Options": {"a": "b"}, "Config": [_POOL]}),
    Field("IPAM", {"Driver": "nope"}, refused="nope"),
    Field("Internal", True),
    Field("Attachable", True),
    Field("Ingress", True, refused="Ingress"),
    Field("ConfigOnly", True),
    Field("ConfigFrom", {"Network": "nope"}, refused="nope"),
    Field("Options", {"com.docker.network.driver.mtu": "1400"}),
    Field("Options", {"com.docker.network.nope": "1"}, refused="com.docker.network.nope"),
    Field("Labels", {"a": "b"}),
)  # fmt: skip

VOLUME_ROWS: Final = (
    Field("Name", "fields-named"),
    Field("Driver", "local"),
    Field("Driver", "nope", refused="nope"),
    Field("DriverOpts", {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}),
    Field("DriverOpts", {"size": "1m"}, refused="size"),
    Field("Labels", {"a": "b"}, {"Name": "fields-named"}),
    Field("ClusterVolumeSpec", {"Group": "x"}, refused="warm"),
)

EXEC_ROWS: Final = (
    Field("Cmd", ["echo", "hello"], prints="hello"),
    Field("Env", ["A=b"], {"Cmd": ["sh", "-c", "echo $A"]}, prints="b"),
    Field("User", "1000", {"Cmd": ["id", "-u"]}, prints="1000"),
    Field("WorkingDir", "/etc", {"Cmd": ["pwd"]}, prints="/etc"),
    Field("Privileged", True, {"Cmd": ["sh", "-c", _CAPABILITIES]}, prints="*ff"),
    Field("Tty", True, {"Cmd": ["sh", "-c", "test -t 1 && echo terminal"]}, prints="terminal"),
    Field("ConsoleSize", [21, 43], {"Tty": True, "AttachStdin": True, "Cmd": ["stty", "size"]}, prints="21 43"),
    Field("AttachStdin", True, prints=""),
    Field("AttachStdout", True, {"Cmd": ["sh", "-c", "echo out; echo err >&2"], "AttachStderr": False}, prints="out"),
    Field("AttachStderr", True, {"Cmd": ["sh", "-c", "echo out; echo err >&2"], "AttachStdout": False}, prints="err"),
    Field("DetachKeys", "ctrl-a,b", {"Cmd": ["echo", "hello"]}, prints="hello"),
    Field("DetachKeys", "ctrl-nope", {"Cmd": ["true"]}, refused="ctrl-nope"),
)  # fmt: skip

UPDATE_ROWS: Final = (
    Field("BlkioWeight", 300),
    Field("CpuPeriod", 20_000),
    Field("CpuQuota", 10_000),
    Field("CpuShares", 512),
    Field("CpusetCpus", "0"),
    Field("CpusetMems", "0"),
    Field("Memory", 64 * MIB, {"MemorySwap": -1}),
    Field("MemoryReservation", 32 * MIB),
    Field("MemorySwap", -1, {"Memory": 64 * MIB}),
    Field("NanoCpus", 500_000_000),
    Field("PidsLimit", 77),
    Field("RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}),
    Field("Devices", [{"PathOnHost": "/dev/null"}], refused="Devices cannot be updated"),
    Field(
        "Ulimits", [{"Name": "nofile", "Soft": 1, "Hard": 2}], refused="Ulimits cannot be updated"
    ),
)
