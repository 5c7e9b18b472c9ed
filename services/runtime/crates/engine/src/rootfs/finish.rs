//! Before the pivot: sysctls, what is read-only, what is hidden.

use crate::error::{Context, Error, Result};
use crate::procfs::Procfs;
use crate::rootfs::{resolve, Root};
use spec::Linux;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use sys::mount::{self, FsContext};
use sys::process;

/// Write sysctls through the host's /proc, which shows the namespaces of the caller and cannot be faked by an image.
pub(crate) fn sysctls(linux: &Linux) -> Result<()> {
    if linux.sysctl.is_empty() {
        return Ok(());
    }
    let procfs = Procfs::open()?;
    for (key, value) in &linux.sysctl {
        let path = format!("sys/{}", key.replace('.', "/"));
        procfs.write(&path, value).context(|| format!("set sysctl {key} to {value:?}"))?;
    }
    Ok(())
}

/// Mount each path over itself, read-only; missing ones are skipped.
pub(crate) fn read_only_paths(root: &Root, paths: &[String]) -> Result<()> {
    for path in paths {
        let Some(place) = found(root, path)? else { continue };
        let protect = || {
            let tree = mount::clone_tree(&place, true)?;
            mount::set_attributes(&tree, mount::ATTR_RDONLY, 0, 0, None, true)?;
            mount::attach(&tree, &place)
        };
        protect().context(|| format!("make {path} read-only"))?;
    }
    Ok(())
}

/// Cover directories with one empty, read-only tmpfs and files with /dev/null; missing paths are skipped.
pub(crate) fn masked_paths(root: &Root, paths: &[String]) -> Result<()> {
    let mut empty: Option<OwnedFd> = None;
    let mut null: Option<OwnedFd> = None;
    for path in paths {
        let Some(place) = found(root, path)? else { continue };
        let masked = if sys::fs::stat(&place).context(|| format!("stat {path}"))?.is_directory() {
            mask_directory(&place, &mut empty)
        } else {
            let source = match null.take() {
                Some(source) => source,
                None => own_null(root)?,
            };
            let masked = mount::clone_tree(&source, false).and_then(|tree| mount::attach(&tree, &place));
            null = Some(source);
            masked
        };
        masked.context(|| format!("mask {path}"))?;
    }
    Ok(())
}

/// One tmpfs serves all: the first directory gets the mount, the others clones of it.
fn mask_directory(place: &OwnedFd, empty: &mut Option<OwnedFd>) -> std::io::Result<()> {
    if let Some(first) = empty {
        return mount::clone_tree(&*first, false).and_then(|tree| mount::attach(&tree, place));
    }
    let mut context = FsContext::open("tmpfs")?;
    context.set("source", "tmpfs")?;
    context.set("size", "0")?;
    context.set("nr_inodes", "1")?;
    context.flag("ro")?;
    let tree = context.mount(mount::ATTR_RDONLY | mount::ATTR_NOSUID | mount::ATTR_NODEV | mount::ATTR_NOEXEC)?;
    mount::attach(&tree, place)?;
    *empty = Some(tree);
    Ok(())
}

/// The container's /dev/null, if it really is the null device (CVE-2025-31133: an image's link in its place would be
/// mounted instead, and be writable).
fn own_null(root: impl AsFd) -> Result<OwnedFd> {
    let null = resolve::open(root, Path::new("/dev/null")).during("open /dev/null of the container")?;
    if sys::fs::stat(&null).during("stat /dev/null")?.is_character_device(1, 3) {
        Ok(null)
    } else {
        Err(Error::internal("the container's /dev/null is not the null device"))
    }
}

/// Standard streams that are the host's null device become the container's own: a checkpoint could not name the host's. Called
/// while the host's /proc is there. A container may have none, or may not open devices: then they stay the host's.
pub(crate) fn own_null_streams(root: impl AsFd) -> Result<()> {
    let streams: Vec<i32> = (0..3).filter(|number| process::is_null_device(*number)).collect();
    if streams.is_empty() {
        return Ok(());
    }
    let Ok(null) = own_null(root) else { return Ok(()) };
    let Ok(null) = sys::fs::reopen(null, libc::O_RDWR) else { return Ok(()) };
    for number in streams {
        process::duplicate_onto(&null, number).during("set up standard streams")?;
    }
    Ok(())
}

fn found(root: &Root, path: &str) -> Result<Option<OwnedFd>> {
    match root.find(Path::new(path)) {
        Ok(place) => Ok(Some(place)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).context(|| format!("open {path}")),
    }
}

/// Without a pivot the host's mounts stay, out of sight but there: whoever makes a user namespace inside could mount a full
/// /proc or /sys, because the kernel sees one that is not masked. They are unmounted, or covered.
pub(crate) fn hide_foreign_procs() -> Result<()> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").during("read /proc/self/mountinfo")?;
    let here = std::env::current_dir().during("find the root file system")?;
    let full = |line: &&str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let kind = fields.iter().position(|field| *field == "-").and_then(|at| fields.get(at + 1));
        matches!(kind, Some(&"proc" | &"sysfs")) && fields.get(3) == Some(&"/")
    };
    let places: Vec<&str> = text.lines().filter(full).filter_map(|line| line.split(' ').nth(4)).collect();
    for place in places.into_iter().rev().map(Path::new).filter(|place| !place.starts_with(&here)) {
        let hide = || {
            mount::set_propagation(place, mount::MS_SLAVE | mount::MS_REC)?;
            // Locked in a user namespace, or busy: then it is covered.
            mount::unmount(place).or_else(|_| {
                let mut context = FsContext::open("tmpfs")?;
                context.set("source", "tmpfs")?;
                let tree = context.mount(mount::ATTR_RDONLY)?;
                mount::attach(&tree, &sys::openat2::open(place, libc::O_PATH, 0)?)
            })
        };
        hide().context(|| format!("--no-pivot: hide {}", place.display()))?;
    }
    Ok(())
}
