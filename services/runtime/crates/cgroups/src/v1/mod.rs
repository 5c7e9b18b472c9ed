//! cgroup v1: one directory in each hierarchy, one file for each controller.

mod blkio;
mod cpu;
mod cpuset;
mod devices;
mod freezer;
mod hugetlb;
mod memory;
mod network;
mod pids;
mod rdma;

pub(crate) use freezer::freeze;

use crate::{find, write, Context, Error, Group, Result, Stats};
use spec::Resources;
use std::fs;

/// Make the directory of one hierarchy.
pub(crate) fn create(group: &Group) -> Result<()> {
    fs::create_dir_all(&group.path).context(|| format!("create cgroup {}", group.path.display()))?;
    if group.controllers.split(',').any(|each| each == "cpuset") {
        cpuset::inherit(&group.path)?;
    }
    Ok(())
}

/// Write the limits.
pub(crate) fn apply(groups: &[Group], resources: &Resources, with_devices: bool) -> Result<()> {
    if let Some((name, _)) = resources.unified.first_key_value() {
        return Err(Error::unsupported(format!("linux.resources.unified: {name} needs cgroup v2")));
    }
    if with_devices {
        devices::apply(groups, resources)?;
    }
    if let Some(limits) = &resources.memory {
        memory::apply(groups, limits)?;
    }
    if let Some(limits) = &resources.cpu {
        cpu::apply(groups, limits)?;
        cpuset::apply(groups, limits)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        pids::apply(groups, limit)?;
    }
    if let Some(limits) = &resources.block_io {
        blkio::apply(groups, limits)?;
    }
    hugetlb::apply(groups, &resources.hugepage_limits)?;
    if let Some(limits) = &resources.network {
        network::apply(groups, limits)?;
    }
    rdma::apply(groups, &resources.rdma)
}

/// What the processes use; controllers that are not mounted count nothing.
pub(crate) fn stats(groups: &[Group]) -> Stats {
    Stats {
        cpu: cpu::stats(groups),
        cpuset: cpuset::stats(groups),
        memory: memory::stats(groups),
        pids: pids::stats(groups),
        blkio: blkio::stats(groups),
        hugetlb: hugetlb::stats(groups),
        ..Stats::default()
    }
}

fn set(groups: &[Group], controller: &str, file: &str, value: &str) -> Result<()> {
    let group = find(groups, controller)
        .ok_or_else(|| Error::unsupported(format!("{file} cannot be set: the {controller} cgroup is not mounted")))?;
    write(&group.path.join(file), value)
}
