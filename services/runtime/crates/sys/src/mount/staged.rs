//! Detached mounts without the calls for them: each is made with mount(2) on a folder of a private tmpfs, where its
//! descriptor refers to it as to a detached one, and is attached by moving it (`MS_MOVE`).

use super::{
    ATTR_ATIME, ATTR_NOATIME, ATTR_NODEV, ATTR_NODIRATIME, ATTR_NOEXEC, ATTR_NOSUID, ATTR_NOSYMFOLLOW, ATTR_RDONLY,
    ATTR_STRICTATIME,
};
use crate::{check_int, cpath, cstring};
use libc::{c_ulong, MS_BIND, MS_MOVE, MS_PRIVATE, MS_REC, MS_REMOUNT};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

const MS_NOSYMFOLLOW: c_ulong = 256;

/// Attributes of mount_setattr(2), flags of mount(2), and words of mountinfo.
const FLAGS: [(u64, c_ulong, &str); 8] = [
    (ATTR_RDONLY, libc::MS_RDONLY, "ro"),
    (ATTR_NOSUID, libc::MS_NOSUID, "nosuid"),
    (ATTR_NODEV, libc::MS_NODEV, "nodev"),
    (ATTR_NOEXEC, libc::MS_NOEXEC, "noexec"),
    (ATTR_NOATIME, libc::MS_NOATIME, "noatime"),
    (ATTR_NODIRATIME, libc::MS_NODIRATIME, "nodiratime"),
    (ATTR_STRICTATIME, libc::MS_STRICTATIME, "strictatime"),
    (ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW, "nosymfollow"),
];

static STAGE: OnceLock<PathBuf> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Whether this kernel has the calls, and nobody answers in its place that it has not.
pub(super) fn newer_calls() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        [libc::SYS_mount_setattr, libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_move_mount].into_iter().all(|call| {
            // SAFETY: a descriptor that is none and null pointers, so that nothing can happen.
            let result = unsafe { libc::syscall(call, -1, std::ptr::null::<u8>(), -1, std::ptr::null::<u8>(), 0) };
            result >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
        })
    })
}

/// Name a directory of the host that may be covered in the calling process's own mount namespace; where the calls exist and
/// are enough, it is not touched.
pub fn prepare(directory: &Path) {
    let _ = STAGE.set(directory.into());
}

/// A fresh folder of the stage, which is mounted when it is first needed.
fn folder(directory: bool) -> io::Result<PathBuf> {
    let stage = STAGE.get().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSYS))?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        call("tmpfs", stage, "tmpfs", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, "mode=700,size=1m")?;
        call("", stage, "", MS_PRIVATE, "")?;
    }
    let path = stage.join(number.to_string());
    if directory {
        std::fs::create_dir(&path)?;
    } else {
        std::fs::File::create(&path)?;
    }
    Ok(path)
}

pub(super) fn bind(at: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    let path = folder(crate::fs::stat(at)?.is_directory())?;
    let source = link(at);
    call(&source, &path, "", MS_BIND | if recursive { MS_REC } else { 0 }, "")?;
    // As a clone of a tree: nothing of it comes from, or goes to, where it was taken from while it is here.
    crate::openat2::open(&path, libc::O_PATH | libc::O_NOFOLLOW, 0)
}

pub(super) fn filesystem(kind: &str, words: &[(String, Option<String>)], attributes: u64) -> io::Result<OwnedFd> {
    let source = words.iter().find(|(key, _)| key == "source").and_then(|(_, value)| value.clone()).unwrap_or_default();
    let data: Vec<String> = words
        .iter()
        .filter(|(key, _)| key != "source" && key != "ro")
        .map(|(key, value)| value.as_ref().map_or_else(|| key.clone(), |value| format!("{key}={value}")))
        .collect();
    let read_only = if words.iter().any(|(key, _)| key == "ro") { libc::MS_RDONLY } else { 0 };
    let path = folder(true)?;
    call(&source, &path, kind, flags_of(attributes) | read_only, &data.join(","))?;
    crate::openat2::open(&path, libc::O_PATH | libc::O_DIRECTORY, 0)
}

/// Whether it is still where `bind` or `filesystem` has made it.
pub(super) fn is_staged(tree: BorrowedFd<'_>) -> bool {
    NEXT.load(Ordering::Relaxed) > 0
        && STAGE.get().zip(crate::fs::path_of(tree).ok()).is_some_and(|(stage, path)| path.parent() == Some(stage))
}

pub(super) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    call(&link(tree), Path::new(&link(target)), "", MS_MOVE, "")
}

/// The mount behind the descriptor, and with `recursive` all below: each keeps the flags that are not mentioned.
pub(super) fn set_attributes(
    at: BorrowedFd<'_>,
    set: u64,
    clear: u64,
    propagation: u64,
    recursive: bool,
) -> io::Result<()> {
    if propagation != 0 {
        call("", Path::new(&link(at)), "", propagation | if recursive { MS_REC } else { 0 }, "")?;
    }
    if set == 0 && clear == 0 {
        return Ok(());
    }
    let top = crate::fs::path_of(at)?;
    let mut places = mounts_below(&top)?;
    if !recursive {
        // Of several at one place the last one is what the descriptor shows.
        places.retain(|(path, _)| *path == top);
        places = places.split_off(places.len().saturating_sub(1));
    }
    for (path, current) in places {
        let wanted = current & !clear | set;
        let place = if path == top { PathBuf::from(link(at)) } else { path };
        call("", &place, "", MS_REMOUNT | MS_BIND | flags_of(wanted), "")?;
    }
    Ok(())
}

fn flags_of(attributes: u64) -> c_ulong {
    let exact = |attribute: u64| match attribute {
        ATTR_NOATIME | ATTR_STRICTATIME => attributes & ATTR_ATIME == attribute,
        _ => attributes & attribute != 0,
    };
    FLAGS.iter().filter(|(attribute, ..)| exact(*attribute)).fold(0, |flags, (_, flag, _)| flags | flag)
}

/// The mounts at and below a path with their attributes, from above downwards.
fn mounts_below(top: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(text
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let (place, words) = (unescape(fields.get(4)?), fields.get(5)?);
            let has = |word: &str| words.split(',').any(|each| each == word);
            let attributes =
                FLAGS.iter().filter(|(_, _, word)| has(word)).fold(0, |all, (attribute, ..)| all | attribute);
            place.starts_with(top).then_some((place, attributes))
        })
        .collect())
}

/// mountinfo writes blanks and the like as three octal digits.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], code.and_then(|digits| u8::from_str_radix(digits, 8).ok())) {
            (b'\\', Some(byte)) => {
                found.push(byte);
                at += 4;
            }
            (byte, _) => {
                found.push(byte);
                at += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(found).into()
}

fn link(descriptor: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

fn call(source: &str, target: &Path, kind: &str, flags: c_ulong, data: &str) -> io::Result<()> {
    let (source, target, kind, data) = (cstring(source)?, cpath(target)?, cstring(kind)?, cstring(data)?);
    // SAFETY: all strings outlive the call.
    check_int(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) })
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::{flags_of, unescape, ATTR_NOATIME, ATTR_RDONLY, ATTR_STRICTATIME};
    use std::path::Path;

    #[test]
    fn attributes_become_flags() {
        assert_eq!(flags_of(ATTR_RDONLY | ATTR_NOATIME), libc::MS_RDONLY | libc::MS_NOATIME);
        assert_eq!(flags_of(ATTR_STRICTATIME), libc::MS_STRICTATIME);
        assert_eq!(flags_of(0), 0);
    }

    #[test]
    fn blanks_in_mountinfo_are_read() {
        assert_eq!(unescape("/a\\040b\\134c"), Path::new("/a b\\c"));
        assert_eq!(unescape("/plain\\9"), Path::new("/plain\\9"));
    }
}
