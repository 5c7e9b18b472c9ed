//! Copying a directory of the image into the tmpfs that will cover it, by descriptors: another container may share the
//! directory and exchange its names while they are read.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use sys::fs::Stat;

const DEEPEST: u32 = 256;

/// Copy what is in `from` to `to`: directories, files and links with owners and modes; sockets, FIFOs and devices are left
/// out.
///
/// # Errors
/// Those of reading and writing; `ELOOP` beyond 256 levels.
pub(crate) fn copy(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    directory(from, to, 0)
}

fn directory(from: &OwnedFd, to: &OwnedFd, depth: u32) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    for name in sys::fs::names_in(from)? {
        let name = Path::new(OsStr::from_bytes(&name));
        let source = match sys::openat2::open_in_root(from, name, libc::O_PATH | libc::O_NOFOLLOW, 0) {
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let stat = sys::fs::stat(&source)?;
        if stat.is_directory() {
            sys::fs::mkdir_at(to, name, 0o700)?;
            let target = own(to, name, libc::O_RDONLY | libc::O_DIRECTORY)?;
            directory(&source, &target, depth + 1)?;
            give(&target, stat)?;
        } else if stat.is_link() {
            let target = std::ffi::OsString::from_vec(sys::fs::read_link_at(&source, Path::new(""))?);
            sys::fs::symlink_at(Path::new(&target), to, name)?;
            sys::fs::chown_at(to, name, stat.uid, stat.gid)?;
        } else if stat.is_file() {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let target = sys::openat2::open_strict(to, name, flags, 0o600)?;
            let mut reader = fs::File::from(sys::fs::reopen(&source, libc::O_RDONLY)?);
            let mut writer = fs::File::from(target);
            io::copy(&mut reader, &mut writer)?;
            give(&OwnedFd::from(writer), stat)?;
        }
    }
    Ok(())
}

/// Open what was just made in the new tmpfs, which nobody else sees yet.
fn own(to: impl AsFd, name: &Path, flags: i32) -> io::Result<OwnedFd> {
    sys::openat2::open_strict(to, name, flags, 0)
}

fn give(target: &OwnedFd, stat: Stat) -> io::Result<()> {
    sys::fs::chown(target, stat.uid, stat.gid)?;
    sys::fs::chmod(target, stat.mode & 0o7777)
}
