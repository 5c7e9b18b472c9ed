"""Messages of containerd/cgroups/v2/metrics.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class PidsStat(Message):
    NAME = "io.containerd.cgroups.v2.PidsStat"
    FIELDS = {
        1: ("current", UNSIGNED, False, None),
        2: ("limit", UNSIGNED, False, None),
    }
    current: int = 0
    limit: int = 0


class PSIData(Message):
    NAME = "io.containerd.cgroups.v2.PSIData"
    FIELDS = {
        1: ("avg10", DOUBLE, False, None),
        2: ("avg60", DOUBLE, False, None),
        3: ("avg300", DOUBLE, False, None),
        4: ("total", UNSIGNED, False, None),
    }
    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0
    total: int = 0


class PSIStats(Message):
    NAME = "io.containerd.cgroups.v2.PSIStats"
    FIELDS = {
        1: ("some", MESSAGE, False, PSIData),
        2: ("full", MESSAGE, False, PSIData),
    }
    some: PSIData
    full: PSIData


class CPUStat(Message):
    NAME = "io.containerd.cgroups.v2.CPUStat"
    FIELDS = {
        1: ("usage_usec", UNSIGNED, False, None),
        2: ("user_usec", UNSIGNED, False, None),
        3: ("system_usec", UNSIGNED, False, None),
        4: ("nr_periods", UNSIGNED, False, None),
        5: ("nr_throttled", UNSIGNED, False, None),
        6: ("throttled_usec", UNSIGNED, False, None),
        7: ("psi", MESSAGE, False, PSIStats),
        8: ("nr_bursts", UNSIGNED, False, None),
        9: ("burst_usec", UNSIGNED, False, None),
    }
    usage_usec: int = 0
    user_usec: int = 0
    system_usec: int = 0
    nr_periods: int = 0
    nr_throttled: int = 0
    throttled_usec: int = 0
    psi: PSIStats
    nr_bursts: int = 0
    burst_usec: int = 0


class MemoryStat(Message):
    NAME = "io.containerd.cgroups.v2.MemoryStat"
    FIELDS = {
        1: ("anon", UNSIGNED, False, None),
        2: ("file", UNSIGNED, False, None),
        3: ("kernel_stack", UNSIGNED, False, None),
        4: ("slab", UNSIGNED, False, None),
        5: ("sock", UNSIGNED, False, None),
        6: ("shmem", UNSIGNED, False, None),
        7: ("file_mapped", UNSIGNED, False, None),
        8: ("file_dirty", UNSIGNED, False, None),
        9: ("file_writeback", UNSIGNED, False, None),
        10: ("anon_thp", UNSIGNED, False, None),
        11: ("inactive_anon", UNSIGNED, False, None),
        12: ("active_anon", UNSIGNED, False, None),
        13: ("inactive_file", UNSIGNED, False, None),
        14: ("active_file", UNSIGNED, False, None),
        15: ("unevictable", UNSIGNED, False, None),
        16: ("slab_reclaimable", UNSIGNED, False, None),
        17: ("slab_unreclaimable", UNSIGNED, False, None),
        18: ("pgfault", UNSIGNED, False, None),
        19: ("pgmajfault", UNSIGNED, False, None),
        20: ("workingset_refault", UNSIGNED, False, None),
        21: ("workingset_activate", UNSIGNED, False, None),
        22: ("workingset_nodereclaim", UNSIGNED, False, None),
        23: ("pgrefill", UNSIGNED, False, None),
        24: ("pgscan", UNSIGNED, False, None),
        25: ("pgsteal", UNSIGNED, False, None),
        26: ("pgactivate", UNSIGNED, False, None),
        27: ("pgdeactivate", UNSIGNED, False, None),
        28: ("pglazyfree", UNSIGNED, False, None),
        29: ("pglazyfreed", UNSIGNED, False, None),
        30: ("thp_fault_alloc", UNSIGNED, False, None),
        31: ("thp_collapse_alloc", UNSIGNED, False, None),
        32: ("usage", UNSIGNED, False, None),
        33: ("usage_limit", UNSIGNED, False, None),
        34: ("swap_usage", UNSIGNED, False, None),
        35: ("swap_limit", UNSIGNED, False, None),
        36: ("max_usage", UNSIGNED, False, None),
        37: ("swap_max_usage", UNSIGNED, False, None),
        38: ("psi", MESSAGE, False, PSIStats),
        39: ("workingset_refault_anon", UNSIGNED, False, None),
        40: ("workingset_refault_file", UNSIGNED, False, None),
        41: ("workingset_activate_anon", UNSIGNED, False, None),
        42: ("workingset_activate_file", UNSIGNED, False, None),
    }
    anon: int = 0
    file: int = 0
    kernel_stack: int = 0
    slab: int = 0
    sock: int = 0
    shmem: int = 0
    file_mapped: int = 0
    file_dirty: int = 0
    file_writeback: int = 0
    anon_thp: int = 0
    inactive_anon: int = 0
    active_anon: int = 0
    inactive_file: int = 0
    active_file: int = 0
    unevictable: int = 0
    slab_reclaimable: int = 0
    slab_unreclaimable: int = 0
    pgfault: int = 0
    pgmajfault: int = 0
    workingset_refault: int = 0
    workingset_activate: int = 0
    workingset_nodereclaim: int = 0
    pgrefill: int = 0
    pgscan: int = 0
    pgsteal: int = 0
    pgactivate: int = 0
    pgdeactivate: int = 0
    pglazyfree: int = 0
    pglazyfreed: int = 0
    thp_fault_alloc: int = 0
    thp_collapse_alloc: int = 0
    usage: int = 0
    usage_limit: int = 0
    swap_usage: int = 0
    swap_limit: int = 0
    max_usage: int = 0
    swap_max_usage: int = 0
    psi: PSIStats
    workingset_refault_anon: int = 0
    workingset_refault_file: int = 0
    workingset_activate_anon: int = 0
    workingset_activate_file: int = 0


class RdmaEntry(Message):
    NAME = "io.containerd.cgroups.v2.RdmaEntry"
    FIELDS = {
        1: ("device", STRING, False, None),
        2: ("hca_handles", UNSIGNED, False, None),
        3: ("hca_objects", UNSIGNED, False, None),
    }
    device: str = ""
    hca_handles: int = 0
    hca_objects: int = 0


class RdmaStat(Message):
    NAME = "io.containerd.cgroups.v2.RdmaStat"
    FIELDS = {
        1: ("current", MESSAGE, True, RdmaEntry),
        2: ("limit", MESSAGE, True, RdmaEntry),
    }
    current: list[RdmaEntry]
    limit: list[RdmaEntry]


class IOEntry(Message):
    NAME = "io.containerd.cgroups.v2.IOEntry"
    FIELDS = {
        1: ("major", UNSIGNED, False, None),
        2: ("minor", UNSIGNED, False, None),
        3: ("rbytes", UNSIGNED, False, None),
        4: ("wbytes", UNSIGNED, False, None),
        5: ("rios", UNSIGNED, False, None),
        6: ("wios", UNSIGNED, False, None),
    }
    major: int = 0
    minor: int = 0
    rbytes: int = 0
    wbytes: int = 0
    rios: int = 0
    wios: int = 0


class IOStat(Message):
    NAME = "io.containerd.cgroups.v2.IOStat"
    FIELDS = {
        1: ("usage", MESSAGE, True, IOEntry),
        2: ("psi", MESSAGE, False, PSIStats),
    }
    usage: list[IOEntry]
    psi: PSIStats


class HugeTlbStat(Message):
    NAME = "io.containerd.cgroups.v2.HugeTlbStat"
    FIELDS = {
        1: ("current", UNSIGNED, False, None),
        2: ("max", UNSIGNED, False, None),
        3: ("pagesize", STRING, False, None),
        4: ("failcnt", UNSIGNED, False, None),
    }
    current: int = 0
    max: int = 0
    pagesize: str = ""
    failcnt: int = 0


class MemoryEvents(Message):
    NAME = "io.containerd.cgroups.v2.MemoryEvents"
    FIELDS = {
        1: ("low", UNSIGNED, False, None),
        2: ("high", UNSIGNED, False, None),
        3: ("max", UNSIGNED, False, None),
        4: ("oom", UNSIGNED, False, None),
        5: ("oom_kill", UNSIGNED, False, None),
        6: ("oom_group_kill", UNSIGNED, False, None),
    }
    low: int = 0
    high: int = 0
    max: int = 0
    oom: int = 0
    oom_kill: int = 0
    oom_group_kill: int = 0


class NetworkStat(Message):
    NAME = "io.containerd.cgroups.v2.NetworkStat"
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


class Metrics(Message):
    NAME = "io.containerd.cgroups.v2.Metrics"
    FIELDS = {
        1: ("pids", MESSAGE, False, PidsStat),
        2: ("cpu", MESSAGE, False, CPUStat),
        4: ("memory", MESSAGE, False, MemoryStat),
        5: ("rdma", MESSAGE, False, RdmaStat),
        6: ("io", MESSAGE, False, IOStat),
        7: ("hugetlb", MESSAGE, True, HugeTlbStat),
        8: ("memory_events", MESSAGE, False, MemoryEvents),
        9: ("network", MESSAGE, True, NetworkStat),
    }
    pids: PidsStat
    cpu: CPUStat
    memory: MemoryStat
    rdma: RdmaStat
    io: IOStat
    hugetlb: list[HugeTlbStat]
    memory_events: MemoryEvents
    network: list[NetworkStat]
