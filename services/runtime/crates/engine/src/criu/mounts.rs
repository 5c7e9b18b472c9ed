//! Mounts that come from outside: CRIU does not save what is in them, and mounts them again from where it is told.
//!
//! Each has a key in the images, the same as runc's: where it is in the container.

use super::Message;
use crate::error::{Context, Error, Result};
use crate::rootfs::options;
use crate::rootfs::resolve::{self, Want};
use crate::rootfs::{bind_tree, default_devices};
use cgroups::Manager;
use spec::{Mount, NamespaceKind, Spec};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::mount;

/// In runc's images this stands for every file that is hidden by the null device; ours are hidden by the container's own, whose
/// mounts CRIU can restore.
const NULL: &str = "/dev/null";

/// What a key stands for.
#[derive(Clone, Copy)]
enum Owner {
    /// A mount of the configuration, which is where that says, or where links of the image lead.
    Mount {
        literal: bool,
    },
    Device,
}

/// The mounts from outside in a request. Each key stands for one of them: where links of the image lead one mount to the place of
/// another, CRIU would mount either in the place of both (CVE-2026-115520, CVE-2026-119101).
struct Outside<'a> {
    message: &'a mut Message,
    owners: BTreeMap<PathBuf, Owner>,
}

impl<'a> Outside<'a> {
    fn new(message: &'a mut Message) -> Self {
        Self { message, owners: BTreeMap::new() }
    }

    fn add(&mut self, key: &Path, value: &Path, owner: Owner) {
        let mut part = Message::default();
        part.text(1, key.as_os_str().as_encoded_bytes()).text(2, value.as_os_str().as_encoded_bytes());
        self.message.part(23, &part);
        self.owners.insert(key.into(), owner);
    }

    /// A mount of the configuration: its destination, and where that is.
    fn mount(&mut self, destination: &Path, key: &Path, value: &Path) -> Result<()> {
        if self.owners.contains_key(key) {
            return Err(Error::config(format!(
                "mounts: {} is where another mount is: {}",
                destination.display(),
                key.display()
            )));
        }
        self.add(key, value, Owner::Mount { literal: key == destination });
        Ok(())
    }

    /// A device of the host, unless the configuration has the same twice, or a mount for it.
    fn device(&mut self, path: &Path, value: &Path) -> Result<()> {
        match self.owners.get(path) {
            None => self.add(path, value, Owner::Device),
            Some(Owner::Device | Owner::Mount { literal: true }) => {}
            Some(Owner::Mount { literal: false }) => {
                return Err(Error::config(format!("mounts: one leads to {}, which is a device", path.display())))
            }
        }
        Ok(())
    }
}

fn is_cgroup(each: &Mount) -> bool {
    each.kind == "cgroup" || each.kind == "cgroup2"
}

fn is_bind(each: &Mount) -> Result<bool> {
    let options = options::parse(&each.options)?;
    Ok(!options.remount && (options.bind || each.kind == "bind"))
}

/// Refuse mounts that would not come back as they were.
pub(crate) fn check(spec: &Spec) -> Result<()> {
    for each in &spec.mounts {
        let options = options::parse(&each.options)?;
        if options.idmap.is_some() || !each.uid_mappings.is_empty() || !each.gid_mappings.is_empty() {
            return Err(Error::config(format!(
                "mounts: {} has id mappings, which criu does not restore",
                each.destination
            )));
        }
    }
    Ok(())
}

/// Hierarchies of v1 as the container sees them: their folders' names, and the container's part of each. A container with a
/// cgroup namespace has mounts of its own.
fn hierarchies<'a>(spec: &Spec, cgroup: &'a Manager) -> Vec<(&'a str, &'a Path)> {
    let namespaces = spec.linux.as_ref().map_or(&[][..], |linux| &linux.namespaces);
    if cgroup.unified() || namespaces.iter().any(|each| each.kind == NamespaceKind::Cgroup) {
        return Vec::new();
    }
    let named = cgroup.groups().iter().filter(|group| !group.controllers.is_empty());
    named
        .map(|group| (group.controllers.strip_prefix("name=").unwrap_or(&group.controllers), group.path.as_path()))
        .collect()
}

/// Tell a dump which mounts come from outside.
pub(crate) fn leave_out(spec: &Spec, pid: i32, cgroup: &Manager, message: &mut Message) -> Result<()> {
    // The container's own view: a destination may lead through links, and to what is mounted on the way.
    let root = resolve::host_directory(Path::new(&format!("/proc/{pid}/root")))?;
    let real = |path: &Path| {
        let place = resolve::open(&root, path).ok();
        place.and_then(|place| resolve::path_inside(&root, place).ok()).unwrap_or_else(|| path.into())
    };
    let mut outside = Outside::new(message);
    for each in &spec.mounts {
        let destination = Path::new(&each.destination);
        let place = real(destination);
        if is_cgroup(each) {
            for (name, _) in hierarchies(spec, cgroup) {
                outside.mount(&destination.join(name), &place.join(name), &place.join(name))?;
            }
        } else if is_bind(each)? {
            outside.mount(destination, &place, &place)?;
        }
    }
    devices(spec).try_for_each(|path| outside.device(path, path))
}

/// Nodes that are bound from the host where they cannot be made.
fn devices<'a>(spec: &'a Spec) -> impl Iterator<Item = &'a Path> {
    let own = spec.linux.iter().flat_map(|linux| &linux.devices).map(|device| Path::new(&device.path));
    own.chain(default_devices().map(|path| -> &'a Path { Path::new(path) }))
}

/// Give a restore its root, as a mount in the caller's own mount namespace, with a place for every mount, and tell it where
/// mounts come from. `made` is the folder of devices that the host does not have.
pub(crate) fn prepare(
    spec: &Spec,
    bundle: &Path,
    rootfs: &Path,
    cgroup: &Manager,
    made: &Path,
    message: &mut Message,
) -> Result<()> {
    let stage = mount_root(rootfs)?;
    let mut outside = Outside::new(message);
    for each in &spec.mounts {
        let target = Path::new(&each.destination);
        if is_cgroup(each) {
            for (name, path) in hierarchies(spec, cgroup) {
                let key = target.join(name);
                outside.mount(&key, &key, path)?;
            }
            continue;
        }
        // What is on a tmpfs comes back with it.
        let covered = on_tmpfs(target, &spec.mounts);
        if !is_bind(each)? {
            if !covered {
                resolve::ensure(&stage, target, Want::Directory)?;
            }
            continue;
        }
        let source = bundle.join(&each.source);
        if covered {
            outside.mount(target, target, &source)?;
            continue;
        }
        let tree = bind_tree(each, bundle, &options::parse(&each.options)?)?;
        let stat = sys::fs::stat(&tree).context(|| format!("stat {}", source.display()))?;
        let want = if stat.is_directory() { Want::Directory } else { Want::File };
        let place = resolve::ensure(&stage, target, want)?;
        let real = inside(&stage, &place, target)?;
        outside.mount(target, &real, &source)?;
        // So that places for mounts in it are made where they will be looked for.
        mount::attach(&tree, &place).context(|| format!("mount {} to {}", source.display(), each.destination))?;
    }
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        // Where CRIU changes the root; in one that is read-only it cannot make a folder for that.
        resolve::ensure(&stage, Path::new("/tmp"), Want::Directory)?;
    }
    mount::unmount(rootfs).context(|| format!("unmount {}", rootfs.display()))?;
    for (at, path) in devices(spec).enumerate() {
        let own = made.join(at.to_string());
        outside.device(path, if own.exists() { &own } else { path })?;
    }
    if spec.linux.as_ref().is_some_and(|linux| !linux.masked_paths.is_empty()) {
        outside.device(Path::new(NULL), Path::new(NULL))?;
    }
    // CRIU wants a mount as root. Nothing of the stage may be left in it.
    mount_root(rootfs).map(drop)
}

fn inside(stage: impl AsFd, place: impl AsFd, target: &Path) -> Result<PathBuf> {
    resolve::path_inside(stage, place).context(|| format!("find {} in the container", target.display()))
}

fn mount_root(rootfs: &Path) -> Result<OwnedFd> {
    let below = resolve::host_directory(rootfs)?;
    let tree = mount::clone_tree(&below, true).context(|| format!("bind {}", rootfs.display()))?;
    mount::set_attributes(&tree, 0, 0, mount::MS_PRIVATE, None, false).during("make the root file system private")?;
    mount::attach(&tree, &below).context(|| format!("mount the root file system {}", rootfs.display()))?;
    Ok(tree)
}

fn on_tmpfs(target: &Path, mounts: &[Mount]) -> bool {
    let below = |each: &Mount| target != Path::new(&each.destination) && target.starts_with(&each.destination);
    mounts.iter().any(|each| each.kind == "tmpfs" && below(each))
}
