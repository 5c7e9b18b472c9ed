//! cpuset: which CPUs and memory nodes.

use super::set;
use crate::stats::{numbers, CpuSet};
use crate::{find, write, Context, Group, Result};
use spec::resources::Cpu;
use std::fs;
use std::path::{Path, PathBuf};

/// A new cpuset is empty and accepts no process: copy from the nearest ancestor that has a value, downwards.
pub(crate) fn inherit(path: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let mut empty: Vec<PathBuf> = Vec::new();
        let mut at = path;
        let value = loop {
            let file = at.join(name);
            let text = fs::read_to_string(&file).context(|| format!("read {}", file.display()))?;
            if !text.trim().is_empty() {
                break text;
            }
            empty.push(file);
            match at.parent() {
                Some(parent) if parent.join(name).exists() => at = parent,
                _ => break text,
            }
        };
        for file in empty.iter().rev() {
            write(file, value.trim())?;
        }
    }
    Ok(())
}

pub(crate) fn apply(groups: &[Group], limits: &Cpu) -> Result<()> {
    if !limits.cpus.is_empty() {
        set(groups, "cpuset", "cpuset.cpus", &limits.cpus)?;
    }
    if !limits.mems.is_empty() {
        set(groups, "cpuset", "cpuset.mems", &limits.mems)?;
    }
    Ok(())
}

const SWITCHES: [(&str, &str); 9] = [
    ("cpu_exclusive", "cpuset.cpu_exclusive"),
    ("mem_hardwall", "cpuset.mem_hardwall"),
    ("mem_exclusive", "cpuset.mem_exclusive"),
    ("memory_migrate", "cpuset.memory_migrate"),
    ("memory_spread_page", "cpuset.memory_spread_page"),
    ("memory_spread_slab", "cpuset.memory_spread_slab"),
    ("memory_pressure", "cpuset.memory_pressure"),
    ("sched_load_balance", "cpuset.sched_load_balance"),
    ("sched_relax_domain_level", "cpuset.sched_relax_domain_level"),
];

pub(crate) fn stats(groups: &[Group]) -> CpuSet {
    let Some(group) = find(groups, "cpuset") else { return CpuSet::default() };
    let read = |file: &str| fs::read_to_string(group.path.join(file)).unwrap_or_default();
    CpuSet {
        cpus: numbers(&read("cpuset.cpus")),
        mems: numbers(&read("cpuset.mems")),
        switches: SWITCHES.iter().map(|(key, file)| (*key, read(file).trim().parse().unwrap_or(0))).collect(),
    }
}
