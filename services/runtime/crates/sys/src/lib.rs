//! The system calls that the runtime makes: the only crate with `unsafe`.
//!
//! Every function is a thin, safe wrapper that returns `io::Error`. Descriptors are `OwnedFd` and close-on-exec
//! unless a name says otherwise.

pub mod bpf;
pub mod clone;
pub mod fs;
pub mod identity;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod openat2;
pub mod process;
pub mod socket;
pub mod tty;

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path or name for the kernel; `EINVAL` if it holds a NUL.
///
/// # Errors
/// `EINVAL` for an interior NUL.
pub fn cstring(bytes: impl AsRef<[u8]>) -> io::Result<CString> {
    CString::new(bytes.as_ref()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

pub(crate) fn cpath(path: &Path) -> io::Result<CString> {
    cstring(path.as_os_str().as_bytes())
}

pub(crate) fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

pub(crate) fn check_int(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
