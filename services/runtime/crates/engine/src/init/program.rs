//! The program that the process becomes: found by the container's PATH, executed last of all.

use crate::error::{describe, Context, Error, Kind, Result};
use crate::lsm::Label;
use seccomp::Program;
use spec::Process;
use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use sys::{identity as id, process};

/// A program that is found, with the filter that is installed at the very end.
pub(crate) struct Ready {
    pub(crate) path: CString,
    pub(crate) args: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) filter: Option<Program>,
    pub(crate) label: Option<Label>,
}

impl Ready {
    /// Install the filter, once.
    pub(crate) fn install_filter(&mut self) -> Result<()> {
        match self.filter.take() {
            Some(filter) => {
                id::install_filter(&filter.instructions, filter.flags).during("install the seccomp filter").map(drop)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn execute(&mut self) -> Error {
        if let Some(Err(error)) = self.label.as_ref().map(Label::apply) {
            return error;
        }
        // Before the filter, which need not allow what this calls.
        process::reset_signals();
        if let Err(error) = self.install_filter() {
            return error;
        }
        let error = process::execute(&self.path, &self.args, &self.env);
        let name = self.args.first().map(|each| each.to_string_lossy().into_owned()).unwrap_or_default();
        Error::internal(format!("exec {name}: {}", describe(&error)))
    }
}

pub(crate) fn complain(error: &Error) {
    use std::io::Write;
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "{}", error.message);
}

/// Find the program as the container's user sees it from the working directory `here`; the words are those that Docker's users know.
pub(crate) fn find_program(process: &Process, here: &OwnedFd) -> Result<PathBuf> {
    let name = &process.args[0];
    let executable = |path: &Path| -> std::result::Result<(), (Kind, String)> {
        let meta = fs::metadata(path).map_err(|error| {
            let kind = if error.kind() == std::io::ErrorKind::PermissionDenied {
                Kind::CommandNotExecutable
            } else {
                Kind::CommandNotFound
            };
            (kind, format!("stat {}: {}", path.display(), describe(&error)))
        })?;
        if meta.is_dir() {
            return Err((Kind::CommandNotExecutable, "is a directory".into()));
        }
        if sys::fs::may_execute(here, path) {
            Ok(())
        } else {
            Err((Kind::CommandNotExecutable, "permission denied".into()))
        }
    };
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err((kind, cause)) => Err(Error::new(kind, format!("exec: {name:?}: {cause}"))),
        };
    }
    let path = process.env.iter().rev().find_map(|each| each.strip_prefix("PATH=")).unwrap_or_default();
    let mut denied = false;
    for directory in path.split(':').filter(|_| !name.is_empty()) {
        let candidate = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err((Kind::CommandNotExecutable, cause)) => denied |= cause == "permission denied",
            Err(_) => {}
        }
    }
    if denied {
        return Err(Error::new(Kind::CommandNotExecutable, format!("exec: {name:?}: permission denied")));
    }
    Err(Error::new(Kind::CommandNotFound, format!("exec: {name:?}: executable file not found in $PATH")))
}
