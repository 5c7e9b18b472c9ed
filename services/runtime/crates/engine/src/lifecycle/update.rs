//! `update`: other limits for a container that exists.

use crate::error::{Error, Result};
use crate::state::Store;
use crate::Kind::NotRunning;
use spec::{Resources, Status};

/// Limits of Intel RDT, which are not part of the resources document.
#[derive(Clone, Debug, Default)]
pub struct Rdt {
    /// The line for the cache, such as `L3:0=f`.
    pub l3_cache: Option<String>,
    /// The line for the memory's bandwidth, such as `MB:0=20`.
    pub bandwidth: Option<String>,
}

/// Change limits.
///
/// # Errors
/// `NotRunning`, and the file that refused a value.
pub fn update(store: &Store, id: &str, resources: &Resources, rdt: &Rdt) -> Result<()> {
    let container = store.load(id)?;
    if container.status() == Status::Stopped {
        return Err(Error::new(NotRunning, "container not running"));
    }
    if rdt.l3_cache.is_some() || rdt.bandwidth.is_some() {
        crate::rdt::update(&container, rdt)?;
    }
    Ok(container.cgroup().apply(resources, false)?)
}
