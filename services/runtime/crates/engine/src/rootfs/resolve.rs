//! Paths of the container: opened, or made, without ever leaving its root.

use crate::error::{describe, Context, Error, Result};
use crate::procfs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

const DEEPEST: usize = 40;

/// What should be at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Directory,
    File,
}

/// A directory of the host.
pub(crate) fn host_directory(path: &Path) -> Result<OwnedFd> {
    sys::openat2::open(path, libc::O_PATH | libc::O_DIRECTORY, 0).context(|| format!("open {}", path.display()))
}

/// Open a path of the container without following where it leads out.
pub(crate) fn open(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    sys::openat2::open_in_root(root, relative(path), libc::O_PATH, 0)
}

/// Open a path of the container, making what is missing: directories with mode 0755, a file with 0644. Dangling links
/// are followed inside the root, as a lookup would if their targets existed.
pub(crate) fn ensure(root: impl AsFd, path: &Path, want: Want) -> Result<OwnedFd> {
    let failed = |error: &io::Error| {
        Error::internal(format!("create mount point {} in the container: {}", path.display(), describe(error)))
    };
    match open(root.as_fd(), path) {
        Ok(found) => return Ok(found),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&error)),
        Err(_) => {}
    }
    let mut todo = names(path);
    let mut done = PathBuf::new();
    let mut followed = 0;
    while !todo.is_empty() {
        let name = todo.remove(0);
        if name == ".." {
            done.pop();
            continue;
        }
        let at = done.join(&name);
        match open(root.as_fd(), &at) {
            Ok(_) => {
                done = at;
                continue;
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&error)),
            Err(_) => {}
        }
        let parent = open_directory(root.as_fd(), &done).map_err(|error| failed(&error))?;
        // Nothing can be made there, and its links are no links to follow: they name descriptors of ours.
        if sys::fs::filesystem_magic(&parent).is_ok_and(|magic| magic == procfs::MAGIC) {
            return Err(failed(&io::Error::from_raw_os_error(libc::ENOENT)));
        }
        let made = if todo.is_empty() && want == Want::File {
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW;
            sys::openat2::open_strict(&parent, Path::new(&name), flags, 0o644).map(drop)
        } else {
            sys::fs::mkdir_at(&parent, Path::new(&name), 0o755)
        };
        match made {
            Ok(()) => done = at,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let Ok(target) = sys::fs::read_link_at(&parent, Path::new(&name)) else {
                    // Somebody made it in between; the next lookup tells what.
                    done = at;
                    continue;
                };
                followed += 1;
                if followed > DEEPEST {
                    return Err(failed(&io::Error::from_raw_os_error(libc::ELOOP)));
                }
                let target = PathBuf::from(std::ffi::OsString::from_vec(target));
                if target.is_absolute() {
                    done = PathBuf::new();
                }
                let mut next = names(&target);
                next.append(&mut todo);
                todo = next;
            }
            Err(error) => return Err(failed(&error)),
        }
    }
    open(root, &done).map_err(|error| failed(&error))
}

/// An ordinary directory, which is made if it is missing: no part of the path is a link (CVE-2023-27561). `what` is the
/// file system that shall be mounted there.
pub(crate) fn ensure_plain(root: impl AsFd, path: &Path, what: &str) -> Result<OwnedFd> {
    let plain = || sys::openat2::open_in_root_plain(root.as_fd(), relative(path), libc::O_PATH | libc::O_DIRECTORY);
    let opened = match plain() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            ensure(root.as_fd(), path, Want::Directory)?;
            plain()
        }
        other => other,
    };
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENOTDIR) => Error::config(format!(
            "mounts: filesystem {what:?} must be mounted on ordinary directory, and {} is none",
            path.display()
        )),
        _ => Error::internal(format!("open {} in the container: {}", path.display(), describe(&error))),
    })
}

/// The file itself at a path of the container, which is made if it is missing; a link there is refused, not followed.
pub(crate) fn ensure_file(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let (directory, name) = parent(root, path)?;
    let open = || sys::openat2::open_in_root(&directory, &name, libc::O_PATH | libc::O_NOFOLLOW, 0);
    let opened = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW;
            sys::openat2::open_strict(&directory, &name, flags, 0o644).and_then(|_| open())
        }
        other => other,
    };
    let place = opened.context(|| format!("create {} in the container", path.display()))?;
    if sys::fs::stat(&place).context(|| format!("stat {}", path.display()))?.is_link() {
        return Err(Error::internal(format!("{} is a link in the container", path.display())));
    }
    Ok(place)
}

/// Where a descriptor lies now, as a path of the container.
pub(crate) fn path_inside(root: impl AsFd, place: impl AsFd) -> io::Result<PathBuf> {
    let (root, place) = (sys::fs::path_of(root)?, sys::fs::path_of(place)?);
    match place.strip_prefix(&root) {
        Ok(inside) => Ok(Path::new("/").join(inside)),
        // Moved out since it was opened.
        Err(_) => Err(io::Error::from_raw_os_error(libc::EXDEV)),
    }
}

/// The directory that holds a path of the container, and the path's last name.
pub(crate) fn parent(root: impl AsFd, path: &Path) -> Result<(OwnedFd, PathBuf)> {
    let name = path.file_name().ok_or_else(|| Error::config(format!("path {} has no name", path.display())))?;
    let directory = ensure(root, path.parent().unwrap_or(Path::new("/")), Want::Directory)?;
    Ok((directory, name.into()))
}

fn open_directory(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    sys::openat2::open_in_root(root, relative(path), libc::O_PATH | libc::O_DIRECTORY, 0)
}

fn relative(path: &Path) -> &Path {
    let inside = path.strip_prefix("/").unwrap_or(path);
    if inside.as_os_str().is_empty() {
        Path::new(".")
    } else {
        inside
    }
}

fn names(path: &Path) -> Vec<std::ffi::OsString> {
    path.components()
        .filter_map(|each| match each {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}
