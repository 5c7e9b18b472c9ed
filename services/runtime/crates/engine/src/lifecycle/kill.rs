//! `kill`: a signal for the container's process, or for all of them.

use crate::error::{Context, Error, Result};
use crate::state::Store;
use crate::Kind::NotRunning;

/// Send a signal to the container's process, or with `all` to every process in it.
///
/// # Errors
/// `NotRunning` without `all` for a stopped container.
pub fn kill(store: &Store, id: &str, signal: i32, all: bool) -> Result<()> {
    let container = store.load(id)?;
    if all {
        return Ok(container.cgroup().signal_all(signal)?);
    }
    let pidfd = container.pidfd()?;
    match sys::process::signal(&pidfd, signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(Error::new(NotRunning, "container not running")),
        other => other.context(|| format!("send signal {signal}")),
    }?;
    // A frozen process does not die.
    if signal == sys::process::SIGKILL && container.cgroup().frozen() {
        container.cgroup().freeze(false)?;
    }
    Ok(())
}
