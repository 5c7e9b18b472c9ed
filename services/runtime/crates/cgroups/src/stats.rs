//! What a container uses, in the shape that runc's `events` prints.

use serde::Serialize;
use std::collections::BTreeMap;

/// All figures of one container.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: Cpu,
    /// The cpuset's settings.
    pub cpuset: CpuSet,
    /// Memory, swap and what the kernel holds.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    pub blkio: BlockIo,
    /// By page size.
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// Cache and memory bandwidth groups.
    pub intel_rdt: BTreeMap<String, String>,
    /// Not collected by runtimes; callers expect the key.
    pub network_interfaces: Option<Vec<()>>,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cpu {
    pub(crate) usage: CpuUsage,
    pub(crate) throttling: Throttling,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct CpuUsage {
    pub(crate) total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) percpu: Vec<u64>,
    pub(crate) kernel: u64,
    pub(crate) user: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Throttling {
    pub(crate) periods: u64,
    pub(crate) throttled_periods: u64,
    pub(crate) throttled_time: u64,
}

/// Settings of the cpuset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CpuSet {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cpus: Vec<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mems: Vec<u16>,
    #[serde(flatten)]
    pub(crate) switches: BTreeMap<&'static str, i64>,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Memory {
    pub(crate) cache: u64,
    pub(crate) usage: MemoryEntry,
    pub(crate) swap: MemoryEntry,
    pub(crate) kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    pub(crate) kernel_tcp: MemoryEntry,
    pub(crate) raw: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct MemoryEntry {
    pub(crate) limit: u64,
    pub(crate) usage: u64,
    pub(crate) max: u64,
    pub(crate) failcnt: u64,
}

/// Tasks.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Pids {
    pub(crate) current: u64,
    pub(crate) limit: u64,
}

/// Counters of block devices; empty lists are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BlockIo {
    #[serde(flatten)]
    pub(crate) lists: BTreeMap<&'static str, Vec<BlockEntry>>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct BlockEntry {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) op: String,
    pub(crate) value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Hugetlb {
    pub(crate) usage: u64,
    pub(crate) max: u64,
    pub(crate) failcnt: u64,
}

/// The numbers of a list such as `0-3,7`.
pub(crate) fn numbers(list: &str) -> Vec<u16> {
    let mut found = Vec::new();
    for part in list.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            found.extend(first..=last);
        }
    }
    found
}

/// Page sizes of the host as cgroup files spell them (`2MB`).
pub(crate) fn page_sizes() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = names
        .filter_map(|name| name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok())
        .map(|kilobytes| match kilobytes {
            size if size >= 1 << 20 => format!("{}GB", size >> 20),
            size if size >= 1 << 10 => format!("{}MB", size >> 10),
            size => format!("{size}KB"),
        })
        .collect();
    found.sort();
    found
}
