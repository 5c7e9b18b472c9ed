//! `pause` and `resume`.

use crate::error::{Error, Result};
use crate::state::Store;
use crate::Kind::NotRunning;
use spec::Status;

/// Freeze or thaw all processes.
///
/// # Errors
/// `NotRunning` for a container in the wrong state.
pub fn pause(store: &Store, id: &str, paused: bool) -> Result<()> {
    let container = store.load(id)?;
    match (container.status(), paused) {
        (Status::Running | Status::Created, true) | (Status::Paused, false) => Ok(container.cgroup().freeze(paused)?),
        (_, true) => Err(Error::new(NotRunning, "container not running")),
        (_, false) => Err(Error::new(NotRunning, "container not paused")),
    }
}
