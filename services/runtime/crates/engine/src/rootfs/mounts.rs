//! One mount of the configuration: a new file system, or a bind of the host's.

use crate::error::{describe, Context, Error, Result};
use crate::procfs;
use crate::rootfs::copy_up;
use crate::rootfs::options::{self, Options};
use crate::rootfs::resolve::{self, Want};
use spec::Mount;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::mount::{self, FsContext};

/// Files of /proc that may be covered: those that lxcfs and its like serve.
const STAND_INS: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

/// Make a mount inside the root; the result is that of a new procfs or sysfs, or of a tmpfs that must become read-only when
/// everything below it is made.
pub(crate) fn make(
    root: impl AsFd,
    wanted: &Mount,
    bundle: &Path,
    prepared: Option<&OwnedFd>,
    label: Option<(&str, &str)>,
) -> Result<Option<OwnedFd>> {
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
    if options.remount {
        let place = resolve::open(root.as_fd(), target).map_err(|error| named(&error))?;
        return remount(&place, &options).map(|()| None).map_err(|error| named(&error));
    }
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
        let place = resolve::ensure(root.as_fd(), target, want)?;
        guard_proc(&root, wanted, &place, Some(tree))?;
        mount::attach(tree, &place).map_err(|error| named(&error))?;
        return propagate(tree, &options).map(|()| None).map_err(|error| named(&error));
    }
    let place = match wanted.kind.as_str() {
        kind @ ("proc" | "sysfs") => resolve::ensure_plain(root.as_fd(), target, kind)?,
        _ => resolve::ensure(root.as_fd(), target, Want::Directory)?,
    };
    guard_proc(&root, wanted, &place, None)?;
    let tree = match new_filesystem(wanted, &options, label) {
        Ok(tree) => tree,
        Err(error) => return Err(named(&error)),
    };
    if options.copy_up && wanted.kind == "tmpfs" {
        copy_up::copy(&place, &tree).context(|| format!("copy the content of {} to its tmpfs", wanted.destination))?;
        let attributes = options.set & !mount::ATTR_RDONLY;
        mount::set_attributes(&tree, attributes, 0, 0, None, false).map_err(|error| named(&error))?;
    }
    mount::attach(&tree, &place).map_err(|error| named(&error))?;
    propagate(&tree, &options).map_err(|error| named(&error))?;
    let later = wanted.kind == "tmpfs" && options.set & mount::ATTR_RDONLY != 0;
    Ok((later || matches!(wanted.kind.as_str(), "proc" | "sysfs")).then_some(tree))
}

/// Change a mount that is there: the mount's attributes, and what belongs to its file system.
fn remount(place: &OwnedFd, options: &Options) -> std::io::Result<()> {
    if !options.superblock.is_empty() || !options.data.is_empty() {
        let mut context = FsContext::reconfigure(place)?;
        for word in &options.superblock {
            context.flag(word)?;
        }
        for word in &options.data {
            match word.split_once('=') {
                Some((key, value)) => context.set(key, value)?,
                None => context.flag(word)?,
            }
        }
        context.apply()?;
    }
    set(place, options)?;
    propagate(place, options)
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

/// Nothing but a procfs may be on /proc, and nothing in it but files that stand in for single ones of the kernel: programs
/// and this runtime write to files there by name (CVE-2019-16884, CVE-2025-52881). Judged by where the opened place lies, so
/// that a link or another spelling of the path changes nothing.
fn guard_proc(root: impl AsFd, wanted: &Mount, place: &OwnedFd, bound: Option<&OwnedFd>) -> Result<()> {
    let at = resolve::path_inside(root, place).context(|| format!("find {} in the container", wanted.destination))?;
    let Ok(inside) = at.strip_prefix("/proc") else { return Ok(()) };
    let allowed = if inside.as_os_str().is_empty() {
        bound.map_or(wanted.kind == "proc", is_procfs_root)
    } else {
        bound.is_some() && STAND_INS.iter().any(|each| inside == Path::new(each))
    };
    if allowed {
        return Ok(());
    }
    Err(Error::config(format!(
        "mounts: {:?} cannot be mounted because it is inside /proc ({})",
        wanted.destination,
        at.display()
    )))
}

fn is_procfs_root(tree: &OwnedFd) -> bool {
    sys::fs::filesystem_magic(tree).is_ok_and(|magic| magic == procfs::MAGIC)
        && sys::fs::stat(tree).is_ok_and(|stat| stat.inode == procfs::ROOT_INODE)
}

fn new_filesystem(wanted: &Mount, options: &Options, label: Option<(&str, &str)>) -> std::io::Result<OwnedFd> {
    // With copy-up the mount is protected after it was filled.
    let attributes = match (options.copy_up, wanted.kind.as_str()) {
        (true, _) => 0,
        (_, "tmpfs") => options.set & !mount::ATTR_RDONLY,
        _ => options.set,
    };
    let mut context = FsContext::open(&wanted.kind)?;
    if !wanted.source.is_empty() {
        context.set("source", &wanted.source)?;
    }
    for word in &options.superblock {
        context.flag(word)?;
    }
    for word in &options.data {
        match word.split_once('=') {
            Some((key, value)) => context.set(key, value)?,
            None => context.flag(word)?,
        }
    }
    // File systems of the kernel's own have labels of their own.
    if let Some((key, value)) = label.filter(|_| !matches!(wanted.kind.as_str(), "proc" | "sysfs")) {
        context.set(key, value)?;
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
