//! setns(2) and unshare(2).

use crate::check_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// A time namespace; for unshare(2) and setns(2) alone.
pub const CLONE_NEWTIME: i32 = 0x80;
/// A mount namespace.
pub const CLONE_NEWNS: i32 = libc::CLONE_NEWNS;
/// A cgroup namespace.
pub const CLONE_NEWCGROUP: i32 = libc::CLONE_NEWCGROUP;
/// A UTS namespace.
pub const CLONE_NEWUTS: i32 = libc::CLONE_NEWUTS;
/// An IPC namespace.
pub const CLONE_NEWIPC: i32 = libc::CLONE_NEWIPC;
/// A user namespace.
pub const CLONE_NEWUSER: i32 = libc::CLONE_NEWUSER;
/// A pid namespace.
pub const CLONE_NEWPID: i32 = libc::CLONE_NEWPID;
/// A network namespace.
pub const CLONE_NEWNET: i32 = libc::CLONE_NEWNET;

/// Join the namespace behind a descriptor, or several of the process behind a pidfd.
///
/// # Errors
/// Those of setns(2).
pub fn setns(descriptor: impl AsFd, kinds: i32) -> io::Result<()> {
    // SAFETY: plain integers; the descriptor is open for the duration of the call.
    check_int(unsafe { libc::setns(descriptor.as_fd().as_raw_fd(), kinds) }).map(drop)
}

/// sethostname(2) in the caller's UTS namespace.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN there, `EINVAL` for a name that is too long.
pub fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length are those of one string.
    check_int(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// setdomainname(2) in the caller's UTS namespace.
///
/// # Errors
/// As `set_hostname`.
pub fn set_domain_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length are those of one string.
    check_int(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Create new namespaces for the calling thread.
///
/// # Errors
/// Those of unshare(2).
pub fn unshare(kinds: i32) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::unshare(kinds) }).map(drop)
}
