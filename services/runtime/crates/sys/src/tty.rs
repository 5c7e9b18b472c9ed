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

/// Rows and columns.
///
/// # Errors
/// `ENOTTY` if it is no terminal.
pub fn size(terminal: impl AsFd) -> io::Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request fills one winsize, which outlives the call.
    check_int(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, std::ptr::addr_of_mut!(size)) })?;
    Ok((size.ws_row, size.ws_col))
}

/// How a terminal was set.
pub struct Settings(libc::termios);

/// Let every byte pass as it is; the settings before.
///
/// # Errors
/// `ENOTTY` if it is no terminal.
pub fn make_raw(terminal: impl AsFd) -> io::Result<Settings> {
    let number = terminal.as_fd().as_raw_fd();
    let mut found = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the kernel fills the buffer, which outlives the call.
    check_int(unsafe { libc::tcgetattr(number, found.as_mut_ptr()) })?;
    // SAFETY: tcgetattr succeeded, so the buffer is initialised.
    let before = unsafe { found.assume_init() };
    let mut raw = before;
    // SAFETY: changes the structure alone.
    unsafe { libc::cfmakeraw(std::ptr::addr_of_mut!(raw)) };
    // SAFETY: the structure outlives the call.
    check_int(unsafe { libc::tcsetattr(number, libc::TCSANOW, std::ptr::addr_of!(raw)) })?;
    Ok(Settings(before))
}

/// Set a terminal as it was.
///
/// # Errors
/// Those of tcsetattr(3).
pub fn restore(terminal: impl AsFd, settings: &Settings) -> io::Result<()> {
    // SAFETY: the structure outlives the call.
    check_int(unsafe { libc::tcsetattr(terminal.as_fd().as_raw_fd(), libc::TCSANOW, std::ptr::addr_of!(settings.0)) })
        .map(drop)
}
