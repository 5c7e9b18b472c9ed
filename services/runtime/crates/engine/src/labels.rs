//! AppArmor's transition at the execution.

use crate::error::{Context, Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};

const PROC_MAGIC: i64 = 0x9FA0;

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
        let open = |path: &str| OpenOptions::new().write(true).open(path);
        let file = match open("/proc/self/attr/apparmor/exec") {
            // Kernels before 5.8 have one file for all security modules.
            Err(error) if error.kind() == ErrorKind::NotFound => open("/proc/self/attr/exec"),
            other => other,
        };
        let file = file.during("open the AppArmor attribute of the process")?;
        if sys::fs::filesystem_magic(&file).during("statfs /proc/self/attr")? != PROC_MAGIC {
            return Err(Error::internal("/proc/self/attr is not procfs"));
        }
        Ok(Some(Self { file, text: format!("exec {profile}") }))
    }

    pub(crate) fn apply(&self) -> Result<()> {
        let mut file = &self.file;
        file.write_all(self.text.as_bytes()).context(|| format!("apply the AppArmor profile ({})", self.text))
    }
}
