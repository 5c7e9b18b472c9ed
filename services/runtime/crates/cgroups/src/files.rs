//! The files and directories of the cgroup file systems.

use crate::{Context, Group, Result};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

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

pub(crate) fn collect_pids(path: &Path, pids: &mut Vec<i32>) -> Result<()> {
    match fs::read_to_string(path.join("cgroup.procs")) {
        Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context(|| format!("read {}/cgroup.procs", path.display())),
    }
    for child in children(path)? {
        collect_pids(&child, pids)?;
    }
    Ok(())
}

pub(crate) fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error).context(|| format!("list {}", path.display())),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A cgroup stays busy until its last process has been reaped, and v1 tells nobody when that is: this is the one place
/// that tries again after a pause, a second in all.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let mut pause = 1;
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(16) => {
                let inner = children(path)?;
                if !inner.is_empty() {
                    for child in inner {
                        remove(&child)?;
                    }
                } else if pause > 512 {
                    return Err(error).context(|| format!("remove cgroup {}", path.display()));
                } else {
                    std::thread::sleep(std::time::Duration::from_millis(pause));
                    pause *= 2;
                }
            }
            Err(error) => return Err(error).context(|| format!("remove cgroup {}", path.display())),
        }
    }
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
