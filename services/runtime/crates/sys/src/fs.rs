//! File system calls relative to descriptors.

use crate::{check_int, cpath};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device that it is on.
    pub device: u64,
    /// Number on that device.
    pub inode: u64,
    /// Device that it is, for a node.
    pub rdev: u64,
    /// In bytes.
    pub size: u64,
    /// When the content changed last, as seconds since 1970 and nanoseconds.
    pub modified: (i64, i64),
}

impl Stat {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }

    /// Whether it is the character device with these numbers.
    #[must_use]
    pub fn is_character_device(&self, major: u32, minor: u32) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFCHR && self.rdev == libc::makedev(major, minor)
    }
}

/// fstat(2).
///
/// # Errors
/// Those of fstat(2).
pub fn stat(descriptor: impl AsFd) -> io::Result<Stat> {
    let mut found = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the buffer, which outlives the call.
    check_int(unsafe { libc::fstat(descriptor.as_fd().as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so the buffer is initialised.
    let found = unsafe { found.assume_init() };
    Ok(Stat {
        mode: found.st_mode,
        uid: found.st_uid,
        gid: found.st_gid,
        device: found.st_dev,
        inode: found.st_ino,
        rdev: found.st_rdev,
        size: found.st_size.unsigned_abs(),
        modified: (found.st_mtime, found.st_mtime_nsec),
    })
}

/// The magic number of the file system behind a descriptor.
///
/// # Errors
/// Those of fstatfs(2).
pub fn filesystem_magic(descriptor: impl AsFd) -> io::Result<i64> {
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the kernel fills the buffer, which outlives the call.
    check_int(unsafe { libc::fstatfs(descriptor.as_fd().as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: fstatfs succeeded, so the buffer is initialised.
    Ok(unsafe { found.assume_init() }.f_type)
}

/// mkdirat(2).
///
/// # Errors
/// Those of mkdirat(2).
pub fn mkdir_at(directory: impl AsFd, name: &Path, mode: u32) -> io::Result<()> {
    let name = cpath(name)?;
    // SAFETY: `name` outlives the call.
    check_int(unsafe { libc::mkdirat(directory.as_fd().as_raw_fd(), name.as_ptr(), mode) }).map(drop)
}

/// mknodat(2) with a full mode (type and permissions).
///
/// # Errors
/// Those of mknodat(2).
pub fn mknod_at(directory: impl AsFd, name: &Path, mode: u32, major: u32, minor: u32) -> io::Result<()> {
    let name = cpath(name)?;
    // SAFETY: `name` outlives the call.
    check_int(unsafe { libc::mknodat(directory.as_fd().as_raw_fd(), name.as_ptr(), mode, libc::makedev(major, minor)) })
        .map(drop)
}

/// symlinkat(2).
///
/// # Errors
/// Those of symlinkat(2).
pub fn symlink_at(target: &Path, directory: impl AsFd, name: &Path) -> io::Result<()> {
    let (target, name) = (cpath(target)?, cpath(name)?);
    // SAFETY: both strings outlive the call.
    check_int(unsafe { libc::symlinkat(target.as_ptr(), directory.as_fd().as_raw_fd(), name.as_ptr()) }).map(drop)
}

/// readlinkat(2).
///
/// # Errors
/// Those of readlinkat(2).
pub fn read_link_at(directory: impl AsFd, name: &Path) -> io::Result<Vec<u8>> {
    let name = cpath(name)?;
    let mut buffer = vec![0_u8; 4096];
    // SAFETY: the buffer has the length that is passed.
    let length = unsafe {
        libc::readlinkat(directory.as_fd().as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
    };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    buffer.truncate(length as usize);
    Ok(buffer)
}

/// Open what is behind an `O_PATH` descriptor for reading or writing.
///
/// # Errors
/// Those of open(2) on /proc/self/fd.
pub fn reopen(descriptor: impl AsFd, flags: i32) -> io::Result<OwnedFd> {
    crate::openat2::open(Path::new(&format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())), flags, 0)
}

/// The names in the directory behind a descriptor, without `.` and `..`.
///
/// # Errors
/// Those of reading a directory through /proc/self/fd.
pub fn names_in(directory: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    use std::os::unix::ffi::OsStringExt;
    std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()))?
        .map(|entry| Ok(entry?.file_name().into_vec()))
        .collect()
}

/// The names of the directories in the directory behind a descriptor.
///
/// # Errors
/// Those of reading a directory through /proc/self/fd.
pub fn directories_in(directory: impl AsFd) -> io::Result<Vec<std::ffi::OsString>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.file_name());
        }
    }
    Ok(found)
}

/// What a descriptor's file is called now, as seen from the caller's root.
///
/// # Errors
/// Those of readlink(2) on /proc/self/fd.
pub fn path_of(descriptor: impl AsFd) -> io::Result<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd()))
}

/// unlinkat(2) of a file.
///
/// # Errors
/// Those of unlinkat(2).
pub fn unlink_at(directory: impl AsFd, name: &Path) -> io::Result<()> {
    let name = cpath(name)?;
    // SAFETY: `name` outlives the call.
    check_int(unsafe { libc::unlinkat(directory.as_fd().as_raw_fd(), name.as_ptr(), 0) }).map(drop)
}

/// unlinkat(2) of an empty directory.
///
/// # Errors
/// Those of unlinkat(2).
pub fn remove_directory_at(directory: impl AsFd, name: &Path) -> io::Result<()> {
    let name = cpath(name)?;
    // SAFETY: `name` outlives the call.
    check_int(unsafe { libc::unlinkat(directory.as_fd().as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) }).map(drop)
}

/// Give the file of that name an owner, without following a link.
///
/// # Errors
/// Those of fchownat(2).
pub fn chown_at(directory: impl AsFd, name: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let name = cpath(name)?;
    // SAFETY: `name` outlives the call.
    check_int(unsafe {
        libc::fchownat(directory.as_fd().as_raw_fd(), name.as_ptr(), uid, gid, libc::AT_SYMLINK_NOFOLLOW)
    })
    .map(drop)
}

/// fchmodat(2) of what is behind a descriptor, which may be of `O_PATH`.
///
/// # Errors
/// Those of fchmodat(2) through /proc/self/fd.
pub fn chmod(descriptor: impl AsFd, mode: u32) -> io::Result<()> {
    let path = crate::cstring(format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd()))?;
    // SAFETY: `path` outlives the call.
    check_int(unsafe { libc::chmod(path.as_ptr(), mode) }).map(drop)
}

/// fchown(2).
///
/// # Errors
/// Those of fchown(2).
pub fn chown(descriptor: impl AsFd, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::fchown(descriptor.as_fd().as_raw_fd(), uid, gid) }).map(drop)
}

/// A FIFO at a path of the host.
///
/// # Errors
/// Those of mkfifo(3).
pub fn mkfifo(path: &Path, mode: u32) -> io::Result<()> {
    let path = cpath(path)?;
    // SAFETY: `path` outlives the call.
    check_int(unsafe { libc::mkfifo(path.as_ptr(), mode) }).map(drop)
}

/// chdir(2) by descriptor.
///
/// # Errors
/// Those of fchdir(2).
pub fn change_directory(descriptor: impl AsFd) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::fchdir(descriptor.as_fd().as_raw_fd()) }).map(drop)
}

/// Whether the caller's effective identity may execute the file behind a descriptor.
#[must_use]
pub fn may_execute(directory: impl AsFd, path: &Path) -> bool {
    let Ok(path) = cpath(path) else { return false };
    // SAFETY: `path` outlives the call.
    unsafe { libc::faccessat(directory.as_fd().as_raw_fd(), path.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}

/// Wait without a time limit until a descriptor is readable.
///
/// # Errors
/// Those of poll(2).
pub fn wait_readable(descriptor: impl AsFd) -> io::Result<()> {
    let mut entry = libc::pollfd { fd: descriptor.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one valid pollfd.
        match check_int(unsafe { libc::poll(std::ptr::addr_of_mut!(entry), 1, -1) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

/// Wait at most `milliseconds` until a descriptor is readable; false if it is not.
///
/// # Errors
/// Those of poll(2).
pub fn wait_readable_for(descriptor: impl AsFd, milliseconds: i32) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: descriptor.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    match check_int(unsafe { libc::poll(std::ptr::addr_of_mut!(entry), 1, milliseconds) }) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        result => result.map(|ready| ready > 0),
    }
}

/// Wait at most `milliseconds` until a file of the kernel that announces changes (such as `cgroup.events`) has changed
/// since it was last read; false if it has not.
///
/// # Errors
/// Those of poll(2).
pub fn wait_changed_for(descriptor: impl AsFd, milliseconds: i32) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: descriptor.as_fd().as_raw_fd(), events: libc::POLLPRI, revents: 0 };
    // SAFETY: one valid pollfd.
    match check_int(unsafe { libc::poll(std::ptr::addr_of_mut!(entry), 1, milliseconds) }) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        result => result.map(|ready| ready > 0),
    }
}

/// flock(2), exclusive, waiting.
///
/// # Errors
/// Those of flock(2).
pub fn lock(descriptor: impl AsFd) -> io::Result<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::flock(descriptor.as_fd().as_raw_fd(), libc::LOCK_EX) }).map(drop)
}

/// A memory file that can be sealed.
///
/// # Errors
/// Those of memfd_create(2).
pub fn memfd(name: &str) -> io::Result<OwnedFd> {
    let name = crate::cstring(name)?;
    // SAFETY: `name` outlives the call.
    let descriptor =
        check_int(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Copy `length` bytes between files inside the kernel.
///
/// # Errors
/// Those of sendfile(2); `UnexpectedEof` when the source is shorter.
pub fn copy(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        // SAFETY: plain integers and a null offset.
        let copied =
            unsafe { libc::sendfile(to.as_fd().as_raw_fd(), from.as_fd().as_raw_fd(), std::ptr::null_mut(), left) };
        match copied {
            -1 => return Err(io::Error::last_os_error()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => left -= copied as usize,
        }
    }
    Ok(())
}

const SEALS: i32 = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// How often a seal is tried while the kernel holds pages of the file; it waits for them by itself, about 0.2 s each time.
const SEAL_TRIES: u32 = 20;

/// Forbid every later change of a memory file, of its seals too.
///
/// # Errors
/// Those of fcntl(2); `EBUSY` where others keep pages of the file, for writing perhaps.
pub fn seal(descriptor: impl AsFd) -> io::Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        // SAFETY: plain integers.
        match check_int(unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_ADD_SEALS, SEALS) }) {
            // Under pressure the kernel itself holds pages for a while, to move them for instance.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < SEAL_TRIES => {}
            result => return result.map(drop),
        }
    }
}

/// Whether `seal` was called on it; false for any file that is no memory file.
#[must_use]
pub fn sealed(descriptor: impl AsFd) -> bool {
    // SAFETY: plain integers.
    let found = unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_GET_SEALS) };
    found >= 0 && found & SEALS == SEALS
}

/// Wait until any of the descriptors is readable or at its end; which ones.
///
/// # Errors
/// Those of poll(2).
pub fn wait_any(descriptors: &[Option<std::os::fd::BorrowedFd<'_>>]) -> io::Result<Vec<bool>> {
    wait_any_for(descriptors, -1)
}

/// As `wait_any`, at most `milliseconds` (-1 for no limit); nothing is ready when the time is over.
///
/// # Errors
/// Those of poll(2).
pub fn wait_any_for(descriptors: &[Option<std::os::fd::BorrowedFd<'_>>], milliseconds: i32) -> io::Result<Vec<bool>> {
    let number = |each: &Option<std::os::fd::BorrowedFd<'_>>| each.map_or(-1, |each| each.as_raw_fd());
    let mut entries: Vec<libc::pollfd> =
        descriptors.iter().map(|each| libc::pollfd { fd: number(each), events: libc::POLLIN, revents: 0 }).collect();
    loop {
        // SAFETY: pointer and length are those of one vector.
        match check_int(unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, milliseconds) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(entries.iter().map(|each| each.revents != 0).collect()),
        }
    }
}

/// A counter that the kernel raises, for notifications of cgroup v1.
///
/// # Errors
/// Those of eventfd(2).
pub fn event_counter() -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let descriptor = check_int(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A descriptor that is readable when a file was modified.
///
/// # Errors
/// Those of inotify_init1(2) and inotify_add_watch(2).
pub fn watch_modified(path: &Path) -> io::Result<OwnedFd> {
    let path = cpath(path)?;
    // SAFETY: plain integers.
    let descriptor = check_int(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
    // SAFETY: a new descriptor that nobody else owns.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // SAFETY: `path` outlives the call.
    check_int(unsafe { libc::inotify_add_watch(descriptor.as_raw_fd(), path.as_ptr(), libc::IN_MODIFY) })?;
    Ok(descriptor)
}

/// One write(2), for those who must not use another call.
///
/// # Errors
/// Those of write(2).
pub fn write(descriptor: impl AsFd, data: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of one slice.
    let written = unsafe { libc::write(descriptor.as_fd().as_raw_fd(), data.as_ptr().cast(), data.len()) };
    if written < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// One read(2).
///
/// # Errors
/// Those of read(2).
pub fn read(descriptor: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one slice.
    let length = unsafe { libc::read(descriptor.as_fd().as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(length as usize)
}
