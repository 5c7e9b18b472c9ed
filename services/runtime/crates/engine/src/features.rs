//! What this runtime can do, as the features document of runtime-spec.

use crate::init::{credentials, scheduling};
use crate::rootfs::options;
use spec::features::{
    CgroupFeatures, Enabled, LinuxFeatures, MemoryPolicyFeatures, MountExtensions, RdtFeatures, SeccompFeatures,
};
use spec::Features;
use std::collections::BTreeMap;

const YES: Enabled = Enabled { enabled: true };

/// The document.
#[must_use]
pub fn features() -> Features {
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: spec::VERSION,
        hooks: vec!["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        mount_options: options::names(),
        linux: LinuxFeatures {
            namespaces: vec!["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            capabilities: credentials::capability_names().to_vec(),
            cgroup: CgroupFeatures { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
            seccomp: SeccompFeatures {
                enabled: true,
                actions: seccomp::ACTIONS.to_vec(),
                operators: seccomp::OPERATORS.to_vec(),
                archs: seccomp::ARCHITECTURES.to_vec(),
                known_flags: seccomp::FLAGS.to_vec(),
                supported_flags: seccomp::FLAGS.to_vec(),
            },
            apparmor: YES,
            selinux: YES,
            intel_rdt: RdtFeatures { enabled: true, schemata: true, monitoring: true },
            memory_policy: MemoryPolicyFeatures {
                modes: scheduling::memory_modes().collect(),
                flags: scheduling::memory_flags().collect(),
            },
            mount_extensions: MountExtensions { idmap: YES },
            net_devices: YES,
        },
        annotations: BTreeMap::from([("org.dockyard.runtime.version", env!("CARGO_PKG_VERSION").to_string())]),
        potentially_unsafe_config_annotations: vec![
            "org.criu.config",
            "org.systemd.property.",
            "run.oci.hooks.stderr",
            "run.oci.hooks.stdout",
            "run.oci.keep_original_groups",
            "run.oci.seccomp.receiver",
        ],
    }
}
