//! `ps`: which processes are in a container.

use crate::error::Result;
use crate::state::Store;

/// The pids of all processes in the container.
///
/// # Errors
/// `NotFound`.
pub fn pids(store: &Store, id: &str) -> Result<Vec<i32>> {
    Ok(store.load(id)?.cgroup().pids()?)
}
