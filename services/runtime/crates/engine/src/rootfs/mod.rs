//! The container's root file system, built by descriptors inside a mount namespace of its own.

mod cgroup;
mod copy_up;
mod devices;
mod finish;
mod mounts;
pub(crate) mod options;
mod prepared;
pub(crate) mod resolve;

pub(crate) use devices::defaults as default_devices;
pub(crate) use devices::prepare as prepare_devices;
pub(crate) use finish::own_null_streams;
pub(crate) use mounts::bind_tree;
pub(crate) use prepared::Prepared;

use crate::error::{Context, Error, Result};
use spec::Spec;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::mount;

/// What the mounts need to know besides the configuration.
pub(crate) struct Builder<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) rootfs: &'a Path,
    pub(crate) bundle: &'a Path,
    pub(crate) prepared: &'a Prepared,
    pub(crate) cgroups: &'a cgroups::Manager,
    /// Whether the container has a cgroup namespace of its own.
    pub(crate) own_cgroup_namespace: bool,
    pub(crate) in_user_namespace: bool,
}

/// The new root, with the procfs and sysfs that were mounted in it: what is hidden in them is found by their own
/// descriptors, whatever becomes of the names that lead there (CVE-2019-19921).
pub(crate) struct Root {
    tree: OwnedFd,
    kernel: Vec<(PathBuf, OwnedFd)>,
    /// What becomes read-only when everything below it is made.
    protected: Vec<OwnedFd>,
}

impl Root {
    /// Open a path: below a file system of the kernel from there, all others from the root.
    fn find(&self, path: &Path) -> std::io::Result<OwnedFd> {
        let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
        let below = |(at, tree)| path.strip_prefix::<&PathBuf>(at).ok().map(|rest| (tree, rest));
        match self.kernel.iter().rev().map(|(at, tree)| (at, tree)).find_map(below).filter(|_| !climbs) {
            Some((tree, rest)) => resolve::open(tree, rest),
            None => resolve::open(&self.tree, path),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }
}

impl Builder<'_> {
    /// Make every mount and device. `limited` is called before the first mount that shows the container's cgroup.
    pub(crate) fn build(&self, limited: &mut dyn FnMut() -> Result<()>) -> Result<Root> {
        let linux = self.spec.linux.as_ref().ok_or_else(|| Error::config("linux: is required"))?;
        let propagation = match linux.rootfs_propagation.as_str() {
            "" => mount::MS_SLAVE | mount::MS_REC,
            word => options::propagation(word)
                .ok_or_else(|| Error::config(format!("linux.rootfsPropagation: {word:?} is unknown")))?,
        };
        // A shared root would carry the container's mounts to the host; shared is restored after the pivot.
        let first = if propagation & (mount::MS_SHARED | mount::MS_UNBINDABLE) != 0 {
            mount::MS_SLAVE | mount::MS_REC
        } else {
            propagation
        };
        mount::set_propagation(Path::new("/"), first).during("set the propagation of /")?;
        let root = self.mount_root(propagation)?;
        let mut kernel = Vec::new();
        let context = self.spec.annotations.get("run.oci.mount_context_type").map_or("context", String::as_str);
        let label = Some((context, linux.mount_label.as_str())).filter(|(_, label)| !label.is_empty());
        let mut protected = Vec::new();
        for (at, each) in self.spec.mounts.iter().enumerate() {
            if each.kind == "cgroup" || each.kind == "cgroup2" {
                limited()?;
                self.mount_cgroup(&root, each)?;
            } else {
                let bind = self.prepared.binds.get(at).and_then(Option::as_ref);
                match mounts::make(&root, each, self.bundle, bind, label)? {
                    Some(tree) if each.kind == "tmpfs" => protected.push(tree),
                    Some(tree) => kernel.push((PathBuf::from(&each.destination), tree)),
                    None => {}
                }
            }
        }
        if let (Some(tree), Some(place)) = (&self.prepared.notices, crate::notify::destination()) {
            let place = resolve::ensure(&root, &place, resolve::Want::Directory)?;
            mount::attach(tree, &place).during("mount the notify socket")?;
        }
        devices::make(&root, linux, &self.prepared.devices, self.in_user_namespace)?;
        if let Some(process) = &self.spec.process {
            // While the root may still be written. Where it fails, the change of directory says why.
            let _ = resolve::ensure(&root, Path::new(&process.cwd), resolve::Want::Directory);
        }
        Ok(Root { tree: root, kernel, protected })
    }

    /// Mount the root file system over itself. The result is a descriptor of the mount, not of the directory below it.
    fn mount_root(&self, propagation: u64) -> Result<OwnedFd> {
        let attached = || format!("mount the root file system {}", self.rootfs.display());
        if let Some(prepared) = &self.prepared.root {
            // The path may lead through directories that are closed to the container's user namespace.
            mount::attach(prepared, &resolve::host_directory(Path::new("/"))?).context(attached)?;
            return prepared.try_clone().during("duplicate a descriptor");
        }
        let below = resolve::host_directory(self.rootfs)?;
        let tree = mount::clone_tree(&below, true).context(|| format!("bind {}", self.rootfs.display()))?;
        if propagation & mount::MS_SHARED == 0 {
            mount::set_attributes(&tree, 0, 0, mount::MS_PRIVATE, None, false)
                .during("make the root file system private")?;
        }
        mount::attach(&tree, &below).context(attached)?;
        Ok(tree)
    }

    /// Protect and hide what the configuration names, and make `root` the root. Every path is resolved below the
    /// descriptor, so this needs no pivot before, and no host's /proc after it.
    pub(crate) fn enter(&self, root: Root, no_pivot: bool) -> Result<()> {
        let linux = self.spec.linux.as_ref().ok_or_else(|| Error::config("linux: is required"))?;
        finish::sysctls(linux)?;
        for tree in &root.protected {
            mount::set_attributes(tree, mount::ATTR_RDONLY, 0, 0, None, false).during("make a tmpfs read-only")?;
        }
        finish::read_only_paths(&root, &linux.readonly_paths)?;
        finish::masked_paths(&root, &linux.masked_paths)?;
        if self.spec.root.as_ref().is_some_and(|root| root.readonly) {
            mount::set_attributes(&root, mount::ATTR_RDONLY, 0, 0, None, false)
                .during("make the root file system read-only")?;
        }
        sys::fs::change_directory(&root).during("enter the root file system")?;
        drop(root);
        if no_pivot {
            finish::hide_foreign_procs()?;
            mount::move_into_cwd().during("move the root file system")?;
        } else {
            mount::pivot_into_cwd().during("pivot_root")?;
        }
        if let Some(flags) = options::propagation(&linux.rootfs_propagation) {
            if flags & (mount::MS_SHARED | mount::MS_UNBINDABLE) != 0 {
                mount::set_propagation(Path::new("/"), flags).during("set the propagation of the root")?;
            }
        }
        Ok(())
    }
}
