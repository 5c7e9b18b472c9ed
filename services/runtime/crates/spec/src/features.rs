//! The features document: what a runtime can do.

use serde::Serialize;
use std::collections::BTreeMap;

/// The whole document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// The lowest version whose documents are understood.
    pub oci_version_min: &'static str,
    /// The highest version whose documents are understood.
    pub oci_version_max: &'static str,
    /// Names of `hooks`.
    pub hooks: Vec<&'static str>,
    /// Every word that `mounts[].options` may have.
    pub mount_options: Vec<String>,
    /// What only Linux has.
    pub linux: LinuxFeatures,
    /// Facts about this build, by key.
    pub annotations: BTreeMap<&'static str, String>,
    /// Annotations that may do harm if users choose them.
    pub potentially_unsafe_config_annotations: Vec<&'static str>,
}

/// Linux's part.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxFeatures {
    /// Kinds of namespaces.
    pub namespaces: Vec<&'static str>,
    /// Names of capabilities that are known, whether or not the kernel has them.
    pub capabilities: Vec<&'static str>,
    /// Cgroup versions and drivers.
    pub cgroup: CgroupFeatures,
    /// What filters may say.
    pub seccomp: SeccompFeatures,
    /// Whether AppArmor profiles can be set.
    pub apparmor: Enabled,
    /// Whether SELinux labels can be set.
    pub selinux: Enabled,
    /// What of `linux.intelRdt` is understood.
    pub intel_rdt: RdtFeatures,
    /// What of `linux.memoryPolicy` is understood.
    pub memory_policy: MemoryPolicyFeatures,
    /// Mounts beyond mount(2).
    pub mount_extensions: MountExtensions,
    /// Whether `linux.netDevices` is understood.
    pub net_devices: Enabled,
}

/// Which cgroup set-ups can be driven.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFeatures {
    /// Cgroup v1.
    pub v1: bool,
    /// Cgroup v2.
    pub v2: bool,
    /// The systemd driver for the system's manager.
    pub systemd: bool,
    /// The systemd driver for a user's manager.
    pub systemd_user: bool,
    /// The rdma controller.
    pub rdma: bool,
}

/// The words of seccomp profiles that are understood.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompFeatures {
    /// Whether filters are understood at all.
    pub enabled: bool,
    /// `SCMP_ACT_…` words.
    pub actions: Vec<&'static str>,
    /// `SCMP_CMP_…` words.
    pub operators: Vec<&'static str>,
    /// `SCMP_ARCH_…` words.
    pub archs: Vec<&'static str>,
    /// `SECCOMP_FILTER_FLAG_…` words that are understood.
    pub known_flags: Vec<&'static str>,
    /// Those of them that this kernel has.
    pub supported_flags: Vec<&'static str>,
}

/// Whether something is built in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Enabled {
    /// Whether it is there.
    pub enabled: bool,
}

/// Intel RDT.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RdtFeatures {
    /// Whether it is understood.
    pub enabled: bool,
    /// Whether `schemata` is understood.
    pub schemata: bool,
    /// Whether `enableMonitoring` is understood.
    pub monitoring: bool,
}

/// NUMA policies.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryPolicyFeatures {
    /// `MPOL_…` words.
    pub modes: Vec<&'static str>,
    /// `MPOL_F_…` words.
    pub flags: Vec<&'static str>,
}

/// What mounts can do beyond mount(2).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MountExtensions {
    /// Whether `uidMappings` and `gidMappings` of a mount are understood.
    pub idmap: Enabled,
}
