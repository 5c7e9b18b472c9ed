//! Pseudo-terminals.

use crate::check_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

const TIOCSPTLCK: libc::c_ulong = 0x4004_5431;
const TIOCGPTPEER: libc::c_ulong = 0x5441;

/// Unlock a fresh master and open its other side, without a path.
///
/// # Errors
/// Those of the ioctls.
pub fn open_peer(master: impl AsFd) -> io::Result<OwnedFd> {
    let unlock: libc::c_int = 0;
    // SAFETY: the request reads one int, which outlives the call.
    check_int(unsafe { libc::ioctl(master.as_fd().as_raw_fd(), TIOCSPTLCK, std::ptr::addr_of!(unlock)) })?;
    // SAFETY: the request takes open flags as an integer.
    let peer = check_int(unsafe {
        libc::ioctl(master.as_fd().as_raw_fd(), TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)
    })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(peer) })
}

/// Make a terminal the controlling one of the caller's session.
///
/// # Errors
/// Those of the ioctl.
pub fn make_controlling(terminal: impl AsFd) -> io::Result<()> {
    // SAFETY: the request takes an integer.
    check_int(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// Set rows and columns.
///
/// # Errors
/// Those of the ioctl.
pub fn set_size(terminal: impl AsFd, height: u16, width: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads one winsize, which outlives the call.
    check_int(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, std::ptr::addr_of!(size)) })
        .map(drop)
}
