//! One writer at a time: the lock of a container's state.

use crate::error::{Context, Error, Kind, Result};
use crate::state::Container;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Wait for the lock; it is held until the file is dropped.
pub(crate) fn lock(container: &Container) -> Result<fs::File> {
    directory(&container.directory)
}

/// The same for a container that has no state yet.
pub(crate) fn directory(path: &Path) -> Result<fs::File> {
    let directory = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::new(Kind::NotFound, "container does not exist"));
        }
        other => other.during("open the container's state")?,
    };
    sys::fs::lock(&directory).during("lock the container's state")?;
    Ok(directory)
}
