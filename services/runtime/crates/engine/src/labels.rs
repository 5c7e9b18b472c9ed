//! AppArmor's transition at the execution.

use crate::error::{Context, Result};
use crate::procfs::Procfs;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, RawFd};

/// A profile that is entered when the process executes its program.
pub(crate) struct Label {
    file: File,
    text: String,
}

impl Label {
    /// Open the kernel's file while the host's /proc is in sight: one of the container could be a fake.
    pub(crate) fn prepare(process: &spec::Process) -> Result<Option<Self>> {
        let profile = &process.apparmor_profile;
        if profile.is_empty() {
            return Ok(None);
        }
        let procfs = Procfs::open()?;
        let open = |path: &str| procfs.file(path, libc::O_WRONLY);
        let file = match open("self/attr/apparmor/exec") {
            // Kernels before 5.8 have one file for all security modules.
            Err(error) if error.kind() == ErrorKind::NotFound => open("self/attr/exec"),
            other => other,
        };
        let file = file.during("open the AppArmor attribute of the process")?;
        Ok(Some(Self { file, text: format!("exec {profile}") }))
    }

    /// The descriptor that must stay open until then.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub(crate) fn apply(&self) -> Result<()> {
        let mut file = &self.file;
        file.write_all(self.text.as_bytes()).context(|| format!("apply the AppArmor profile ({})", self.text))
    }
}
