//! Executing the runtime from a file that nobody can change (CVE-2019-5736).
//!
//! While a process of the container is still the runtime, `/proc/<pid>/exe` leads to the runtime's file: a container that
//! gets hold of it could overwrite it on the host. Before anything of a container is touched, the program replaces
//! itself: by itself as seen through an overlay that has no writable layer, or, where there can be none (ordinary users,
//! kernels without overlays or the mount calls), by a sealed copy in memory. The overlay copies nothing, and unlike a
//! read-only bind mount it leads to no mount that could be made writable.

use engine::{Error, Kind, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use sys::mount::{self, FsContext};

const OVERLAY_MAGIC: i64 = 0x794c_7630;
/// Tells the program that it is executed through the overlay: `device:inode` of its file there. The number of the device is the
/// overlay's own as long as it is mounted, so that no other file can be meant.
const TOKEN: &str = "DOCKYARD_RUNTIME_OVERLAY";
/// An overlay without a writable layer has two others; in this one, which every host has, nothing is looked up.
const OTHER_LAYER: &str = "/sys";

/// Continue as a program that nobody can change, unless this is one already.
pub(crate) fn ensure() -> Result<()> {
    let failed = |what: &str, error: &io::Error| Error::new(Kind::Internal, format!("{what}: {error}"));
    let own = File::open("/proc/self/exe").map_err(|error| failed("open /proc/self/exe", &error))?;
    let token = std::env::var(TOKEN);
    // Hooks inherit the environment.
    std::env::remove_var(TOKEN);
    if sys::fs::sealed(own.as_fd()) || token.is_ok_and(|token| seen_through_overlay(&own, &token)) {
        return Ok(());
    }
    let words = sys::process::cstrings(std::env::args_os().map(OsStringExt::into_vec));
    let words = words.map_err(|error| failed("arguments", &error))?;
    let variables = || std::env::vars_os().map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat());
    if let Ok((program, token)) = through_overlay(&own) {
        let variables = variables().chain([format!("{TOKEN}={token}").into_bytes()]);
        let variables = sys::process::cstrings(variables).map_err(|error| failed("environment", &error))?;
        // Returns where it may not be executed there, on a file system of noexec for instance.
        let _ = sys::process::execute_descriptor(&program, &words, &variables);
    }
    let copy = copy(&own)?;
    let variables = sys::process::cstrings(variables()).map_err(|error| failed("environment", &error))?;
    Err(failed("execute the sealed copy", &sys::process::execute_descriptor(&copy, &words, &variables)))
}

fn token_of(file: impl AsFd) -> io::Result<String> {
    let stat = sys::fs::stat(file)?;
    Ok(format!("{}:{}", stat.device, stat.inode))
}

fn seen_through_overlay(own: &File, token: &str) -> bool {
    sys::fs::filesystem_magic(own).is_ok_and(|magic| magic == OVERLAY_MAGIC)
        && token_of(own).is_ok_and(|found| found == token)
}

/// This program's file in an overlay that is mounted nowhere, and goes with the last process that executes it.
fn through_overlay(own: &File) -> io::Result<(OwnedFd, String)> {
    let unfit = || io::Error::from(io::ErrorKind::Unsupported);
    let path = std::fs::read_link("/proc/self/exe")?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(unfit()) };
    let mut context = FsContext::open("overlay")?;
    context.set("lowerdir", &format!("{}:{OTHER_LAYER}", escaped(folder.as_os_str()).ok_or_else(unfit)?))?;
    // Said of every mount in the kernel's log where the layers have different file systems.
    context.set("xino", "off")?;
    let tree = context.mount(mount::ATTR_RDONLY | mount::ATTR_NOSUID | mount::ATTR_NODEV)?;
    let file = sys::openat2::open_in_root_plain(&tree, Path::new(name), libc::O_PATH)?;
    // Another file has that name since this program was executed, or its path means something else here.
    let (ours, found) = (sys::fs::stat(own)?, sys::fs::stat(&file)?);
    let same = (ours.size, ours.mode, ours.modified) == (found.size, found.mode, found.modified);
    if !same || !found.is_file() {
        return Err(unfit());
    }
    let token = token_of(&file)?;
    Ok((file, token))
}

/// A folder for the list of an overlay's layers; None if it is not UTF-8.
fn escaped(folder: &OsStr) -> Option<String> {
    Some(folder.to_str()?.replace('\\', "\\\\").replace(':', "\\:"))
}

fn copy(own: &File) -> Result<OwnedFd> {
    let failed = |what: &str, error: &io::Error| Error::new(Kind::Internal, format!("{what}: {error}"));
    let length = own.metadata().map_err(|error| failed("stat /proc/self/exe", &error))?.len();
    let copy = sys::fs::memfd("dockyard-runtime").map_err(|error| failed("memfd_create", &error))?;
    sys::fs::copy(own.as_fd(), copy.as_fd(), length as usize).map_err(|error| failed("copy the runtime", &error))?;
    sys::fs::seal(&copy).map_err(|error| failed("seal the copy of the runtime", &error))?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::escaped;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn what_separates_layers_is_escaped() {
        assert_eq!(escaped(OsStr::new("/usr/bin")).as_deref(), Some("/usr/bin"));
        assert_eq!(escaped(OsStr::new(r"/a:b\c")).as_deref(), Some(r"/a\:b\\c"));
        assert_eq!(escaped(OsStr::from_bytes(b"/\xff")), None);
    }
}
