//! cgroup v2: one directory, one file for each controller, with the limits of v1 converted as runc does.

mod cpu;
mod cpuset;
mod devices;
mod freezer;
mod hugetlb;
mod io;
mod memory;
mod pids;
mod rdma;
mod unified;

pub(crate) use freezer::freeze;

use crate::{write, Context, Error, Group, Result, Stats};
use spec::Resources;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const ROOT: &str = "/sys/fs/cgroup";

/// Make the directory and enable every controller for it, from the root down.
pub(crate) fn create(group: &Group) -> Result<()> {
    let relative = group.path.strip_prefix(ROOT).unwrap_or(&group.path);
    let mut at = Path::new(ROOT).to_path_buf();
    for part in relative.components() {
        enable_controllers(&at);
        at.push(part);
        match fs::create_dir(&at) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).context(|| format!("create cgroup {}", at.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What cannot be enabled shows when a limit that needs it is written: that error names the file.
fn enable_controllers(path: &Path) {
    let available = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    let control = path.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&control).unwrap_or_default();
    for name in available.split_whitespace() {
        if !enabled.split_whitespace().any(|each| each == name) {
            let _ = write(&control, &format!("+{name}"));
        }
    }
}

/// Write the limits.
pub(crate) fn apply(path: &Path, resources: &Resources, with_devices: bool) -> Result<()> {
    if with_devices {
        devices::attach(path, resources)?;
    }
    if let Some(limits) = &resources.memory {
        memory::apply(path, limits)?;
    }
    if let Some(limits) = &resources.cpu {
        cpu::apply(path, limits)?;
        cpuset::apply(path, limits)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        pids::apply(path, limit)?;
    }
    if let Some(limits) = &resources.block_io {
        io::apply(path, limits)?;
    }
    hugetlb::apply(path, &resources.hugepage_limits)?;
    if resources.network.is_some() {
        return Err(Error::unsupported("linux.resources.network: class and priorities need cgroup v1"));
    }
    rdma::apply(path, &resources.rdma)?;
    // Last: a file named here overrides what the others say.
    unified::apply(path, &resources.unified)
}

/// What the processes use.
pub(crate) fn stats(path: &Path) -> Stats {
    Stats {
        cpu: cpu::stats(path),
        cpuset: cpuset::stats(path),
        memory: memory::stats(path),
        pids: pids::stats(path),
        blkio: io::stats(path),
        hugetlb: hugetlb::stats(path),
        ..Stats::default()
    }
}
