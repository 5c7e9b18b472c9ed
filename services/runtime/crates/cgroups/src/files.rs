//! The files and directories of the cgroup file systems.

use crate::{Context, Group, Result};
use std::fs;
use std::io::Write;
use std::path::Path;

pub(crate) fn find<'a>(groups: &'a [Group], controller: &str) -> Option<&'a Group> {
    groups.iter().find(|group| group.controllers.split(',').any(|each| each == controller))
}

pub(crate) fn write(path: &Path, value: &str) -> Result<()> {
    // One write(2): the kernel takes each write as one value.
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .context(|| format!("write {value:?} to {}", path.display()))
}

/// A file's number; None if it cannot be read, `u64::MAX` for `max`.
pub(crate) fn number(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    match text.trim() {
        "max" => Some(u64::MAX),
        other => other.parse().ok(),
    }
}

/// The lines of a file as keys and numbers.
pub(crate) fn pairs(path: &Path) -> impl Iterator<Item = (String, u64)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let read = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_string(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(read).collect::<Vec<_>>().into_iter()
}
