//! Unix sockets: a pair for parent and child, and descriptors in messages.

use crate::{check_int, cpath};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// A pair of connected packet sockets: each message arrives whole.
///
/// # Errors
/// Those of socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0_i32; 2];
    // SAFETY: the array has room for two descriptors.
    check_int(unsafe {
        libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr())
    })?;
    // SAFETY: two new descriptors that nobody else owns.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Send one message.
///
/// # Errors
/// `EPIPE` if the other end is closed; no signal is raised.
pub fn send(socket: impl AsFd, data: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of one slice.
    let sent = unsafe { libc::send(socket.as_fd().as_raw_fd(), data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Receive one message; empty when the other end is closed.
///
/// # Errors
/// Those of recv(2).
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: pointer and length are those of one slice.
        let received = unsafe { libc::recv(socket.as_fd().as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        if received >= 0 {
            return Ok(received as usize);
        }
        let error = io::Error::last_os_error();
        // A peer that closes with messages unread is reported once, before what it has sent itself: that is still there.
        if !matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset) {
            return Err(error);
        }
    }
}

/// Connect to a stream socket at a path of the host.
///
/// # Errors
/// `ENAMETOOLONG` for a path that sun_path cannot hold, and those of connect(2).
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let name = cpath(path)?;
    let bytes = name.as_bytes_with_nul();
    // SAFETY: sockaddr_un is plain data for which zero is valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    if bytes.len() > address.sun_path.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    address.sun_family = libc::AF_UNIX as u16;
    for (slot, byte) in address.sun_path.iter_mut().zip(bytes) {
        *slot = *byte as libc::c_char;
    }
    // SAFETY: plain integers.
    let socket = check_int(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: a new descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + bytes.len();
    // SAFETY: the address outlives the call, and the length lies within it.
    check_int(unsafe {
        libc::connect(socket.as_raw_fd(), std::ptr::addr_of!(address).cast(), length as libc::socklen_t)
    })?;
    Ok(socket)
}

/// Send a descriptor with a few bytes (`SCM_RIGHTS`).
///
/// # Errors
/// Those of sendmsg(2).
pub fn send_descriptor(socket: impl AsFd, descriptor: impl AsFd, data: &[u8]) -> io::Result<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptor: libc::c_int,
        padding: libc::c_int,
    }
    let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: std::mem::size_of::<libc::cmsghdr>() + std::mem::size_of::<libc::c_int>(),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        descriptor: descriptor.as_fd().as_raw_fd(),
        padding: 0,
    };
    // SAFETY: msghdr is plain data for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = std::ptr::addr_of_mut!(part);
    message.msg_iovlen = 1;
    message.msg_control = std::ptr::addr_of_mut!(control).cast();
    message.msg_controllen = std::mem::size_of::<Control>();
    // SAFETY: the message points at structures that outlive the call; the kernel does not write to `data`.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), std::ptr::addr_of!(message), libc::MSG_NOSIGNAL) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Take a descriptor that came with a message; None if there is no message, or none with a descriptor.
///
/// # Errors
/// Those of recvmsg(2).
pub fn receive_descriptor(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    match receive_message(socket, &mut [0; 4096], libc::MSG_DONTWAIT) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        other => other.map(|(_, descriptor)| descriptor),
    }
}

/// Receive one message, and the descriptor that came with it; empty when the other end is closed.
///
/// # Errors
/// Those of recvmsg(2); `EMSGSIZE` for a message that is larger than the buffer.
pub fn receive_with_descriptor(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let socket = socket.as_fd();
    loop {
        match receive_message(socket, buffer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn receive_message(socket: impl AsFd, buffer: &mut [u8], flags: i32) -> io::Result<(usize, Option<OwnedFd>)> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptor: libc::c_int,
        padding: libc::c_int,
    }
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: both structures are plain data for which zero is valid.
    let (mut control, mut message): (Control, libc::msghdr) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    message.msg_iov = std::ptr::addr_of_mut!(part);
    message.msg_iovlen = 1;
    message.msg_control = std::ptr::addr_of_mut!(control).cast();
    message.msg_controllen = std::mem::size_of::<Control>();
    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message points at structures that outlive the call.
    let received = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), std::ptr::addr_of_mut!(message), flags) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    let expected = std::mem::size_of::<libc::cmsghdr>() + std::mem::size_of::<libc::c_int>();
    let rights = message.msg_controllen >= expected
        && control.header.cmsg_level == libc::SOL_SOCKET
        && control.header.cmsg_type == libc::SCM_RIGHTS;
    // SAFETY: the kernel stored a new descriptor that nobody else owns.
    let descriptor = rights.then(|| unsafe { OwnedFd::from_raw_fd(control.descriptor) });
    // What is missing of the data of a larger message is lost; a terminal's name may be, an answer may not.
    if message.msg_flags & libc::MSG_TRUNC != 0 && flags & libc::MSG_DONTWAIT == 0 {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    Ok((received as usize, descriptor))
}
