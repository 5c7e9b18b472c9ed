//! `linux.resources`: what the cgroup limits. All fields are optional; absent means "do not touch".

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Limits in the terms of cgroup v1, which v2 translates.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Device rules, the last one that matches wins.
    pub devices: Vec<DeviceRule>,
    /// Memory, in bytes.
    pub memory: Option<Memory>,
    /// CPU time and sets.
    pub cpu: Option<Cpu>,
    /// Number of processes.
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(rename = "blockIO")]
    pub block_io: Option<BlockIo>,
    /// Huge pages, by size.
    pub hugepage_limits: Vec<HugepageLimit>,
    /// net_cls and net_prio of cgroup v1.
    pub network: Option<Network>,
    /// RDMA handles and objects, by device.
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of cgroup v2 and what to write into them.
    pub unified: BTreeMap<String, String>,
}

/// One rule of the device cgroup, applied in order.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct DeviceRule {
    /// Whether access is allowed, or denied.
    pub allow: bool,
    /// `a` (all), `c` or `b`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Major number; None for all.
    pub major: Option<i64>,
    /// Minor number; None for all.
    pub minor: Option<i64>,
    /// Of `r`, `w` and `m`.
    pub access: String,
}

/// Bytes; -1 is unlimited.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Hard limit in bytes, -1 for none.
    pub limit: Option<i64>,
    /// Soft limit in bytes, -1 for none.
    pub reservation: Option<i64>,
    /// Limit of memory and swap together in bytes, -1 for none.
    pub swap: Option<i64>,
    /// Deprecated limit of kernel memory, in bytes.
    pub kernel: Option<i64>,
    /// Limit of TCP buffers of cgroup v1, in bytes.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// From 0 to 100, cgroup v1.
    pub swappiness: Option<u64>,
    /// Whether processes wait instead of being killed, cgroup v1.
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// Hierarchical accounting, cgroup v1.
    pub use_hierarchy: Option<bool>,
    /// Refuse a limit that is below what is in use.
    pub check_before_update: Option<bool>,
}

/// Times in microseconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    /// Relative weight of cgroup v1; converted for v2.
    pub shares: Option<u64>,
    /// Microseconds in each period, -1 for no limit.
    pub quota: Option<i64>,
    /// Microseconds that may be saved for later periods.
    pub burst: Option<u64>,
    /// Length of a period, microseconds.
    pub period: Option<u64>,
    /// Realtime microseconds in each realtime period.
    pub realtime_runtime: Option<i64>,
    /// Length of a realtime period, microseconds.
    pub realtime_period: Option<u64>,
    /// CPUs as a list, `0-3,7`.
    pub cpus: String,
    /// Memory nodes as a list.
    pub mems: String,
    /// 1 makes it SCHED_IDLE among its siblings.
    pub idle: Option<i64>,
}

/// The number of tasks.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Pids {
    /// How many; 0 or less is no limit, None leaves it alone.
    pub limit: Option<i64>,
}

/// Block device weights and rates.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// Relative weight, 10 to 1000.
    pub weight: Option<u16>,
    /// Weight against child groups, cgroup v1.
    pub leaf_weight: Option<u16>,
    /// Weights by device.
    pub weight_device: Vec<WeightDevice>,
    /// Bytes read in a second, by device.
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Bytes written in a second, by device.
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Reads in a second, by device.
    #[serde(rename = "throttleReadIOPSDevice")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Writes in a second, by device.
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// A weight for one device.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Relative weight, 10 to 1000.
    pub weight: Option<u16>,
    /// Weight against child groups, cgroup v1.
    pub leaf_weight: Option<u16>,
}

/// A rate for one device.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ThrottleDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// In a second.
    pub rate: u64,
}

/// A limit for one page size, as in `2MB`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit {
    /// `64KB`, `2MB`, `1GB` and so on.
    pub page_size: String,
    /// In bytes.
    pub limit: u64,
}

/// net_cls and net_prio.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Network {
    /// Tag of packets for traffic control.
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    /// Priorities of packets, by interface.
    pub priorities: Vec<InterfacePriority>,
}

/// A priority for one interface.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct InterfacePriority {
    /// Of the interface.
    pub name: String,
    /// Of its packets.
    pub priority: u32,
}

/// Limits of one RDMA device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    /// Limit of handles; None for none.
    pub hca_handles: Option<u32>,
    /// Limit of objects; None for none.
    pub hca_objects: Option<u32>,
}
