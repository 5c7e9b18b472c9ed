//! One mount of the configuration: a new file system, or a bind of the host's.

use crate::error::{describe, Context, Error, Result};
use crate::rootfs::options::{self, Options};
use crate::rootfs::resolve::{self, Want};
use spec::Mount;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::mount::{self, FsContext};

/// fsconfig(2) takes values up to 255 bytes; longer ones go through mount(2).
const LONGEST_VALUE: usize = 255;

/// Make a mount inside the root.
pub(crate) fn make(root: impl AsFd, wanted: &Mount, bundle: &Path, prepared: Option<&OwnedFd>) -> Result<()> {
    let options = options::parse(&wanted.options)?;
    let target = Path::new(&wanted.destination);
    let named = |error: &std::io::Error| {
        Error::internal(format!(
            "mount {} ({}) to {}: {}",
            wanted.source,
            if options.bind { "bind" } else { &wanted.kind },
            wanted.destination,
            describe(error)
        ))
    };
    if options.bind || wanted.kind == "bind" {
        let made;
        let tree = if let Some(tree) = prepared {
            tree
        } else {
            made = bind_tree(wanted, bundle, &options)?;
            &made
        };
        let stat = sys::fs::stat(tree).map_err(|error| named(&error))?;
        let want = if stat.is_directory() { Want::Directory } else { Want::File };
        let place = resolve::ensure(root, target, want)?;
        mount::attach(tree, &place).map_err(|error| named(&error))?;
        return propagate(tree, &options).map_err(|error| named(&error));
    }
    let place = resolve::ensure(root.as_fd(), target, Want::Directory)?;
    refuse_foreign_proc(wanted, target)?;
    let tree = match new_filesystem(wanted, &options) {
        Ok(tree) => tree,
        Err(error) => return Err(named(&error)),
    };
    if options.copy_up && wanted.kind == "tmpfs" {
        copy_up(&place, &tree).context(|| format!("copy the content of {} to its tmpfs", wanted.destination))?;
        mount::set_attributes(&tree, options.set, 0, 0, None, false).map_err(|error| named(&error))?;
    }
    mount::attach(&tree, &place).map_err(|error| named(&error))?;
    propagate(&tree, &options).map_err(|error| named(&error))
}

/// A detached copy of a bind's source with its attributes.
pub(crate) fn bind_tree(wanted: &Mount, bundle: &Path, options: &Options) -> Result<OwnedFd> {
    let source = bind_source(wanted, bundle)?;
    let make = || {
        let tree = mount::clone_tree(&source, options.recursive)?;
        set(&tree, options)?;
        Ok(tree)
    };
    make().map_err(|error: std::io::Error| {
        Error::internal(format!("mount {} (bind) to {}: {}", wanted.source, wanted.destination, describe(&error)))
    })
}

fn bind_source(wanted: &Mount, bundle: &Path) -> Result<OwnedFd> {
    let path: PathBuf =
        if wanted.source.starts_with('/') { wanted.source.clone().into() } else { bundle.join(&wanted.source) };
    sys::openat2::open(&path, libc::O_PATH, 0).map_err(|error| {
        Error::config(format!(
            "error mounting {:?} to rootfs at {:?}: {}",
            wanted.source,
            wanted.destination,
            describe(&error)
        ))
    })
}

/// Other file systems on top of, or below, /proc would let a container fake what the runtime itself relies on.
fn refuse_foreign_proc(wanted: &Mount, target: &Path) -> Result<()> {
    if target == Path::new("/proc") && wanted.kind != "proc" {
        return Err(Error::config(format!("mounts: {} cannot be mounted on /proc", wanted.kind)));
    }
    Ok(())
}

fn new_filesystem(wanted: &Mount, options: &Options) -> std::io::Result<OwnedFd> {
    // With copy-up the mount is protected after it was filled.
    let attributes = if options.copy_up { 0 } else { options.set };
    let context = FsContext::open(&wanted.kind)?;
    if !wanted.source.is_empty() {
        context.set("source", &wanted.source)?;
    }
    for word in &options.superblock {
        context.flag(word)?;
    }
    for word in &options.data {
        match word.split_once('=') {
            Some((_, value)) if value.len() > LONGEST_VALUE => {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidInput,
                    format!("option {word:?} is longer than the kernel takes"),
                ));
            }
            Some((key, value)) => context.set(key, value)?,
            None => context.flag(word)?,
        }
    }
    context.mount(attributes)
}

fn set(tree: &OwnedFd, options: &Options) -> std::io::Result<()> {
    if options.tree_set != 0 || options.tree_clear != 0 {
        mount::set_attributes(tree, options.tree_set, options.tree_clear, 0, None, true)?;
    }
    if options.set != 0 || options.clear != 0 {
        let clear =
            if options.set & mount::ATTR_ATIME != 0 { options.clear | mount::ATTR_ATIME } else { options.clear };
        mount::set_attributes(tree, options.set, clear, 0, None, false)?;
    }
    Ok(())
}

fn propagate(tree: &OwnedFd, options: &Options) -> std::io::Result<()> {
    for flags in &options.propagation {
        mount::set_attributes(tree, 0, 0, flags & !mount::MS_REC, None, flags & mount::MS_REC != 0)?;
    }
    Ok(())
}

/// Copy a directory of the image into the tmpfs that will cover it: directories, files and links with their owners.
fn copy_up(from: &OwnedFd, to: &OwnedFd) -> std::io::Result<()> {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{lchown, symlink, MetadataExt, PermissionsExt};
    fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let target = to.join(entry.file_name());
            let kind = meta.file_type();
            if kind.is_dir() {
                fs::create_dir(&target)?;
                copy(&entry.path(), &target)?;
            } else if kind.is_symlink() {
                symlink(fs::read_link(entry.path())?, &target)?;
            } else if kind.is_file() {
                fs::copy(entry.path(), &target)?;
            } else {
                continue;
            }
            lchown(&target, Some(meta.uid()), Some(meta.gid()))?;
            if !kind.is_symlink() {
                fs::set_permissions(&target, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
            }
        }
        Ok(())
    }
    // Below the covered directory nothing changes while the runtime works: the container does not run yet.
    let path = |descriptor: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    copy(&path(from), &path(to))
}
