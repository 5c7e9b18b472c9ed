//! Giving a process its identity: limits, groups, ids, capabilities.

use crate::error::{Context, Error, Result};
use crate::notes::warn;
use spec::config::Capabilities;
use spec::Process;
use std::io::ErrorKind;
use sys::identity as id;

const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

const LIMITS: [(&str, u32); 16] = [
    ("RLIMIT_CPU", libc::RLIMIT_CPU),
    ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
    ("RLIMIT_DATA", libc::RLIMIT_DATA),
    ("RLIMIT_STACK", libc::RLIMIT_STACK),
    ("RLIMIT_CORE", libc::RLIMIT_CORE),
    ("RLIMIT_RSS", libc::RLIMIT_RSS),
    ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
    ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
    ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
    ("RLIMIT_AS", libc::RLIMIT_AS),
    ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
    ("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
    ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", libc::RLIMIT_NICE),
    ("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
];

/// Of a process whose configuration names none, as with runc.
const DEFAULT_UMASK: u32 = 0o022;

/// Every capability name that is understood, for `features`.
#[must_use]
pub fn capability_names() -> &'static [&'static str] {
    &NAMES
}

/// Say which capabilities are not given: unknown ones, as runc does (a newer configuration on an older runtime), and those
/// that the runtime does not have itself.
pub(crate) fn warn_about(process: &Process) -> Result<()> {
    let Some(sets) = &process.capabilities else { return Ok(()) };
    let held = id::permitted_capabilities().during("read capabilities")?;
    let names = [&sets.bounding, &sets.effective, &sets.permitted].into_iter().flatten();
    let mut unknown: Vec<&str> =
        names.clone().filter(|name| !NAMES.contains(&name.as_str())).map(String::as_str).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        warn(&format!("ignoring unknown or unavailable capabilities: {unknown:?}"));
    }
    let missing = mask(&sets.permitted) & !held;
    if missing != 0 {
        let names: Vec<&str> =
            NAMES.iter().enumerate().filter(|(number, _)| missing >> number & 1 == 1).map(|(_, name)| *name).collect();
        warn(&format!("capabilities that the runtime does not have are not given: {names:?}"));
    }
    Ok(())
}

fn mask(names: &[String]) -> u64 {
    names
        .iter()
        .filter_map(|name| NAMES.iter().position(|known| name == known))
        .fold(0, |mask, number| mask | 1 << number)
}

/// Set the resource limits. Where the host does not let us raise a hard limit, the highest one we may have is set.
pub(crate) fn set_limits(process: &Process) -> Result<()> {
    for limit in &process.rlimits {
        let (_, resource) = LIMITS
            .iter()
            .find(|(name, _)| *name == limit.kind)
            .ok_or_else(|| Error::config(format!("process.rlimits: {:?} is unknown", limit.kind)))?;
        match id::set_limit(*resource, limit.soft, limit.hard) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let highest = id::hard_limit(*resource).context(|| format!("read {}", limit.kind))?;
                warn(&format!("{}: no right to raise the hard limit, {highest} is set", limit.kind));
                id::set_limit(*resource, limit.soft.min(highest), limit.hard.min(highest))
                    .context(|| format!("set {}", limit.kind))?;
            }
            other => other.context(|| format!("set {}", limit.kind))?,
        }
    }
    Ok(())
}

/// Become the process's user with its capabilities. What is not in our own permitted set cannot be given, and is not.
pub(crate) fn assume(process: &Process, keep_groups: bool) -> Result<()> {
    let none = Capabilities::default();
    let wanted = process.capabilities.as_ref().unwrap_or(&none);
    let held = id::permitted_capabilities().during("read capabilities")?;
    let bounding = mask(&wanted.bounding);
    if process.capabilities.is_some() {
        for capability in 0..64_u32 {
            if bounding >> capability & 1 == 0 && id::in_bounding(capability) {
                id::drop_bounding(capability).context(|| format!("drop capability {capability}"))?;
            }
        }
    }
    let user = &process.user;
    id::keep_capabilities(true).during("keep capabilities")?;
    let groups = if keep_groups { Ok(()) } else { id::set_groups(&user.additional_gids) };
    match groups {
        // A user namespace whose setgroups is denied: there is nothing to take away.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && user.additional_gids.is_empty() => {}
        other => other.during("set supplementary groups")?,
    }
    id::set_gid(user.gid).context(|| format!("set gid {}", user.gid))?;
    id::set_uid(user.uid).context(|| format!("set uid {}", user.uid))?;
    id::keep_capabilities(false).during("keep capabilities")?;
    id::set_umask(user.umask.unwrap_or(DEFAULT_UMASK));
    id::clear_ambient().during("clear ambient capabilities")?;
    if process.capabilities.is_some() {
        let permitted = mask(&wanted.permitted) & held;
        let inheritable = mask(&wanted.inheritable) & held;
        id::set_capabilities(mask(&wanted.effective) & permitted, permitted, inheritable).during("set capabilities")?;
        for capability in 0..64_u32 {
            if mask(&wanted.ambient) & permitted & inheritable & (1 << capability) != 0 {
                id::raise_ambient(capability).context(|| format!("raise ambient capability {capability}"))?;
            }
        }
    } else {
        let effective = if user.uid == 0 { held } else { 0 };
        id::set_capabilities(effective, effective, 0).during("set capabilities")?;
    }
    Ok(())
}
