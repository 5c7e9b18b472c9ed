//! How a new process comes into its cgroup without waiting for the whole machine.
//!
//! Writing a pid to `cgroup.procs` takes the kernel's `cgroup_threadgroup_rwsem` for writing, and that waits for an RCU
//! grace period: 10 to 20 ms on a quiet machine. Two ways avoid it. A thread that writes `0` to the `tasks` file of a
//! v1 hierarchy moves itself alone (`__cgroup1_procs_write` in kernel/cgroup/cgroup-v1.c skips the lock then), and a
//! child with one thread is its whole process. On v2, clone3(2) makes the child inside (`CLONE_INTO_CGROUP`).

use crate::{Context, Error, Manager, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The open doors of one cgroup. The kernel judges a write by who opened the file, so the child needs no rights.
#[derive(Debug)]
pub struct Entrance {
    /// The `tasks` files of v1.
    threads: Vec<(PathBuf, File)>,
    /// The directory in the tree of v2, on a hybrid host, too.
    directory: Option<OwnedFd>,
}

impl Entrance {
    pub(crate) fn open(manager: &Manager) -> Result<Self> {
        let mut found = Self { threads: Vec::new(), directory: None };
        for group in manager.groups() {
            if group.controllers.is_empty() {
                let directory = File::open(&group.path).context(|| format!("open cgroup {}", group.path.display()))?;
                found.directory = Some(directory.into());
            } else {
                let path = group.path.join("tasks");
                let file = OpenOptions::new().write(true).open(&path).context(|| format!("open {}", path.display()))?;
                found.threads.push((path, file));
            }
        }
        Ok(found)
    }

    /// What clone3(2) needs to make the child inside; nothing on v1.
    #[must_use]
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(AsFd::as_fd)
    }

    /// Go in; to be called by the child, which must have one thread. Nothing is left to do on v2.
    ///
    /// # Errors
    /// Names the file that refused.
    pub fn enter(self) -> std::result::Result<(), Error> {
        for (path, mut file) in self.threads {
            file.write_all(b"0").context(|| format!("write 0 to {}", path.display()))?;
        }
        Ok(())
    }
}
