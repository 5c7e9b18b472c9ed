//! cpuset: which CPUs and memory nodes.

use crate::stats::{numbers, CpuSet};
use crate::{write, Result};
use spec::resources::Cpu;
use std::fs;
use std::path::Path;

pub(crate) fn apply(path: &Path, limits: &Cpu) -> Result<()> {
    if !limits.cpus.is_empty() {
        write(&path.join("cpuset.cpus"), &limits.cpus)?;
    }
    if !limits.mems.is_empty() {
        write(&path.join("cpuset.mems"), &limits.mems)?;
    }
    Ok(())
}

pub(crate) fn stats(path: &Path) -> CpuSet {
    let read = |file: &str| numbers(&fs::read_to_string(path.join(file)).unwrap_or_default());
    CpuSet { cpus: read("cpuset.cpus.effective"), mems: read("cpuset.mems.effective"), ..CpuSet::default() }
}
