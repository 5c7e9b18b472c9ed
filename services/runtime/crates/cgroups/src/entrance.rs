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
pub enum Entrance {
    /// The `tasks` files of v1.
    Threads(Vec<(PathBuf, File)>),
    /// The directory on v2.
    Directory(OwnedFd),
}

impl Entrance {
    pub(crate) fn open(manager: &Manager) -> Result<Self> {
        if manager.unified() {
            let path = &manager.groups()[0].path;
            let directory = File::open(path).context(|| format!("open cgroup {}", path.display()))?;
            return Ok(Self::Directory(directory.into()));
        }
        let open = |path: PathBuf| -> Result<(PathBuf, File)> {
            let file = OpenOptions::new().write(true).open(&path).context(|| format!("open {}", path.display()))?;
            Ok((path, file))
        };
        manager.groups().iter().map(|group| open(group.path.join("tasks"))).collect::<Result<_>>().map(Self::Threads)
    }

    /// What clone3(2) needs to make the child inside; nothing on v1.
    #[must_use]
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Threads(_) => None,
            Self::Directory(directory) => Some(directory.as_fd()),
        }
    }

    /// Go in; to be called by the child, which must have one thread. Nothing is left to do on v2.
    ///
    /// # Errors
    /// Names the file that refused.
    pub fn enter(self) -> std::result::Result<(), Error> {
        if let Self::Threads(files) = self {
            for (path, mut file) in files {
                file.write_all(b"0").context(|| format!("write 0 to {}", path.display()))?;
            }
        }
        Ok(())
    }
}
