//! Small steps before the mounts: keyring, OOM score, names, the first user of a user namespace.

use crate::error::{Context, Error, Result};
use crate::procfs::Procfs;
use spec::{Process, Spec};
use sys::{identity as id, namespace as ns};

pub(crate) fn enter(entrance: Option<cgroups::Entrance>) -> Result<()> {
    entrance.map_or(Ok(()), |each| each.enter().map_err(Error::from))
}

pub(crate) fn become_root() -> Result<()> {
    id::set_gid(0).during("become group 0 of the user namespace")?;
    id::set_uid(0).during("become user 0 of the user namespace")
}

pub(crate) fn join_keyring(name: &str) -> Result<()> {
    match id::join_session_keyring(&format!("_ses.{name}")) {
        // No keys in this kernel, or a quota or filter around us: the container then has none of its own.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EDQUOT | libc::EPERM)) => Ok(()),
        other => other.during("join a session keyring"),
    }
}

/// Of a process, by its name in /proc. A score below its own needs CAP_SYS_RESOURCE; without it that one is kept.
pub(crate) fn set_oom_score(process: &Process, who: &str) -> Result<()> {
    let Some(score) = process.oom_score_adj else { return Ok(()) };
    match Procfs::open()?.write(&format!("{who}/oom_score_adj"), &score.to_string()) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        // It has ended, and has said why.
        Err(error) if who != "self" && matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(()),
        other => other.context(|| format!("set oom_score_adj to {score}")),
    }
}

pub(crate) fn set_names(spec: &Spec) -> Result<()> {
    if !spec.hostname.is_empty() {
        ns::set_hostname(&spec.hostname).context(|| format!("set hostname to {:?}", spec.hostname))?;
    }
    if !spec.domainname.is_empty() {
        ns::set_domain_name(&spec.domainname).context(|| format!("set domainname to {:?}", spec.domainname))?;
    }
    Ok(())
}
