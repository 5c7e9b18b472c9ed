//! Checkpoint and restore need CRIU, which this runtime does not drive yet: it says which of the two is missing.

use crate::error::{describe, Error, Kind, Result};
use std::path::{Path, PathBuf};

/// The error that a caller of `checkpoint` or `restore` gets.
#[must_use]
pub fn refusal(verb: &str, program: &Path) -> Error {
    match find(program) {
        Ok(_) => Error::new(Kind::Internal, format!("{verb}: CRIU is there, but is not supported by this runtime yet")),
        Err(error) => Error::new(Kind::Internal, format!("{verb}: {error}")),
    }
}

fn find(program: &Path) -> Result<PathBuf> {
    let missing = |cause: &str| {
        Error::new(Kind::Internal, format!("criu is needed and is not there: {}: {cause}", program.display()))
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
