//! Processes: signals, waiting, exec, descriptors that stay open.

use crate::{check, check_int, cstring};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

pub use libc::{SIGCHLD, SIGCONT, SIGKILL, SIGTERM};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By exit(2), with its status.
    Code(i32),
    /// By a signal, its number.
    Signal(i32),
}

impl Ended {
    /// The code that a shell would report: 128 and the signal for a killed process.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// kill(2).
///
/// # Errors
/// Those of kill(2).
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// pidfd_open(2).
///
/// # Errors
/// `ESRCH` if there is no such process.
pub fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let descriptor = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

/// pidfd_send_signal(2): cannot hit another process that got the same pid.
///
/// # Errors
/// `ESRCH` if the process has ended.
pub fn signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    // SAFETY: plain integers and a null pointer.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<libc::c_void>(),
            0,
        )
    })
    .map(drop)
}

/// Wait for a child; with -1 for any. None if `block` is false and none has ended.
///
/// # Errors
/// `ECHILD` if there is no child.
pub fn wait(pid: i32, block: bool) -> io::Result<Option<(i32, Ended)>> {
    let mut status = 0;
    loop {
        // SAFETY: the status outlives the call.
        let result =
            unsafe { libc::waitpid(pid, std::ptr::addr_of_mut!(status), if block { 0 } else { libc::WNOHANG }) };
        match result {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            0 => return Ok(None),
            ended => {
                let how = if libc::WIFEXITED(status) {
                    Ended::Code(libc::WEXITSTATUS(status))
                } else {
                    Ended::Signal(libc::WTERMSIG(status))
                };
                return Ok(Some((ended, how)));
            }
        }
    }
}

/// Replace this process by a program. Returns only on failure.
#[must_use]
pub fn execute(path: &CString, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| {
        strings.iter().map(|each| each.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with null and point at strings that live in the caller's frame.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Replace this process by the program behind a descriptor. Returns only on failure.
#[must_use]
pub fn execute_descriptor(descriptor: impl AsFd, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| {
        strings.iter().map(|each| each.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with null and point at strings that live in the caller's frame.
    unsafe { libc::fexecve(descriptor.as_fd().as_raw_fd(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Strings for `execute`.
///
/// # Errors
/// `EINVAL` for an interior NUL.
pub fn cstrings<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> io::Result<Vec<CString>> {
    strings.into_iter().map(cstring).collect()
}

/// Close every descriptor from `first` on but those of `kept`, which are closed on exec. For the child of a clone, shortly
/// before it executes a program: owners of closed descriptors must neither be used nor dropped afterwards.
///
/// # Errors
/// Those of close_range(2).
pub fn close_from(first: u32, kept: &[RawFd]) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    let range = |from: u32, to: u32, flags: u32| {
        // SAFETY: plain integers; by the contract nobody uses what is closed.
        check(unsafe { libc::syscall(libc::SYS_close_range, from, to, flags) }).map(drop)
    };
    let mut kept: Vec<u32> = kept.iter().filter_map(|each| u32::try_from(*each).ok()).collect();
    kept.sort_unstable();
    let mut from = first;
    for each in kept.into_iter().filter(|each| *each >= first) {
        if from < each {
            range(from, each - 1, 0)?;
        }
        range(each, each, CLOSE_RANGE_CLOEXEC)?;
        from = each + 1;
    }
    range(from, u32::MAX, 0)
}

/// Duplicate a descriptor onto a number, which stays open over exec.
///
/// # Errors
/// Those of dup2(2).
pub fn duplicate_onto(descriptor: impl AsFd, number: i32) -> io::Result<()> {
    // SAFETY: plain integers; the caller gives up whatever `number` was.
    check_int(unsafe { libc::dup2(descriptor.as_fd().as_raw_fd(), number) }).map(drop)
}

/// setsid(2).
///
/// # Errors
/// `EPERM` for a process group leader.
pub fn new_session() -> io::Result<()> {
    // SAFETY: no arguments.
    check_int(unsafe { libc::setsid() }).map(drop)
}

/// Set every signal to its default action and unblock all: what a container's process should find.
pub fn reset_signals() {
    for number in 1..=64 {
        // SAFETY: SIG_DFL is a valid disposition; the calls for SIGKILL and SIGSTOP fail harmlessly.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    let mut empty = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set.
    unsafe { libc::sigemptyset(empty.as_mut_ptr()) };
    // SAFETY: the set is initialised and outlives the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, empty.as_ptr(), std::ptr::null_mut()) };
}

/// Block every signal; they are read with `next_signal`.
pub fn block_signals() {
    let mut full = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set.
    unsafe { libc::sigfillset(full.as_mut_ptr()) };
    // SAFETY: the set is initialised and outlives the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, full.as_ptr(), std::ptr::null_mut()) };
}

/// fork(2) of a process with one thread: 0 in the child.
///
/// # Errors
/// Those of fork(2).
pub fn fork() -> io::Result<i32> {
    // SAFETY: the callers have one thread, so the child finds consistent memory.
    check_int(unsafe { libc::fork() })
}

/// End at once, without destructors: for the child of a clone.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}

/// The pid of the caller in its own namespace.
#[must_use]
pub fn own_pid() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getpid() }
}

/// The effective uid of the caller.
#[must_use]
pub fn effective_uid() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() }
}

/// Take over an open descriptor by its number, as inherited from the caller.
///
/// # Errors
/// `EBADF` if it is not open.
pub fn adopt(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: it is open, and the caller hands it over.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether a descriptor is open and came with the execution of this program: all others are close-on-exec.
#[must_use]
pub fn inherited(number: i32) -> bool {
    // SAFETY: plain integers.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Whether a descriptor, by its number, is the null device.
#[must_use]
pub fn is_null_device(number: RawFd) -> bool {
    // SAFETY: borrowed for the call alone; a number that is not open is an error of the call.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    crate::fs::stat(descriptor).is_ok_and(|stat| stat.is_character_device(1, 3))
}

/// Whether a descriptor was opened for writing.
#[must_use]
pub fn writable(descriptor: impl AsFd) -> bool {
    // SAFETY: plain integers.
    let flags = unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_GETFL) };
    flags >= 0 && matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR)
}

/// Leave a descriptor open over exec.
///
/// # Errors
/// Those of fcntl(2).
pub fn keep_on_exec(number: i32) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::fcntl(number, libc::F_SETFD, 0) }).map(drop)
}

/// Give a terminal's foreground to a process group.
///
/// # Errors
/// `ENOTTY` if it is no terminal.
pub fn set_foreground(terminal: impl AsFd, group: i32) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::tcsetpgrp(terminal.as_fd().as_raw_fd(), group) }).map(drop)
}

/// setpgid(2).
///
/// # Errors
/// Those of setpgid(2).
pub fn set_process_group(pid: i32, group: i32) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::setpgid(pid, group) }).map(drop)
}

/// The current time, as seconds since 1970 and nanoseconds.
#[must_use]
pub fn now() -> (i64, i64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, std::ptr::addr_of_mut!(time)) };
    (time.tv_sec, time.tv_nsec)
}

/// Seconds since 1970 as year, month, day, hour, minute, second of UTC.
#[must_use]
pub fn utc(seconds: i64) -> (i32, i32, i32, i32, i32, i32) {
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both structures outlive the call.
    unsafe { libc::gmtime_r(std::ptr::addr_of!(seconds), parts.as_mut_ptr()) };
    // SAFETY: zeroed is a valid `tm`, and gmtime_r filled it.
    let parts = unsafe { parts.assume_init() };
    (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec)
}

/// The effective gid of the caller.
#[must_use]
pub fn effective_gid() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::getegid() }
}

/// Whether the caller is in the user namespace that the kernel booted with.
#[must_use]
pub fn in_first_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// A descriptor that reads every blocked signal.
///
/// # Errors
/// Those of signalfd(2).
pub fn signal_descriptor() -> io::Result<OwnedFd> {
    let mut full = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set.
    unsafe { libc::sigfillset(full.as_mut_ptr()) };
    // SAFETY: the set is initialised and outlives the call.
    let descriptor = check_int(unsafe { libc::signalfd(-1, full.as_ptr(), libc::SFD_CLOEXEC) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Wait for the next signal of a signal descriptor; its number.
///
/// # Errors
/// Those of read(2).
pub fn read_signal(descriptor: impl AsFd) -> io::Result<i32> {
    let mut found = std::mem::MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let length = std::mem::size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer has the length that is passed.
    let read = unsafe { libc::read(descriptor.as_fd().as_raw_fd(), found.as_mut_ptr().cast(), length) };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain data, for which zero is valid.
    Ok(unsafe { found.assume_init() }.ssi_signo as i32)
}

/// A copy of another process's descriptor (pidfd_getfd(2)).
///
/// # Errors
/// `EPERM` if the caller may not trace the process, `EBADF` if it has no such descriptor.
pub fn take_descriptor(pidfd: impl AsFd, number: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let descriptor = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_fd().as_raw_fd(), number, 0) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

/// Wait for the next blocked signal; its number.
///
/// # Errors
/// Those of sigwaitinfo(2).
pub fn next_signal() -> io::Result<i32> {
    let mut full = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set.
    unsafe { libc::sigfillset(full.as_mut_ptr()) };
    // SAFETY: the set is initialised; a null info is allowed.
    check_int(unsafe { libc::sigwaitinfo(full.as_ptr(), std::ptr::null_mut()) })
}

/// set_mempolicy(2) for the calling process, with a mask of node numbers.
///
/// # Errors
/// `EINVAL` for nodes that do not exist or a mode that does not fit them.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> io::Result<()> {
    // The kernel takes one bit less than it is told.
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
    let pointer = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: the mask has the length that is passed, and outlives the call.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) }).map(drop)
}

/// Close a descriptor by its number: for the child of a clone, as `close_from`.
pub fn close(number: RawFd) {
    // SAFETY: plain integer; by the contract nobody uses what is closed.
    unsafe { libc::close(number) };
}
