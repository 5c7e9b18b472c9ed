//! Notices that a process was killed for want of memory.

use crate::{write, Context, Result};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A descriptor that becomes readable, and how to tell whether that was a kill.
pub struct OomWatch {
    descriptor: OwnedFd,
    /// v2: the file with the counter, and its last value.
    counter: Option<(PathBuf, u64)>,
    /// v1: must stay open as long as the watch.
    _control: Option<File>,
    directory: PathBuf,
}

impl OomWatch {
    pub(crate) fn new(directory: &Path, unified: bool) -> Result<Self> {
        if unified {
            let path = directory.join("memory.events");
            let descriptor = sys::fs::watch_modified(&path).context(|| format!("watch {}", path.display()))?;
            let count = kills(&path);
            return Ok(Self { descriptor, counter: Some((path, count)), _control: None, directory: directory.into() });
        }
        let path = directory.join("memory.oom_control");
        let control = File::open(&path).context(|| format!("open {}", path.display()))?;
        let descriptor = sys::fs::event_counter().context(|| "eventfd".into())?;
        let line = format!("{} {}", descriptor.as_raw_fd(), control.as_raw_fd());
        write(&directory.join("cgroup.event_control"), &line)?;
        Ok(Self { descriptor, counter: None, _control: Some(control), directory: directory.into() })
    }

    /// Readable when there may be something to take.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Whether a process was killed since the last call; the descriptor is readable no longer.
    pub fn take(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = sys::fs::read(&self.descriptor, &mut buffer).is_ok();
        match &mut self.counter {
            // The removal of the cgroup, too, raises the counter of v1.
            None => read && self.directory.exists(),
            Some((path, last)) => {
                let now = kills(path);
                std::mem::replace(last, now) < now
            }
        }
    }
}

fn kills(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ").and_then(|count| count.trim().parse().ok()))
        .unwrap_or(0)
}
