//! memory: limits for memory and swap.

use crate::convert::{limit, swap_of};
use crate::files::{number, pairs};
use crate::stats::{Memory as Figures, MemoryEntry};
use crate::{write, Error, Result};
use spec::resources::Memory;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

pub(crate) fn apply(path: &Path, limits: &Memory) -> Result<()> {
    for (name, given) in [
        ("kernelTCP", limits.kernel_tcp.is_some_and(|value| value > 0)),
        ("swappiness", limits.swappiness.is_some()),
        ("disableOOMKiller", limits.disable_oom_killer == Some(true)),
    ] {
        if given {
            return Err(Error::unsupported(format!("linux.resources.memory.{name}: needs cgroup v1")));
        }
    }
    let memory = limits.limit.filter(|value| *value != 0);
    if let (Some(true), Some(wanted)) = (limits.check_before_update, memory.filter(|value| *value > 0)) {
        let usage = number(&path.join("memory.current")).unwrap_or(0);
        if usage > wanted as u64 {
            return Err(Error::invalid(format!("rejecting memory limit {wanted} < usage {usage} (checkBeforeUpdate)")));
        }
    }
    if let Some(value) = swap_of(limits)? {
        match write(&path.join("memory.swap.max"), &value) {
            // A kernel without swap has no such file; there is then nothing to limit.
            Err(error) if error.source.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    if let Some(value) = memory {
        write(&path.join("memory.max"), &limit(value))?;
    }
    if let Some(value) = limits.reservation.filter(|value| *value != 0) {
        write(&path.join("memory.low"), &limit(value))?;
    }
    Ok(())
}

pub(crate) fn stats(path: &Path) -> Figures {
    let raw: BTreeMap<String, u64> = pairs(&path.join("memory.stat")).collect();
    let events: BTreeMap<String, u64> = pairs(&path.join("memory.events")).collect();
    let read = |file: &str| number(&path.join(file)).unwrap_or(0);
    let usage = MemoryEntry {
        limit: read("memory.max"),
        usage: read("memory.current"),
        max: read("memory.peak"),
        failcnt: events.get("max").copied().unwrap_or(0),
    };
    // As v1 reports it: memory and swap together.
    let swap_limit = read("memory.swap.max");
    let swap = MemoryEntry {
        limit: if swap_limit == u64::MAX { swap_limit } else { swap_limit.saturating_add(usage.limit) },
        usage: read("memory.swap.current") + usage.usage,
        ..MemoryEntry::default()
    };
    let kernel = MemoryEntry { usage: raw.get("kernel").copied().unwrap_or(0), ..MemoryEntry::default() };
    Figures { cache: raw.get("file").copied().unwrap_or(0), usage, swap, kernel, raw, ..Figures::default() }
}
