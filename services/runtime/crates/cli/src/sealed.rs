//! Executing the runtime from a sealed copy in memory (CVE-2019-5736).
//!
//! While a process of the container is still the runtime, `/proc/<pid>/exe` leads to the runtime's file: a container that
//! gets hold of it could overwrite it on the host. Before anything of a container is touched, the program replaces
//! itself by a copy that nobody can change.

use engine::{Error, Kind, Result};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// Continue as a sealed copy, unless this is one already.
pub(crate) fn ensure() -> Result<()> {
    let failed = |what: &str, error: &std::io::Error| Error::new(Kind::Internal, format!("{what}: {error}"));
    let own = File::open("/proc/self/exe").map_err(|error| failed("open /proc/self/exe", &error))?;
    if sys::fs::sealed(own.as_fd()) {
        return Ok(());
    }
    let length = own.metadata().map_err(|error| failed("stat /proc/self/exe", &error))?.len();
    let copy = sys::fs::memfd("dockyard-runtime").map_err(|error| failed("memfd_create", &error))?;
    sys::fs::copy(own.as_fd(), copy.as_fd(), length as usize).map_err(|error| failed("copy the runtime", &error))?;
    sys::fs::seal(&copy).map_err(|error| failed("seal the copy of the runtime", &error))?;
    let words = std::env::args_os().map(|word| word.as_bytes().to_vec());
    let variables = std::env::vars_os().map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat());
    let words = sys::process::cstrings(words).map_err(|error| failed("arguments", &error))?;
    let variables = sys::process::cstrings(variables).map_err(|error| failed("environment", &error))?;
    Err(failed("execute the sealed copy", &sys::process::execute_descriptor(&copy, &words, &variables)))
}
