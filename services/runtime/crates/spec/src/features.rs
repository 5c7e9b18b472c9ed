//! The features document: what a runtime can do.

use serde::Serialize;
use std::collections::BTreeMap;

/// The whole document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    pub oci_version_min: &'static str,
    pub oci_version_max: &'static str,
    pub hooks: Vec<&'static str>,
    pub mount_options: Vec<String>,
    pub linux: LinuxFeatures,
    pub annotations: BTreeMap<&'static str, String>,
    pub potentially_unsafe_config_annotations: Vec<&'static str>,
}

/// Linux's part.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxFeatures {
    pub namespaces: Vec<&'static str>,
    pub capabilities: Vec<&'static str>,
    pub cgroup: CgroupFeatures,
    pub seccomp: SeccompFeatures,
    pub apparmor: Enabled,
    pub selinux: Enabled,
    pub intel_rdt: RdtFeatures,
    pub memory_policy: MemoryPolicyFeatures,
    pub mount_extensions: MountExtensions,
    pub net_devices: Enabled,
}

/// Which cgroup set-ups can be driven.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFeatures {
    pub v1: bool,
    pub v2: bool,
    pub systemd: bool,
    pub systemd_user: bool,
    pub rdma: bool,
}

/// The words of seccomp profiles that are understood.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompFeatures {
    pub enabled: bool,
    pub actions: Vec<&'static str>,
    pub operators: Vec<&'static str>,
    pub archs: Vec<&'static str>,
    pub known_flags: Vec<&'static str>,
    pub supported_flags: Vec<&'static str>,
}

/// Whether something is built in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Enabled {
    pub enabled: bool,
}

/// Intel RDT.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RdtFeatures {
    pub enabled: bool,
    pub schemata: bool,
    pub monitoring: bool,
}

/// NUMA policies.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryPolicyFeatures {
    pub modes: Vec<&'static str>,
    pub flags: Vec<&'static str>,
}

/// What mounts can do beyond mount(2).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MountExtensions {
    pub idmap: Enabled,
}
