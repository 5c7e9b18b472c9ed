//! Checkpoint and restore, done by the `criu` program.

use crate::error::{describe, Error, Kind, Result};
use crate::lifecycle::create::Options;
use crate::state::{Container, Store};
use std::path::{Path, PathBuf};

/// The folders of a checkpoint.
pub struct Images {
    /// The images.
    pub path: PathBuf,
    /// CRIU's log; the images' folder if it is not given.
    pub work: Option<PathBuf>,
}

/// Freeze a container into images.
///
/// # Errors
/// Without CRIU, one that says so.
pub fn checkpoint(
    store: &Store,
    id: &str,
    program: &Path,
    _images: &Images,
    _words: &[String],
    _pre_dump: bool,
    _leave_running: bool,
) -> Result<()> {
    store.load(id)?;
    find(program)?;
    Err(Error::internal("checkpoint is not built yet"))
}

/// Make a container from images.
///
/// # Errors
/// Without CRIU, one that says so.
pub fn restore(
    _store: &Store,
    _options: &Options,
    program: &Path,
    _images: &Images,
    _words: &[String],
) -> Result<Container> {
    find(program)?;
    Err(Error::internal("restore is not built yet"))
}

/// Whether CRIU is there.
#[must_use]
pub fn available(program: &Path) -> bool {
    find(program).is_ok()
}

fn find(program: &Path) -> Result<PathBuf> {
    let missing = |cause: &str| {
        Error::new(Kind::Internal, format!("checkpoint and restore need criu: {}: {cause}", program.display()))
    };
    if program.components().count() > 1 {
        return std::fs::metadata(program).map(|_| program.into()).map_err(|error| missing(&describe(&error)));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| missing("executable file not found in $PATH"))
}
