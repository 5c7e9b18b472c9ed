//! `linux.seccomp`.

use serde::{Deserialize, Serialize};

/// A seccomp profile in libseccomp's terms.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp {
    /// `SCMP_ACT_…` for what no rule matches.
    pub default_action: String,
    /// The errno of `defaultAction`, where it returns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_…` besides the native one.
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_…` words.
    pub flags: Vec<String>,
    /// Socket that gets the descriptor of SCMP_ACT_NOTIFY.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    /// Opaque text that goes with it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    /// Rules.
    pub syscalls: Vec<SyscallRule>,
}

/// An action for some syscalls; with arguments, only where all of them match.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyscallRule {
    /// Of system calls; unknown ones are passed over.
    pub names: Vec<String>,
    /// `SCMP_ACT_…`.
    pub action: String,
    /// The errno of `action`, where it returns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions, all of which must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
}

/// A comparison with one syscall argument; `value_two` is used by `SCMP_CMP_MASKED_EQ` alone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Argument {
    /// Of the argument, from 0 to 5.
    pub index: u32,
    /// What it is compared with; the mask of SCMP_CMP_MASKED_EQ.
    pub value: u64,
    /// What the masked argument must be.
    pub value_two: u64,
    /// `SCMP_CMP_…`.
    pub op: String,
}
