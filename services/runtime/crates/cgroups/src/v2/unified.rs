//! `unified`: files of v2 by their own names.

use crate::{write, Error, Result};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// Write each file, line by line.
///
/// # Errors
/// A name that is no controller's file, or whose controller is not there.
pub(crate) fn apply(path: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    for (name, value) in files {
        if name.contains('/') || name.starts_with("cgroup.") {
            return Err(Error::invalid(format!(
                "unified resource {name:?} must be a file name (no slashes) of a controller"
            )));
        }
        for line in value.lines() {
            write(&path.join(name), line).map_err(|error| match error.source.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                    let controller = name.split('.').next().unwrap_or(name);
                    Error::unsupported(format!(
                        "unified resource {name:?} can't be set: controller {controller:?} not available"
                    ))
                }
                _ => error,
            })?;
        }
    }
    Ok(())
}
