//! The host's /proc, made sure of: whoever mounts something over it or over one of its files must not get to see, or to
//! redirect, what the runtime writes there (CVE-2019-16884, CVE-2025-52881).

use crate::error::{Context, Error, Result};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// `PROC_SUPER_MAGIC`.
pub(crate) const MAGIC: i64 = 0x9FA0;
/// Of the root directory of every procfs.
pub(crate) const ROOT_INODE: u64 = 1;

/// The root of a real procfs.
pub(crate) struct Procfs(OwnedFd);

impl Procfs {
    /// Open /proc.
    ///
    /// # Errors
    /// `Internal` unless it is the root of a procfs.
    pub(crate) fn open() -> Result<Self> {
        let root = sys::openat2::open(Path::new("/proc"), libc::O_PATH | libc::O_DIRECTORY, 0).during("open /proc")?;
        let real = sys::fs::filesystem_magic(&root).during("statfs /proc")? == MAGIC
            && sys::fs::stat(&root).during("stat /proc")?.inode == ROOT_INODE;
        if real {
            Ok(Self(root))
        } else {
            Err(Error::internal("/proc is not a procfs: refusing to write to it"))
        }
    }

    /// Open one of its own files; `EXDEV` if something is mounted on it or on the way.
    pub(crate) fn file(&self, path: &str, flags: i32) -> io::Result<File> {
        sys::openat2::open_beneath(&self.0, Path::new(path), flags).map(File::from)
    }

    /// Write a value to one of its own files.
    pub(crate) fn write(&self, path: &str, value: &str) -> io::Result<()> {
        self.file(path, libc::O_WRONLY)?.write_all(value.as_bytes())
    }
}
