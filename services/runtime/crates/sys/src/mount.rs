//! The mount API by descriptors (Linux 5.12 and later) and pivot_root(2).
//!
//! Where the kernel, or a filter around us, does not have it, `staged` does the same with mount(2), once a process with a
//! mount namespace of its own has named a place for it. Callers see no difference.

mod staged;

pub use staged::prepare as prepare_stage;

use crate::{check, check_int, cpath, cstring};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

const OPEN_TREE_CLONE: u32 = 1;
const AT_EMPTY_PATH: u32 = 0x1000;
const AT_RECURSIVE: u32 = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

/// Read-only.
pub const ATTR_RDONLY: u64 = 0x01;
/// Ignore set-user-id bits and file capabilities.
pub const ATTR_NOSUID: u64 = 0x02;
/// No access to devices.
pub const ATTR_NODEV: u64 = 0x04;
/// No execution.
pub const ATTR_NOEXEC: u64 = 0x08;
/// Mask of the ways to keep access times.
pub const ATTR_ATIME: u64 = 0x70;
/// Access times where they are older than the modification.
pub const ATTR_RELATIME: u64 = 0x00;
/// No access times.
pub const ATTR_NOATIME: u64 = 0x10;
/// Access times always.
pub const ATTR_STRICTATIME: u64 = 0x20;
/// No access times of directories.
pub const ATTR_NODIRATIME: u64 = 0x80;
/// Ids mapped by a user namespace.
pub const ATTR_IDMAP: u64 = 0x0010_0000;
/// Symbolic links are not followed.
pub const ATTR_NOSYMFOLLOW: u64 = 0x0020_0000;

pub use libc::{
    MS_BIND, MS_DIRSYNC, MS_I_VERSION, MS_LAZYTIME, MS_MANDLOCK, MS_PRIVATE, MS_REC, MS_SHARED, MS_SILENT, MS_SLAVE,
    MS_SYNCHRONOUS, MS_UNBINDABLE,
};

/// fsconfig(2) takes values of up to 255 bytes.
const LONGEST_VALUE: usize = 255;

/// A file system being configured.
pub struct FsContext {
    kind: String,
    words: Vec<(String, Option<String>)>,
    /// None where mount(2) will be used.
    context: Option<OwnedFd>,
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// A detached copy of the mount (or tree of mounts) at `at`.
///
/// # Errors
/// Those of open_tree(2).
pub fn clone_tree(at: impl AsFd, recursive: bool) -> io::Result<OwnedFd> {
    if !staged::newer_calls() {
        return staged::bind(at.as_fd(), recursive);
    }
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the empty path is a static C string; the descriptor is open.
    let tree = check(unsafe { libc::syscall(libc::SYS_open_tree, at.as_fd().as_raw_fd(), c"".as_ptr(), flags) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(tree as i32) })
}

/// Attach a detached mount on the very file or directory behind `target`: no path is walked.
///
/// # Errors
/// Those of move_mount(2).
pub fn attach(tree: impl AsFd, target: impl AsFd) -> io::Result<()> {
    if staged::is_staged(tree.as_fd()) {
        return staged::attach(tree.as_fd(), target.as_fd());
    }
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: the empty paths are static C strings; both descriptors are open.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            target.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
        )
    })
    .map(drop)
}

/// Change attributes (`ATTR_…`) and propagation (`MS_…`, 0 for none) of the mount behind a descriptor.
///
/// # Errors
/// Those of mount_setattr(2).
pub fn set_attributes(
    at: impl AsFd,
    set: u64,
    clear: u64,
    propagation: u64,
    userns: Option<&OwnedFd>,
    recursive: bool,
) -> io::Result<()> {
    if !staged::newer_calls() {
        return match userns {
            None => staged::set_attributes(at.as_fd(), set, clear, propagation, recursive),
            // mount(2) knows nothing of it.
            Some(_) => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        };
    }
    let attributes =
        MountAttr { set, clear, propagation, userns: userns.map_or(0, |namespace| namespace.as_raw_fd() as u64) };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: `attributes` outlives the call and has the size that is passed; the empty path is static.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::addr_of!(attributes),
            std::mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

impl FsContext {
    /// Begin a new file system of a type.
    ///
    /// # Errors
    /// `ENODEV` for an unknown type.
    pub fn open(kind: &str) -> io::Result<Self> {
        let mut found = Self { kind: kind.into(), words: Vec::new(), context: None };
        if staged::newer_calls() {
            let kind = cstring(kind)?;
            // SAFETY: `kind` outlives the call.
            let context = check(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 1) })?;
            // SAFETY: a new descriptor that nobody else owns.
            found.context = Some(unsafe { OwnedFd::from_raw_fd(context as i32) });
        }
        Ok(found)
    }

    /// Begin to change the file system of the mount behind a descriptor.
    ///
    /// # Errors
    /// Those of fspick(2).
    pub fn reconfigure(place: impl AsFd) -> io::Result<Self> {
        const FSPICK_CLOEXEC: u32 = 1;
        const FSPICK_EMPTY_PATH: u32 = 8;
        let flags = FSPICK_CLOEXEC | FSPICK_EMPTY_PATH;
        // SAFETY: the empty path is static.
        let context =
            check(unsafe { libc::syscall(libc::SYS_fspick, place.as_fd().as_raw_fd(), c"".as_ptr(), flags) })?;
        // SAFETY: a new descriptor that nobody else owns.
        let context = unsafe { OwnedFd::from_raw_fd(context as i32) };
        Ok(Self { kind: String::new(), words: Vec::new(), context: Some(context) })
    }

    /// Put the changes of `reconfigure` in force.
    ///
    /// # Errors
    /// Those of the file system; `EINVAL` for a value that is too long.
    pub fn apply(self) -> io::Result<()> {
        const FSCONFIG_CMD_RECONFIGURE: u32 = 7;
        if self.context.is_none() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.config(FSCONFIG_CMD_RECONFIGURE, std::ptr::null(), std::ptr::null())
    }

    /// Set an option with a value.
    ///
    /// # Errors
    /// `EINVAL` for an option that the file system does not know.
    pub fn set(&mut self, key: &str, value: &str) -> io::Result<()> {
        self.words.push((key.into(), Some(value.into())));
        if value.len() > LONGEST_VALUE {
            self.context = None;
        }
        let (key, value) = (cstring(key)?, cstring(value)?);
        self.config(FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())
    }

    /// Set an option without a value.
    ///
    /// # Errors
    /// `EINVAL` for an option that the file system does not know.
    pub fn flag(&mut self, key: &str) -> io::Result<()> {
        self.words.push((key.into(), None));
        let key = cstring(key)?;
        self.config(FSCONFIG_SET_FLAG, key.as_ptr(), std::ptr::null())
    }

    /// Create the file system and a detached mount of it.
    ///
    /// # Errors
    /// Those of the file system's mount.
    pub fn mount(self, attributes: u64) -> io::Result<OwnedFd> {
        let Some(context) = &self.context else { return staged::filesystem(&self.kind, &self.words, attributes) };
        self.config(FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())?;
        // SAFETY: plain integers; the descriptor is open.
        let mount = check(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, attributes as u32) })?;
        // SAFETY: a new descriptor that nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(mount as i32) })
    }

    fn config(&self, command: u32, key: *const libc::c_char, value: *const libc::c_char) -> io::Result<()> {
        let Some(context) = &self.context else { return Ok(()) };
        // SAFETY: the strings are null or live in the caller's frame for the duration of the call.
        check(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0) }).map(drop)
    }
}

/// Change the propagation of the mount at a path.
///
/// # Errors
/// Those of mount(2).
pub fn set_propagation(path: &Path, flags: u64) -> io::Result<()> {
    let path = cpath(path)?;
    // SAFETY: `path` outlives the call; null pointers are allowed for the rest.
    check_int(unsafe { libc::mount(std::ptr::null(), path.as_ptr(), std::ptr::null(), flags, std::ptr::null()) })
        .map(drop)
}

/// Detach the mount at a path of the host.
///
/// # Errors
/// Those of umount2(2).
pub fn unmount(path: &Path) -> io::Result<()> {
    let path = cpath(path)?;
    // SAFETY: `path` outlives the call.
    check_int(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Make the current directory the root, and drop the old root.
///
/// # Errors
/// Those of pivot_root(2) and umount2(2).
pub fn pivot_into_cwd() -> io::Result<()> {
    let old = crate::openat2::open(Path::new("/"), libc::O_PATH | libc::O_DIRECTORY, 0)?;
    // SAFETY: static C strings. Old and new root may be the same directory: the old one ends on top (pivot_root(2)).
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // The current directory is still the new root, whose propagation is not ours to change.
    crate::fs::change_directory(&old)?;
    drop(old);
    // Otherwise unmounting would propagate to the host.
    // SAFETY: static C strings and null pointers.
    check_int(unsafe {
        libc::mount(std::ptr::null(), c".".as_ptr(), std::ptr::null(), libc::MS_SLAVE | libc::MS_REC, std::ptr::null())
    })?;
    // SAFETY: a static C string.
    check_int(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    // SAFETY: a static C string.
    check_int(unsafe { libc::chdir(c"/".as_ptr()) }).map(drop)
}

/// `--no-pivot`: move the new root over `/` and chroot into it.
///
/// # Errors
/// Those of mount(2) and chroot(2).
pub fn move_into_cwd() -> io::Result<()> {
    // SAFETY: static C strings and null pointers.
    check_int(unsafe { libc::mount(c".".as_ptr(), c"/".as_ptr(), std::ptr::null(), libc::MS_MOVE, std::ptr::null()) })?;
    // SAFETY: a static C string.
    check_int(unsafe { libc::chroot(c".".as_ptr()) })?;
    // SAFETY: a static C string.
    check_int(unsafe { libc::chdir(c"/".as_ptr()) }).map(drop)
}
