//! The platform-independent half of `config.json`.

use crate::linux::Linux;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `config.json`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// `ociVersion`: the version of the specification that the document follows.
    pub oci_version: String,
    /// `root`: the root file system; needed on Linux.
    pub root: Option<Root>,
    /// `mounts`, in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// `process`: what the container runs.
    pub process: Option<Process>,
    /// `hostname`, in the UTS namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// `domainname`, in the UTS namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// `hooks`: programs at the steps of the lifecycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// `annotations`: free text by key; some keys steer this runtime.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// `linux`: what only Linux has.
    pub linux: Option<Linux>,
}

/// The root filesystem; `path` is relative to the bundle or absolute.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Root {
    /// Of the directory: absolute, or relative to the bundle.
    pub path: String,
    /// Whether the root is mounted read-only.
    pub readonly: bool,
}

/// One entry of `mounts`, in the order in which they are made.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where, absolute in the container.
    pub destination: String,
    /// The file system's type; with the option `bind` it is ignored.
    #[serde(rename = "type")]
    pub kind: String,
    /// A device, a path of the host, or a name that the file system ignores.
    pub source: String,
    /// Words of fstab(5), and those of the specification.
    pub options: Vec<String>,
    /// User ids for an idmapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<crate::IdMapping>,
    /// Group ids for an idmapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<crate::IdMapping>,
}

/// The container's process, or an additional one of `exec`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Whether a terminal is made for its standard streams.
    pub terminal: bool,
    /// The terminal's size in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// The working directory, absolute in the container.
    pub cwd: String,
    /// `KEY=value`, as environ(7).
    pub env: Vec<String>,
    /// The program and its arguments; never empty.
    pub args: Vec<String>,
    /// As whom it runs.
    pub user: User,
    /// Its capabilities; None means none at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Limits of setrlimit(2).
    pub rlimits: Vec<Rlimit>,
    /// Sets PR_SET_NO_NEW_PRIVS.
    pub no_new_privileges: bool,
    /// The AppArmor profile to enter on execution.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub apparmor_profile: String,
    /// The SELinux label to take on execution.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selinux_label: String,
    /// For `/proc/self/oom_score_adj`, from -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i64>,
    /// For sched_setattr(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    /// For ioprio_set(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<IoPriority>,
    /// The CPUs of `exec`, before and after it enters the container's cgroup.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<CpuAffinity>,
}

/// CPU lists (`0-3,7`) of a process made by `exec`: before and after it enters the container's cgroup.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct CpuAffinity {
    /// CPU list (`0-3,7`) until the process is in the cgroup.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub initial: String,
    /// CPU list for the program itself.
    #[serde(rename = "final", skip_serializing_if = "String::is_empty")]
    pub last: String,
}

/// sched_setattr(2); times in nanoseconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Scheduler {
    /// `SCHED_OTHER`, `SCHED_FIFO` and so on.
    pub policy: String,
    /// For SCHED_OTHER and SCHED_BATCH, from -20 to 19.
    pub nice: i32,
    /// For SCHED_FIFO and SCHED_RR.
    pub priority: i32,
    /// `SCHED_FLAG_…` words.
    pub flags: Vec<String>,
    /// For SCHED_DEADLINE, nanoseconds.
    pub runtime: u64,
    /// For SCHED_DEADLINE, nanoseconds.
    pub deadline: u64,
    /// For SCHED_DEADLINE, nanoseconds.
    pub period: u64,
}

/// Rows and columns of the terminal.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// ioprio_set(2) class and level.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct IoPriority {
    /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
    pub class: String,
    /// In the class, 0 is the highest.
    pub priority: i32,
}

/// Numeric identity of a process.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// In the container's user namespace.
    pub uid: u32,
    /// In the container's user namespace.
    pub gid: u32,
    /// umask(2); None leaves the runtime's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary groups, besides the primary one.
    pub additional_gids: Vec<u32>,
}

/// The five capability sets by name (`CAP_CHOWN`).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Capabilities {
    /// The limit of what may ever be gained.
    pub bounding: Vec<String>,
    /// What the kernel checks.
    pub effective: Vec<String>,
    /// What a file's inheritable set may keep.
    pub inheritable: Vec<String>,
    /// What may be made effective.
    pub permitted: Vec<String>,
    /// What programs without file capabilities keep.
    pub ambient: Vec<String>,
}

/// One resource limit (`RLIMIT_NOFILE`).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Rlimit {
    /// `RLIMIT_NOFILE` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// The limit in force; the unit is the resource's.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// Programs run at the points of the lifecycle.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Deprecated: in the runtime's namespace, before `createRuntime`.
    pub prestart: Vec<Hook>,
    /// In the runtime's namespace, after the namespaces are made and before pivot_root.
    pub create_runtime: Vec<Hook>,
    /// In the container's namespace, before pivot_root.
    pub create_container: Vec<Hook>,
    /// In the container, before the program is executed.
    pub start_container: Vec<Hook>,
    /// In the runtime's namespace, after the program was executed.
    pub poststart: Vec<Hook>,
    /// In the runtime's namespace, after the container was deleted.
    pub poststop: Vec<Hook>,
}

/// One hook; it reads the state document on its standard input.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Hook {
    /// Of the program, absolute in the namespace where it runs.
    pub path: String,
    /// Arguments from the program's name on.
    pub args: Vec<String>,
    /// The whole environment; without it the hook inherits the runtime's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Seconds until it counts as failed; never 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}
