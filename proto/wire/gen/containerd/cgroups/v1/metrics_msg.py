"""Messages of containerd/cgroups/v1/metrics.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class HugetlbStat(Message):
    NAME = "io.containerd.cgroups.v1.HugetlbStat"
    FIELDS = {
        1: ("usage", UNSIGNED, False, None),
        2: ("max", UNSIGNED, False, None),
        3: ("failcnt", UNSIGNED, False, None),
        4: ("pagesize", STRING, False, None),
    }
    usage: int = 0
    max: int = 0
    failcnt: int = 0
    pagesize: str = ""


class PidsStat(Message):
    NAME = "io.containerd.cgroups.v1.PidsStat"
    FIELDS = {
        1: ("current", UNSIGNED, False, None),
        2: ("limit", UNSIGNED, False, None),
    }
    current: int = 0
    limit: int = 0


class CPUUsage(Message):
    NAME = "io.containerd.cgroups.v1.CPUUsage"
    FIELDS = {
        1: ("total", UNSIGNED, False, None),
        2: ("kernel", UNSIGNED, False, None),
        3: ("user", UNSIGNED, False, None),
        4: ("per_cpu", UNSIGNED, True, None),
    }
    total: int = 0
    kernel: int = 0
    user: int = 0
    per_cpu: list[int]


class Throttle(Message):
    NAME = "io.containerd.cgroups.v1.Throttle"
    FIELDS = {
        1: ("periods", UNSIGNED, False, None),
        2: ("throttled_periods", UNSIGNED, False, None),
        3: ("throttled_time", UNSIGNED, False, None),
    }
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CPUStat(Message):
    NAME = "io.containerd.cgroups.v1.CPUStat"
    FIELDS = {
        1: ("usage", MESSAGE, False, CPUUsage),
        2: ("throttling", MESSAGE, False, Throttle),
    }
    usage: CPUUsage
    throttling: Throttle


class MemoryEntry(Message):
    NAME = "io.containerd.cgroups.v1.MemoryEntry"
    FIELDS = {
        1: ("limit", UNSIGNED, False, None),
        2: ("usage", UNSIGNED, False, None),
        3: ("max", UNSIGNED, False, None),
        4: ("failcnt", UNSIGNED, False, None),
    }
    limit: int = 0
    usage: int = 0
    max: int = 0
    failcnt: int = 0


class MemoryStat(Message):
    NAME = "io.containerd.cgroups.v1.MemoryStat"
    FIELDS = {
        1: ("cache", UNSIGNED, False, None),
        2: ("rss", UNSIGNED, False, None),
        3: ("rss_huge", UNSIGNED, False, None),
        4: ("mapped_file", UNSIGNED, False, None),
        5: ("dirty", UNSIGNED, False, None),
        6: ("writeback", UNSIGNED, False, None),
        7: ("pg_pg_in", UNSIGNED, False, None),
        8: ("pg_pg_out", UNSIGNED, False, None),
        9: ("pg_fault", UNSIGNED, False, None),
        10: ("pg_maj_fault", UNSIGNED, False, None),
        11: ("inactive_anon", UNSIGNED, False, None),
        12: ("active_anon", UNSIGNED, False, None),
        13: ("inactive_file", UNSIGNED, False, None),
        14: ("active_file", UNSIGNED, False, None),
        15: ("unevictable", UNSIGNED, False, None),
        16: ("hierarchical_memory_limit", UNSIGNED, False, None),
        17: ("hierarchical_swap_limit", UNSIGNED, False, None),
        18: ("total_cache", UNSIGNED, False, None),
        19: ("total_rss", UNSIGNED, False, None),
        20: ("total_rss_huge", UNSIGNED, False, None),
        21: ("total_mapped_file", UNSIGNED, False, None),
        22: ("total_dirty", UNSIGNED, False, None),
        23: ("total_writeback", UNSIGNED, False, None),
        24: ("total_pg_pg_in", UNSIGNED, False, None),
        25: ("total_pg_pg_out", UNSIGNED, False, None),
        26: ("total_pg_fault", UNSIGNED, False, None),
        27: ("total_pg_maj_fault", UNSIGNED, False, None),
        28: ("total_inactive_anon", UNSIGNED, False, None),
        29: ("total_active_anon", UNSIGNED, False, None),
        30: ("total_inactive_file", UNSIGNED, False, None),
        31: ("total_active_file", UNSIGNED, False, None),
        32: ("total_unevictable", UNSIGNED, False, None),
        33: ("usage", MESSAGE, False, MemoryEntry),
        34: ("swap", MESSAGE, False, MemoryEntry),
        35: ("kernel", MESSAGE, False, MemoryEntry),
        36: ("kernel_tcp", MESSAGE, False, MemoryEntry),
    }
    cache: int = 0
    rss: int = 0
    rss_huge: int = 0
    mapped_file: int = 0
    dirty: int = 0
    writeback: int = 0
    pg_pg_in: int = 0
    pg_pg_out: int = 0
    pg_fault: int = 0
    pg_maj_fault: int = 0
    inactive_anon: int = 0
    active_anon: int = 0
    inactive_file: int = 0
    active_file: int = 0
    unevictable: int = 0
    hierarchical_memory_limit: int = 0
    hierarchical_swap_limit: int = 0
    total_cache: int = 0
    total_rss: int = 0
    total_rss_huge: int = 0
    total_mapped_file: int = 0
    total_dirty: int = 0
    total_writeback: int = 0
    total_pg_pg_in: int = 0
    total_pg_pg_out: int = 0
    total_pg_fault: int = 0
    total_pg_maj_fault: int = 0
    total_inactive_anon: int = 0
    total_active_anon: int = 0
    total_inactive_file: int = 0
    total_active_file: int = 0
    total_unevictable: int = 0
    usage: MemoryEntry
    swap: MemoryEntry
    kernel: MemoryEntry
    kernel_tcp: MemoryEntry


class BlkIOEntry(Message):
    NAME = "io.containerd.cgroups.v1.BlkIOEntry"
    FIELDS = {
        1: ("op", STRING, False, None),
        2: ("device", STRING, False, None),
        3: ("major", UNSIGNED, False, None),
        4: ("minor", UNSIGNED, False, None),
        5: ("value", UNSIGNED, False, None),
    }
    op: str = ""
    device: str = ""
    major: int = 0
    minor: int = 0
    value: int = 0


class BlkIOStat(Message):
    NAME = "io.containerd.cgroups.v1.BlkIOStat"
    FIELDS = {
        1: ("io_service_bytes_recursive", MESSAGE, True, BlkIOEntry),
        2: ("io_serviced_recursive", MESSAGE, True, BlkIOEntry),
        3: ("io_queued_recursive", MESSAGE, True, BlkIOEntry),
        4: ("io_service_time_recursive", MESSAGE, True, BlkIOEntry),
        5: ("io_wait_time_recursive", MESSAGE, True, BlkIOEntry),
        6: ("io_merged_recursive", MESSAGE, True, BlkIOEntry),
        7: ("io_time_recursive", MESSAGE, True, BlkIOEntry),
        8: ("sectors_recursive", MESSAGE, True, BlkIOEntry),
    }
    io_service_bytes_recursive: list[BlkIOEntry]
    io_serviced_recursive: list[BlkIOEntry]
    io_queued_recursive: list[BlkIOEntry]
    io_service_time_recursive: list[BlkIOEntry]
    io_wait_time_recursive: list[BlkIOEntry]
    io_merged_recursive: list[BlkIOEntry]
    io_time_recursive: list[BlkIOEntry]
    sectors_recursive: list[BlkIOEntry]


class RdmaEntry(Message):
    NAME = "io.containerd.cgroups.v1.RdmaEntry"
    FIELDS = {
        1: ("device", STRING, False, None),
        2: ("hca_handles", UNSIGNED, False, None),
        3: ("hca_objects", UNSIGNED, False, None),
    }
    device: str = ""
    hca_handles: int = 0
    hca_objects: int = 0


class RdmaStat(Message):
    NAME = "io.containerd.cgroups.v1.RdmaStat"
    FIELDS = {
        1: ("current", MESSAGE, True, RdmaEntry),
        2: ("limit", MESSAGE, True, RdmaEntry),
    }
    current: list[RdmaEntry]
    limit: list[RdmaEntry]


class NetworkStat(Message):
    NAME = "io.containerd.cgroups.v1.NetworkStat"
    FIELDS = {
        1: ("name", STRING, False, None),
        2: ("rx_bytes", UNSIGNED, False, None),
        3: ("rx_packets", UNSIGNED, False, None),
        4: ("rx_errors", UNSIGNED, False, None),
        5: ("rx_dropped", UNSIGNED, False, None),
        6: ("tx_bytes", UNSIGNED, False, None),
        7: ("tx_packets", UNSIGNED, False, None),
        8: ("tx_errors", UNSIGNED, False, None),
        9: ("tx_dropped", UNSIGNED, False, None),
    }
    name: str = ""
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class CgroupStats(Message):
    NAME = "io.containerd.cgroups.v1.CgroupStats"
    FIELDS = {
        1: ("nr_sleeping", UNSIGNED, False, None),
        2: ("nr_running", UNSIGNED, False, None),
        3: ("nr_stopped", UNSIGNED, False, None),
        4: ("nr_uninterruptible", UNSIGNED, False, None),
        5: ("nr_io_wait", UNSIGNED, False, None),
    }
    nr_sleeping: int = 0
    nr_running: int = 0
    nr_stopped: int = 0
    nr_uninterruptible: int = 0
    nr_io_wait: int = 0


class MemoryOomControl(Message):
    NAME = "io.containerd.cgroups.v1.MemoryOomControl"
    FIELDS = {
        1: ("oom_kill_disable", UNSIGNED, False, None),
        2: ("under_oom", UNSIGNED, False, None),
        3: ("oom_kill", UNSIGNED, False, None),
    }
    oom_kill_disable: int = 0
    under_oom: int = 0
    oom_kill: int = 0


class Metrics(Message):
    NAME = "io.containerd.cgroups.v1.Metrics"
    FIELDS = {
        1: ("hugetlb", MESSAGE, True, HugetlbStat),
        2: ("pids", MESSAGE, False, PidsStat),
        3: ("cpu", MESSAGE, False, CPUStat),
        4: ("memory", MESSAGE, False, MemoryStat),
        5: ("blkio", MESSAGE, False, BlkIOStat),
        6: ("rdma", MESSAGE, False, RdmaStat),
        7: ("network", MESSAGE, True, NetworkStat),
        8: ("cgroup_stats", MESSAGE, False, CgroupStats),
        9: ("memory_oom_control", MESSAGE, False, MemoryOomControl),
    }
    hugetlb: list[HugetlbStat]
    pids: PidsStat
    cpu: CPUStat
    memory: MemoryStat
    blkio: BlkIOStat
    rdma: RdmaStat
    network: list[NetworkStat]
    cgroup_stats: CgroupStats
    memory_oom_control: MemoryOomControl
