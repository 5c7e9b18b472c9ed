//! bpf(2): loading and attaching a device filter to a cgroup v2 directory.

use crate::check;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// One instruction of extended BPF.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation, source and class.
    pub code: u8,
    /// Source register in the high nibble, destination in the low one.
    pub registers: u8,
    /// Of a jump in instructions, or of a memory access in bytes.
    pub offset: i16,
    /// The operand.
    pub immediate: i32,
}

#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Load a device filter.
///
/// # Errors
/// Those of bpf(2); `EINVAL` or `EACCES` from the verifier.
pub fn load_device_filter(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let attributes = LoadAttributes {
        kind: TYPE_CGROUP_DEVICE,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache".as_ptr() as u64,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes point at instructions and a license that outlive the call.
    let program = check(unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, std::ptr::addr_of!(attributes), std::mem::size_of::<LoadAttributes>())
    })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(program as i32) })
}

/// Attach a device filter to a cgroup directory; it lives as long as the cgroup.
///
/// # Errors
/// Those of bpf(2).
pub fn attach_device_filter(program: impl AsFd, cgroup: impl AsFd) -> io::Result<()> {
    let attributes = AttachAttributes {
        target: cgroup.as_fd().as_raw_fd() as u32,
        program: program.as_fd().as_raw_fd() as u32,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the attributes outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_ATTACH,
            std::ptr::addr_of!(attributes),
            std::mem::size_of::<AttachAttributes>(),
        )
    })
    .map(drop)
}
