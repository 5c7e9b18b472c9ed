//! Who a process is and what it may do: ids, capabilities, limits, seccomp, labels.

use crate::{check, check_int};
use std::io;

pub use libc::{rlim_t, RLIM_INFINITY};

/// Become `uid` (real, effective, saved).
///
/// # Errors
/// Those of setresuid(2).
pub fn set_uid(uid: u32) -> io::Result<()> {
    // The raw call, because the C library would signal other threads; the runtime has none.
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Become group `gid` (real, effective, saved).
///
/// # Errors
/// Those of setresgid(2).
pub fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// Replace the supplementary groups.
///
/// # Errors
/// Those of setgroups(2).
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: pointer and length are those of one slice.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// umask(2).
pub fn set_umask(mask: u32) {
    // SAFETY: plain integer; cannot fail.
    unsafe { libc::umask(mask) };
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Set the effective, permitted and inheritable sets, as masks of capability numbers.
///
/// # Errors
/// Those of capset(2).
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> io::Result<()> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let part = |shift: u32| CapabilityData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [part(0), part(32)];
    // SAFETY: version 3 reads two data elements; both structures outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, std::ptr::addr_of!(header), data.as_ptr()) }).map(drop)
}

/// The permitted capabilities of the caller, as a mask.
///
/// # Errors
/// Those of capget(2).
pub fn permitted_capabilities() -> io::Result<u64> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: version 3 writes two data elements; both structures outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capget, std::ptr::addr_of!(header), data.as_mut_ptr()) })?;
    Ok(u64::from(data[0].permitted) | u64::from(data[1].permitted) << 32)
}

/// Take one capability out of the bounding set.
///
/// # Errors
/// `EINVAL` for a number that the kernel does not know.
pub fn drop_bounding(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0)
}

/// Whether the bounding set holds a capability.
#[must_use]
pub fn in_bounding(capability: u32) -> bool {
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, u64::from(capability), 0, 0, 0) == 1 }
}

/// Empty the ambient set.
///
/// # Errors
/// Those of prctl(2).
pub fn clear_ambient() -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0)
}

/// Add one capability to the ambient set.
///
/// # Errors
/// `EPERM` if it is not permitted and inheritable.
pub fn raise_ambient(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, u64::from(capability))
}

/// Keep the permitted set over the change of the uid.
///
/// # Errors
/// Those of prctl(2).
pub fn keep_capabilities(keep: bool) -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, u64::from(keep), 0)
}

/// No program executed from now on gains privileges.
///
/// # Errors
/// Those of prctl(2).
pub fn set_no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// Whether others may trace this process and open its files in /proc.
///
/// # Errors
/// Those of prctl(2).
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, u64::from(dumpable), 0)
}

/// The signal that this process gets when its parent ends; 0 for none.
///
/// # Errors
/// Those of prctl(2).
pub fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as u64, 0)
}

/// Inherit orphaned descendants.
///
/// # Errors
/// Those of prctl(2).
pub fn become_subreaper() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0)
}

fn prctl(option: i32, first: u64, second: u64) -> io::Result<()> {
    // SAFETY: none of the options used here takes a pointer.
    check_int(unsafe { libc::prctl(option, first, second, 0, 0) }).map(drop)
}

/// prlimit(2) of the calling process.
///
/// # Errors
/// `EPERM` where the hard limit would be raised without CAP_SYS_RESOURCE.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure outlives the call.
    check_int(unsafe { libc::setrlimit(resource as _, std::ptr::addr_of!(limit)) }).map(drop)
}

/// The hard limit of a resource.
///
/// # Errors
/// Those of getrlimit(2).
pub fn hard_limit(resource: u32) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call.
    check_int(unsafe { libc::getrlimit(resource as _, std::ptr::addr_of_mut!(limit)) })?;
    Ok(limit.rlim_max)
}

/// One instruction of classic BPF, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockFilter {
    /// Operation.
    pub code: u16,
    /// Instructions to skip where the condition holds.
    pub jt: u8,
    /// Instructions to skip where it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// Install a seccomp filter; with a listener flag the result is its descriptor.
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN and no_new_privs, `EINVAL` for an unknown flag.
pub fn install_filter(filter: &[SockFilter], flags: u32) -> io::Result<i32> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const SockFilter,
    }
    let length = u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = Program { length, filter: filter.as_ptr() };
    // SAFETY: the program points at `length` instructions that outlive the call.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::addr_of!(program))
    })
    .map(|result| result as i32)
}

/// Join a new session keyring of that name, so that the container does not see the caller's keys.
///
/// # Errors
/// `ENOSYS` on kernels without keys.
pub fn join_session_keyring(name: &str) -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    let name = crate::cstring(name)?;
    // SAFETY: `name` outlives the call.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr(), 0, 0, 0) }).map(drop)
}

/// personality(2).
///
/// # Errors
/// Those of personality(2).
pub fn set_personality(persona: u64) -> io::Result<()> {
    // SAFETY: plain integer.
    check_int(unsafe { libc::personality(persona) }).map(drop)
}

/// ioprio_set(2) for the calling process.
///
/// # Errors
/// Those of ioprio_set(2).
pub fn set_io_priority(class: i32, level: i32) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, (class << 13) | level) }).map(drop)
}

/// The arguments of sched_setattr(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Scheduling {
    /// Of the structure, in bytes.
    pub size: u32,
    /// `SCHED_…`.
    pub policy: u32,
    /// `SCHED_FLAG_…`.
    pub flags: u64,
    /// For SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// For SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// For SCHED_DEADLINE, nanoseconds.
    pub runtime: u64,
    /// For SCHED_DEADLINE, nanoseconds.
    pub deadline: u64,
    /// For SCHED_DEADLINE, nanoseconds.
    pub period: u64,
}

/// sched_setattr(2) for the calling process.
///
/// # Errors
/// `EPERM` without CAP_SYS_NICE for real-time policies, `EINVAL` for values out of range.
pub fn set_scheduling(wanted: Scheduling) -> io::Result<()> {
    let wanted = Scheduling { size: std::mem::size_of::<Scheduling>() as u32, ..wanted };
    // SAFETY: the structure outlives the call and says its size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::addr_of!(wanted), 0) }).map(drop)
}

/// Run the calling process on these CPUs only.
///
/// # Errors
/// `EINVAL` if none of them exists.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain data for which zero is valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the number was checked against the size of the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: the set outlives the call.
    check_int(unsafe { libc::sched_setaffinity(0, std::mem::size_of::<libc::cpu_set_t>(), std::ptr::addr_of!(set)) })
        .map(drop)
}
