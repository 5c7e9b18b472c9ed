//! rtnetlink: one request, its answers.

use crate::check_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// A socket in the network namespace in which it was opened.
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Open a socket in the caller's namespace.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn open() -> io::Result<Self> {
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: plain integers.
        let socket = check_int(unsafe { libc::socket(libc::AF_NETLINK, flags, libc::NETLINK_ROUTE) })?;
        // SAFETY: a new descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(socket) }))
    }

    /// Send one message, complete with its header.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        crate::socket::send(&self.0, message)
    }

    /// One datagram of answers.
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 64 << 10];
        let length = crate::socket::receive(&self.0, &mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// The index of a network device of the caller's namespace.
///
/// # Errors
/// `ENODEV` if there is none of that name.
pub fn device_index(name: &str) -> io::Result<u32> {
    let name = crate::cstring(name)?;
    // SAFETY: `name` outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(index)
}
