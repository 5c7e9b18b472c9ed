//! Network devices of the host that move into the container, with their addresses (runtime-spec 1.3).

use crate::error::{describe, Context, Error, Result};
use spec::linux::NetDevice;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use sys::namespace as ns;
use sys::netlink::{device_index, Netlink};

const NEWLINK: u16 = 16;
const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;
const UP: u32 = 1;
const LINK_NAME: u16 = 3;
const LINK_NAMESPACE: u16 = 28;
const ADDRESS_LABEL: u16 = 3;
const ADDRESS_CACHE: u16 = 6;
const ADDRESS_FLAGS: u16 = 8;
const PERMANENT: u8 = 0x80;
const SCOPE_GLOBAL: u8 = 0;

/// Refuse names that the kernel would refuse.
pub(crate) fn check(devices: &BTreeMap<String, NetDevice>) -> Result<()> {
    let bad = |name: &str| {
        name.is_empty()
            || name.len() > 15
            || name == "."
            || name == ".."
            || name.bytes().any(|byte| byte == b'/' || byte == b':' || byte.is_ascii_whitespace() || byte == 0)
    };
    let mut names: Vec<&str> = Vec::new();
    for (host, device) in devices {
        let inside = if device.name.is_empty() { host } else { &device.name };
        if let Some(name) = [host, inside].into_iter().find(|name| bad(name)) {
            return Err(Error::config(format!("linux.netDevices: {name:?} is not the name of a network device")));
        }
        if names.contains(&inside.as_str()) {
            return Err(Error::config(format!("linux.netDevices: {inside:?} is given to two devices")));
        }
        names.push(inside);
        if let Err(error) = device_index(host) {
            return Err(Error::config(format!("linux.netDevices: {host:?}: {}", describe(&error))));
        }
    }
    Ok(())
}

/// Move the devices into the network namespace of a process.
pub(crate) fn move_all(devices: &BTreeMap<String, NetDevice>, pid: i32) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let open = |path: &str| sys::openat2::open(Path::new(path), libc::O_RDONLY, 0).context(|| format!("open {path}"));
    let target = open(&format!("/proc/{pid}/ns/net"))?;
    let home = open("/proc/self/ns/net")?;
    for (host, device) in devices {
        let inside = if device.name.is_empty() { host } else { &device.name };
        move_one(host, inside, &target, &home)
            .context(|| format!("linux.netDevices: move {host:?} into the container as {inside:?}"))?;
    }
    Ok(())
}

fn move_one(host: &str, inside: &str, target: &OwnedFd, home: &OwnedFd) -> io::Result<()> {
    let outer = Netlink::open()?;
    let index = device_index(host)?;
    // The kernel drops addresses on the way.
    let addresses = addresses(&outer, index)?;
    let mut link = link_header(index, 0);
    put(&mut link, LINK_NAME, &[inside.as_bytes(), &[0]].concat());
    put(&mut link, LINK_NAMESPACE, &target.as_raw_fd().to_ne_bytes());
    request(&outer, NEWLINK, ACKNOWLEDGE, &link)?;
    ns::setns(target, ns::CLONE_NEWNET)?;
    let inner = Netlink::open();
    let index = device_index(inside);
    ns::setns(home, ns::CLONE_NEWNET)?;
    let (inner, index) = (inner?, index?);
    for mut address in addresses {
        address[4..8].copy_from_slice(&index.to_ne_bytes());
        request(&inner, NEWADDR, ACKNOWLEDGE | CREATE | EXCLUSIVE, &address)?;
    }
    request(&inner, NEWLINK, ACKNOWLEDGE, &link_header(index, UP))
}

/// `struct ifinfomsg`: family and type unspecified, index, flags and which of them change.
fn link_header(index: u32, up: u32) -> Vec<u8> {
    [&[0; 4][..], &index.to_ne_bytes(), &up.to_ne_bytes(), &up.to_ne_bytes()].concat()
}

fn put(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(((value.len() + 4) as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn request(socket: &Netlink, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let header =
        [&((body.len() + 16) as u32).to_ne_bytes()[..], &kind.to_ne_bytes(), &(REQUEST | flags).to_ne_bytes(), &[0; 8]]
            .concat();
    socket.send(&[&header[..], body].concat())?;
    if flags & ACKNOWLEDGE == 0 {
        return Ok(());
    }
    for (kind, body) in messages(&socket.receive()?) {
        if kind == ERROR {
            let code = body.first_chunk::<4>().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
            return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) };
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// The messages of a datagram, as type and body.
fn messages(mut data: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some(header) = data.first_chunk::<16>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if length < 16 || length > data.len() {
            break;
        }
        found.push((u16::from_ne_bytes([header[4], header[5]]), data[16..length].to_vec()));
        data = &data[length.next_multiple_of(4).min(data.len())..];
    }
    found
}

/// The permanent, global addresses of a device, as bodies for the request that adds them.
fn addresses(socket: &Netlink, index: u32) -> io::Result<Vec<Vec<u8>>> {
    request(socket, GETADDR, DUMP, &[0; 8])?;
    let mut found = Vec::new();
    loop {
        for (kind, body) in messages(&socket.receive()?) {
            match kind {
                DONE => return Ok(found),
                NEWADDR if body.len() >= 8 => {
                    let owner = u32::from_ne_bytes([body[4], body[5], body[6], body[7]]);
                    if owner == index && body[2] & PERMANENT != 0 && body[3] == SCOPE_GLOBAL {
                        found.push(without_state(&body));
                    }
                }
                _ => {}
            }
        }
    }
}

/// An address without what only the kernel may say of it, and without the old name.
fn without_state(body: &[u8]) -> Vec<u8> {
    let mut kept = body[..8].to_vec();
    let mut rest = &body[8..];
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        if length < 4 || length > rest.len() {
            break;
        }
        let kind = u16::from_ne_bytes([rest[2], rest[3]]);
        if ![ADDRESS_LABEL, ADDRESS_CACHE, ADDRESS_FLAGS].contains(&kind) {
            put(&mut kept, kind, &rest[4..length]);
        }
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
    }
    kept
}
