//! Mounts that need the host's privileges: those of a container whose user namespace cannot reach or map the source.

use crate::error::{Context, Error, Result};
use crate::namespaces::user_namespace;
use crate::rootfs::{mounts, options, resolve};
use spec::Spec;
use std::os::fd::OwnedFd;
use std::path::Path;
use sys::mount;

/// Detached mounts, made by the runtime and attached by the child.
#[derive(Default)]
pub(crate) struct Prepared {
    pub(crate) root: Option<OwnedFd>,
    /// By the position in `mounts`.
    pub(crate) binds: Vec<Option<OwnedFd>>,
    /// By the position in `linux.devices`.
    pub(crate) devices: Vec<Option<OwnedFd>>,
    /// The folder of the container's notify socket.
    pub(crate) notices: Option<OwnedFd>,
}

impl Prepared {
    /// The folder of the notify socket, to be mounted below the name that the manager gave.
    pub(crate) fn bind_notices(&mut self, folder: &Path) -> Result<()> {
        let bind = || {
            let tree = mount::clone_tree(&sys::openat2::open(folder, libc::O_PATH | libc::O_DIRECTORY, 0)?, false)?;
            mount::set_attributes(
                &tree,
                mount::ATTR_NOSUID | mount::ATTR_NODEV | mount::ATTR_NOEXEC,
                0,
                0,
                None,
                false,
            )?;
            Ok(tree)
        };
        self.notices = Some(bind().context(|| format!("bind {}", folder.display()))?);
        Ok(())
    }

    /// For a container in a user namespace the root and every bind; for others the binds with id mappings.
    pub(crate) fn new(spec: &Spec, bundle: &Path, rootfs: &Path, in_user_namespace: bool) -> Result<Self> {
        let mut prepared = Self::default();
        if in_user_namespace {
            let tree = mount::clone_tree(&resolve::host_directory(rootfs)?, true)
                .context(|| format!("bind {}", rootfs.display()))?;
            mount::set_attributes(&tree, 0, 0, mount::MS_PRIVATE, None, false)
                .during("make the root file system private")?;
            prepared.root = Some(tree);
        }
        for each in &spec.mounts {
            let options = options::parse(&each.options)?;
            let bind = options.bind || each.kind == "bind";
            let mapped = options.idmap.is_some() || !each.uid_mappings.is_empty() || !each.gid_mappings.is_empty();
            if mapped && !bind {
                return Err(Error::config(format!(
                    "mounts: {} has id mappings but is no bind mount",
                    each.destination
                )));
            }
            if !bind || !(mapped || in_user_namespace) {
                prepared.binds.push(None);
                continue;
            }
            let tree = mounts::bind_tree(each, bundle, &options)?;
            // Cloned in the host's namespace, it is a peer of its source: on a host with shared mounts, what is mounted
            // below it in the container would appear on the host.
            mount::set_attributes(&tree, 0, 0, mount::MS_SLAVE, None, true)
                .context(|| format!("make the mount of {} a slave", each.source))?;
            if mapped {
                let linux = spec.linux.as_ref();
                let (uids, gids) = if each.uid_mappings.is_empty() && each.gid_mappings.is_empty() {
                    linux.map_or((&[][..], &[][..]), |linux| (&linux.uid_mappings[..], &linux.gid_mappings[..]))
                } else {
                    (&each.uid_mappings[..], &each.gid_mappings[..])
                };
                if uids.is_empty() || gids.is_empty() {
                    return Err(Error::config(format!(
                        "mounts: {} lacks uidMappings or gidMappings",
                        each.destination
                    )));
                }
                let namespace = user_namespace(uids, gids)?;
                let recursive = options.idmap == Some(true);
                mount::set_attributes(&tree, mount::ATTR_IDMAP, 0, 0, Some(&namespace), recursive)
                    .context(|| format!("map the ids of {}", each.source))?;
            }
            prepared.binds.push(Some(tree));
        }
        Ok(prepared)
    }
}
