//! How the kernel schedules the process: policy, CPUs, I/O priority, personality.

use crate::error::{Context, Error, Result};
use spec::config::{IoPriority, Scheduler};
use spec::linux::{MemoryPolicy, Personality};
use sys::identity as id;
use sys::process;

const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

const FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

const MEMORY_MODES: [(&str, u32); 7] = [
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

const MEMORY_FLAGS: [(&str, u32); 3] =
    [("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15)];

/// The words of `linux.memoryPolicy.mode`.
pub(crate) fn memory_modes() -> impl Iterator<Item = &'static str> {
    MEMORY_MODES.iter().map(|(name, _)| *name)
}

/// The words of `linux.memoryPolicy.flags`.
pub(crate) fn memory_flags() -> impl Iterator<Item = &'static str> {
    MEMORY_FLAGS.iter().map(|(name, _)| *name)
}

/// set_mempolicy(2)'s mode and mask for `linux.memoryPolicy`.
pub(crate) fn memory_policy(wanted: &MemoryPolicy) -> Result<(u32, Vec<u64>)> {
    let find = |table: &[(&str, u32)], field: &str, word: &String| {
        let found = table.iter().find(|(name, _)| name == word).map(|(_, number)| *number);
        found.ok_or_else(|| Error::config(format!("linux.memoryPolicy.{field}: {word:?} is unknown")))
    };
    let mut mode = find(&MEMORY_MODES, "mode", &wanted.mode)?;
    for word in &wanted.flags {
        mode |= find(&MEMORY_FLAGS, "flags", word)?;
    }
    let bad = || Error::config(format!("linux.memoryPolicy.nodes: {:?} is not a list of nodes", wanted.nodes));
    let mut mask = Vec::new();
    let placeless = matches!(wanted.mode.as_str(), "MPOL_DEFAULT" | "MPOL_LOCAL");
    if placeless != wanted.nodes.is_empty() && wanted.mode != "MPOL_PREFERRED" {
        return Err(bad());
    }
    if !wanted.nodes.is_empty() {
        for node in list(&wanted.nodes).ok_or_else(bad)? {
            if mask.len() <= node / 64 {
                mask.resize(node / 64 + 1, 0);
            }
            mask[node / 64] |= 1_u64 << (node % 64);
        }
    }
    Ok((mode, mask))
}

/// Set the policy by which the process's memory is placed.
pub(crate) fn place_memory(wanted: &MemoryPolicy) -> Result<()> {
    let (mode, nodes) = memory_policy(wanted)?;
    process::set_memory_policy(mode, &nodes).context(|| format!("linux.memoryPolicy: set {}", wanted.mode))
}

/// The kernel's terms for `process.scheduler`.
pub(crate) fn parse(wanted: &Scheduler) -> Result<id::Scheduling> {
    let policy = POLICIES
        .iter()
        .find(|(name, _)| *name == wanted.policy)
        .ok_or_else(|| Error::config(format!("process.scheduler.policy: {:?} is unknown", wanted.policy)))?
        .1;
    let mut flags = 0;
    for word in &wanted.flags {
        let found = FLAGS.iter().find(|(name, _)| name == word);
        flags |= found.ok_or_else(|| Error::config(format!("process.scheduler.flags: {word:?} is unknown")))?.1;
    }
    let priority = u32::try_from(wanted.priority)
        .map_err(|_| Error::config(format!("process.scheduler.priority: {} is negative", wanted.priority)))?;
    Ok(id::Scheduling {
        size: 0,
        policy,
        flags,
        nice: wanted.nice,
        priority,
        runtime: wanted.runtime,
        deadline: wanted.deadline,
        period: wanted.period,
    })
}

pub(crate) fn set(process: &spec::Process) -> Result<()> {
    if let Some(scheduler) = &process.scheduler {
        id::set_scheduling(parse(scheduler)?).context(|| format!("set the scheduling policy {}", scheduler.policy))?;
    }
    match &process.io_priority {
        Some(priority) => id::set_io_priority(io_class(priority)?, priority.priority).during("set the I/O priority"),
        None => Ok(()),
    }
}

/// The number of an I/O class; the level is checked, too.
pub(crate) fn io_class(priority: &IoPriority) -> Result<i32> {
    if !(0..8).contains(&priority.priority) {
        return Err(Error::config(format!("process.ioPriority.priority: {} is not 0 to 7", priority.priority)));
    }
    match priority.class.as_str() {
        "IOPRIO_CLASS_RT" => Ok(1),
        "IOPRIO_CLASS_BE" => Ok(2),
        "IOPRIO_CLASS_IDLE" => Ok(3),
        other => Err(Error::config(format!("process.ioPriority.class: {other:?} is unknown"))),
    }
}

/// personality(2)'s number.
pub(crate) fn persona(wanted: &Personality) -> Result<u64> {
    if !wanted.flags.is_empty() {
        return Err(Error::config("linux.personality.flags: none is supported"));
    }
    match wanted.domain.as_str() {
        "LINUX" => Ok(0),
        "LINUX32" => Ok(8),
        other => Err(Error::config(format!("linux.personality.domain: {other:?} is unknown"))),
    }
}

/// Move to the CPUs of a list such as `0-3,7`; an empty one changes nothing.
pub(crate) fn pin(list: &str) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    id::set_affinity(&cpus(list)?).context(|| format!("set the CPU affinity {list:?}"))
}

/// The numbers of a CPU list.
pub(crate) fn cpus(list: &str) -> Result<Vec<usize>> {
    self::list(list).ok_or_else(|| Error::config(format!("process.execCPUAffinity: {list:?} is not a list of CPUs")))
}

/// The numbers of a list such as `0-3,7`, which must not be empty.
fn list(text: &str) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= 1024 {
            return None;
        }
        found.extend(first..=last);
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::{cpus, parse};
    use spec::config::Scheduler;

    #[test]
    fn cpu_lists_are_expanded() {
        assert!(cpus("0-2,5").is_ok_and(|found| found == [0, 1, 2, 5]));
        for bad in ["", "a", "3-1", "1024", "0-"] {
            assert!(cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_words_of_the_scheduler_are_refused() {
        let scheduler = |policy: &str, flag: &str| Scheduler {
            policy: policy.into(),
            flags: vec![flag.into()],
            ..Scheduler::default()
        };
        assert!(parse(&scheduler("SCHED_BATCH", "SCHED_FLAG_RESET_ON_FORK")).is_ok());
        assert!(parse(&scheduler("SCHED_ISO", "SCHED_FLAG_RESET_ON_FORK")).is_err());
        assert!(parse(&scheduler("SCHED_BATCH", "SCHED_FLAG_X")).is_err());
    }
}
