//! The container's view of its cgroups.

use crate::error::{describe, Context, Error, Result};
use crate::rootfs::options;
use crate::rootfs::resolve::{self, Want};
use crate::rootfs::Builder;
use spec::Mount;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use sys::mount::{self, FsContext};

impl Builder<'_> {
    /// Mount the cgroup file system at its destination: the one tree of v2, or a tmpfs with one folder a hierarchy.
    pub(crate) fn mount_cgroup(&self, root: impl AsFd, wanted: &Mount) -> Result<()> {
        let options = options::parse(&wanted.options)?;
        let place = resolve::ensure(root, Path::new(&wanted.destination), Want::Directory)?;
        let named = |error: &std::io::Error| {
            Error::internal(format!("mount cgroup to {}: {}", wanted.destination, describe(error)))
        };
        if self.cgroups.unified() {
            let tree = if self.own_cgroup_namespace {
                FsContext::open("cgroup2").and_then(|context| context.mount(options.set))
            } else {
                // A container without a cgroup of its own sees what its creator sees.
                let group = self.cgroups.groups().first().map_or(Path::new("/sys/fs/cgroup"), |each| &each.path);
                bind(group, options.set)
            };
            let tree = tree.map_err(|error| named(&error))?;
            return mount::attach(&tree, &place).map_err(|error| named(&error));
        }
        let base = FsContext::open("tmpfs")
            .and_then(|mut context| {
                context.set("source", "tmpfs")?;
                context.set("mode", "755")?;
                context.mount(options.set & !mount::ATTR_RDONLY)
            })
            .map_err(|error| named(&error))?;
        mount::attach(&base, &place).map_err(|error| named(&error))?;
        for group in self.cgroups.groups().iter().filter(|group| !group.controllers.is_empty()) {
            let name = group.controllers.strip_prefix("name=").unwrap_or(&group.controllers);
            sys::fs::mkdir_at(&base, Path::new(name), 0o755).context(|| format!("create folder {name} for cgroups"))?;
            let folder = resolve::open(&base, Path::new(name)).map_err(|error| named(&error))?;
            let tree = if self.own_cgroup_namespace {
                FsContext::open("cgroup").and_then(|mut context| {
                    if let Some(name) = group.controllers.strip_prefix("name=") {
                        context.flag("none")?;
                        context.set("name", name)?;
                    } else {
                        for each in name.split(',') {
                            context.flag(each)?;
                        }
                    }
                    context.mount(options.set)
                })
            } else {
                bind(&group.path, options.set)
            };
            let tree = tree.map_err(|error| named(&error))?;
            mount::attach(&tree, &folder).map_err(|error| named(&error))?;
            for each in name.split(',').filter(|each| *each != name) {
                sys::fs::symlink_at(Path::new(name), &base, Path::new(each)).map_err(|error| named(&error))?;
            }
        }
        if options.set & mount::ATTR_RDONLY != 0 {
            mount::set_attributes(&base, mount::ATTR_RDONLY, 0, 0, None, false).map_err(|error| named(&error))?;
        }
        Ok(())
    }
}

fn bind(path: &Path, attributes: u64) -> std::io::Result<OwnedFd> {
    let directory = sys::openat2::open(path, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let tree = mount::clone_tree(&directory, false)?;
    mount::set_attributes(&tree, attributes, 0, 0, None, false)?;
    Ok(tree)
}
