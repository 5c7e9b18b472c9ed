//! The labels that a process gets when it executes its program: AppArmor's profile, SELinux's context.

use crate::error::{Context, Result};
use crate::procfs::Procfs;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

/// Labels that are set when the process executes its program.
pub(crate) struct Label {
    writes: Vec<(File, String)>,
}

/// Whether this host has SELinux.
pub(crate) fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

impl Label {
    /// Open the kernel's files while the host's /proc is in sight: one of the container could be a fake.
    pub(crate) fn prepare(process: &spec::Process) -> Result<Option<Self>> {
        let mut writes = Vec::new();
        if !process.apparmor_profile.is_empty() {
            let file = open(&["self/attr/apparmor/exec", "self/attr/exec"])?;
            writes.push((file, format!("exec {}", process.apparmor_profile)));
        }
        if !process.selinux_label.is_empty() {
            writes.push((open(&["self/attr/exec"])?, process.selinux_label.clone()));
        }
        Ok(if writes.is_empty() { None } else { Some(Self { writes }) })
    }

    /// The descriptors that must stay open until then.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.writes.iter().map(|(file, _)| file.as_raw_fd())
    }

    pub(crate) fn apply(&self) -> Result<()> {
        for (file, text) in &self.writes {
            let mut file = file;
            file.write_all(text.as_bytes()).context(|| format!("apply the security label {text:?}"))?;
        }
        Ok(())
    }
}

/// The first of the files that exists: kernels before 5.8 have one for all security modules.
fn open(paths: &[&str]) -> Result<File> {
    let procfs = Procfs::open()?;
    let mut result = Err(ErrorKind::NotFound.into());
    for path in paths {
        result = procfs.file(path, libc::O_WRONLY);
        if !result.as_ref().is_err_and(|error: &std::io::Error| error.kind() == ErrorKind::NotFound) {
            break;
        }
    }
    result.during("open the security attribute of the process")
}
