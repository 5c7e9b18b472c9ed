//! openat2(2): paths that belong to a container are resolved as if its rootfs were `/`.

use crate::{check, cpath};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

const RESOLVE_NO_XDEV: u64 = 0x01;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_BENEATH: u64 = 0x08;
const RESOLVE_IN_ROOT: u64 = 0x10;

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

fn openat2(directory: impl AsFd, path: &Path, flags: i32, mode: u32, resolve: u64) -> io::Result<OwnedFd> {
    let path = cpath(path)?;
    let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u64, mode: u64::from(mode), resolve };
    loop {
        // SAFETY: `path` and `how` outlive the call, and the size is that of `how`.
        let result = check(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                directory.as_fd().as_raw_fd(),
                path.as_ptr(),
                std::ptr::addr_of!(how),
                std::mem::size_of::<OpenHow>(),
            )
        });
        match result {
            // SAFETY: a new descriptor that nobody else owns.
            Ok(descriptor) => return Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) }),
            // A rename or mount elsewhere raced with the walk: the kernel asks to try again.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Open `path` inside `root`: `..` and absolute links stay inside, magic links are refused.
///
/// # Errors
/// Those of openat2(2).
pub fn open_in_root(root: impl AsFd, path: &Path, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    openat2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
}

/// As `open_in_root`, but no part of the path may be a link.
///
/// # Errors
/// Those of openat2(2); `ELOOP` for a link.
pub fn open_in_root_plain(root: impl AsFd, path: &Path, flags: i32) -> io::Result<OwnedFd> {
    openat2(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
}

/// Open a path that neither leaves `directory` nor its mount; ordinary links are followed.
///
/// # Errors
/// Those of openat2(2); `EXDEV` for whatever is mounted on the way or at its end.
pub fn open_beneath(directory: impl AsFd, path: &Path, flags: i32) -> io::Result<OwnedFd> {
    openat2(directory, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS)
}

/// Open `name` below `directory` without following any link or crossing a mount.
///
/// # Errors
/// Those of openat2(2); `ELOOP` for a link, `EXDEV` for a mount.
pub fn open_strict(directory: impl AsFd, name: &Path, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    openat2(directory, name, flags, mode, RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
}

/// Open a path of the host; the runtime's own files only.
///
/// # Errors
/// Those of open(2).
pub fn open(path: &Path, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    let path = cpath(path)?;
    // SAFETY: `path` outlives the call.
    let descriptor = crate::check_int(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, mode) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
