//! The `linux` object of `config.json`.

use crate::{Resources, Seccomp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Linux's part of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// User ids of a user namespace.
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of a user namespace.
    pub gid_mappings: Vec<IdMapping>,
    /// Namespaced kernel parameters, `net.ipv4.ip_forward` to value.
    pub sysctl: BTreeMap<String, String>,
    /// Limits of the cgroup, and its device rules.
    pub resources: Option<Resources>,
    /// Of the cgroup: a path, or `slice:prefix:name` for systemd.
    pub cgroups_path: String,
    /// Made, or joined by path; those that are not listed are shared with the runtime.
    pub namespaces: Vec<Namespace>,
    /// Nodes made in `/dev` besides the default ones.
    pub devices: Vec<LinuxDevice>,
    /// The filter of system calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Propagation of the root mount: `shared`, `slave`, `private` and so on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rootfs_propagation: String,
    /// Paths that the container may not read.
    pub masked_paths: Vec<String>,
    /// Paths that the container may not write.
    pub readonly_paths: Vec<String>,
    /// The SELinux label of the mounts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mount_label: String,
    /// For personality(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    /// Intel's cache and memory bandwidth allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// Offsets of a new time namespace, by `monotonic` and `boottime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_offsets: Option<BTreeMap<String, TimeOffset>>,
    /// For set_mempolicy(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// Devices moved into the network namespace, by their name on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_devices: Option<BTreeMap<String, NetDevice>>,
}

/// A range of ids: `size` ids from `container_id` on are `host_id` and following outside.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct IdMapping {
    /// First id in the container.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First id on the host.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many ids.
    pub size: u32,
}

/// A namespace to create, or to join where `path` is given.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Namespace {
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// Of a namespace to join; empty to make one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

/// The kinds of namespaces.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Process ids.
    Pid,
    /// Network devices, addresses, sockets.
    Network,
    /// Mounts.
    Mount,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// User and group ids, and capabilities over the other namespaces.
    User,
    /// The view of the cgroup tree.
    Cgroup,
    /// Offsets of the monotonic and the boot clock.
    Time,
}

/// A device node to make.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinuxDevice {
    /// Of the node, absolute in the container.
    pub path: String,
    /// `c`, `u` (character), `b` (block) or `p` (FIFO).
    #[serde(rename = "type")]
    pub kind: String,
    /// Major number; not for FIFOs.
    pub major: i64,
    /// Minor number; not for FIFOs.
    pub minor: i64,
    /// Permission bits; 0666 by default.
    pub file_mode: Option<u32>,
    /// Owner; 0 by default.
    pub uid: Option<u32>,
    /// Group; 0 by default.
    pub gid: Option<u32>,
}

/// personality(2).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Personality {
    /// `LINUX` or `LINUX32`.
    pub domain: String,
    /// Any is refused: the specification defines none.
    pub flags: Vec<String>,
}

/// A clock's offset in a new time namespace.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct TimeOffset {
    /// Whole seconds, may be negative.
    pub secs: i64,
    /// Nanoseconds on top of them.
    pub nanosecs: u32,
}

/// A group of resctrl: cache and memory bandwidth of Intel RDT.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// The class of service; empty for one of the container's own.
    #[serde(rename = "closID")]
    pub clos_id: String,
    /// Lines for the `schemata` file.
    pub schemata: Vec<String>,
    /// Line of the L3 cache, merged before `schemata`.
    pub l3_cache_schema: String,
    /// Line of the memory bandwidth, merged before `schemata`.
    pub mem_bw_schema: String,
    /// Whether a monitoring group is made.
    pub enable_monitoring: bool,
}

/// set_mempolicy(2).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct MemoryPolicy {
    /// `MPOL_…`.
    pub mode: String,
    /// Nodes as a list, `0-1,3`.
    pub nodes: String,
    /// `MPOL_F_…` words.
    pub flags: Vec<String>,
}

/// A network device of the host that moves into the container; `name` is its new name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct NetDevice {
    /// Its name in the container; empty keeps the host's.
    pub name: String,
}
